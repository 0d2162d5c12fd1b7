package sinch

import (
	"fmt"
	"iter"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// drain reads a list to its end and returns the error that ended it.
func drain[T any](list iter.Seq2[T, error]) (last error) {
	for _, err := range list {
		last = err
	}
	return last
}

// ids are those of a list's batches, with "!" for an error.
func ids(list iter.Seq2[*Batch, error]) (seen []string, last error) {
	for b, err := range list {
		if last = err; err != nil {
			seen = append(seen, "!")
			continue
		}
		seen = append(seen, b.ID)
	}
	return seen, last
}

func batchID(i int) string { return fmt.Sprintf("b%03d", i) }

// catalogue answers a list of batches as Sinch does, from ids that a test may change.
type catalogue struct {
	ids  []string
	most int // entries in an answer, whatever is asked for; 0: no limit
	// form writes an answer; nil is as Sinch does.
	form func(count, page int, batches []string) string
	// after is called when an answer has been made.
	after func(page int)
}

func (c *catalogue) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	page, _ := strconv.Atoi(q.Get("page"))
	size, _ := strconv.Atoi(q.Get("page_size"))
	if c.most > 0 {
		size = min(size, c.most)
	}
	from := min(page*size, len(c.ids))
	var batches []string
	for _, id := range c.ids[from:min(from+size, len(c.ids))] {
		batches = append(batches, `{"id":"`+id+`"}`)
	}
	form := c.form
	if form == nil {
		form = func(count, page int, batches []string) string {
			return fmt.Sprintf(`{"count":%d,"page":%d,"page_size":%d,"batches":[%s]}`, count, page, len(batches), strings.Join(batches, ","))
		}
	}
	says(http.StatusOK, form(len(c.ids), page, batches))(w, r)
	if c.after != nil {
		c.after(page)
	}
}

func newCatalogue(n int) *catalogue {
	c := &catalogue{}
	for i := range n {
		c.ids = append(c.ids, batchID(i))
	}
	return c
}

func TestBatchesOverAllPages(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3, 4, 7, 30} {
		for _, size := range []int{1, 2, 3, 30, 100, 0} {
			catalogue := newCatalogue(n)
			u := newUpstream(t, catalogue.ServeHTTP)
			got, err := ids(u.client(t).Batches(t.Context(), BatchesQuery{PageSize: size}))
			require.NoError(t, err)
			require.Equal(t, catalogue.ids, got)
			if size == 0 {
				size = 100
			}
			require.Len(t, u.requests(), max((n+size-1)/size, 1), "%d batches in pages of %d: no call too many", n, size)
		}
	}
}

// Servers differ in what they say beside the entries.
func TestBatchesOfServersThatSayLess(t *testing.T) {
	for name, form := range map[string]func(count, page int, batches []string) string{
		"no count": func(_, page int, b []string) string {
			return fmt.Sprintf(`{"page":%d,"batches":[%s]}`, page, strings.Join(b, ","))
		},
		"only the list": func(_, _ int, b []string) string { return `{"batches":[` + strings.Join(b, ",") + `]}` },
		"texts": func(n, page int, b []string) string {
			return fmt.Sprintf(`{"count":"%d","page":"%d","batches":[%s]}`, n, page, strings.Join(b, ","))
		},
		"a count of more": func(n, page int, b []string) string {
			return fmt.Sprintf(`{"count":%d,"page":%d,"batches":[%s]}`, n+2, page, strings.Join(b, ","))
		},
		"a null count": func(_, page int, b []string) string {
			return fmt.Sprintf(`{"count":null,"page":%d,"batches":[%s]}`, page, strings.Join(b, ","))
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, n := range []int{0, 3, 4} {
				catalogue := newCatalogue(n)
				catalogue.form = form
				got, err := ids(newUpstream(t, catalogue.ServeHTTP).client(t).Batches(t.Context(), BatchesQuery{PageSize: 2}))
				require.NoError(t, err)
				require.Equal(t, catalogue.ids, got)
			}
		})
	}
}

// A server may answer with fewer entries than asked for.
func TestBatchesInSmallerPagesThanAskedFor(t *testing.T) {
	catalogue := newCatalogue(7)
	catalogue.most = 2
	got, err := ids(newUpstream(t, catalogue.ServeHTTP).client(t).Batches(t.Context(), BatchesQuery{}))
	require.NoError(t, err)
	require.Equal(t, catalogue.ids, got)
}

// What is sent while one reads comes first and moves the rest on, so that pages overlap.
func TestBatchesWhileOthersAreSent(t *testing.T) {
	for size := 1; size <= 4; size++ {
		catalogue := newCatalogue(9)
		old := append([]string(nil), catalogue.ids...)
		catalogue.after = func(page int) {
			if page%2 == 0 && page < 4 {
				catalogue.ids = append([]string{fmt.Sprintf("new%d", page)}, catalogue.ids...)
			}
		}
		got, err := ids(newUpstream(t, catalogue.ServeHTTP).client(t).Batches(t.Context(), BatchesQuery{PageSize: size}))
		require.NoError(t, err)
		require.Equal(t, old, got, "each once, in pages of %d", size)
	}
}

func TestListsThatDoNotEnd(t *testing.T) {
	same := `[{"id":"a"},{"id":"b"}]`
	for name, test := range map[string]struct {
		form  func(page int) string
		want  string
		calls int
	}{
		"the same page for ever":        {func(int) string { return `{"count":1000,"batches":` + same + `}` }, "the pages repeat themselves", 5},
		"the same page, no count":       {func(int) string { return `{"batches":` + same + `}` }, "the pages repeat themselves", 5},
		"the same page up to a count":   {func(page int) string { return fmt.Sprintf(`{"count":3,"page":%d,"batches":%s}`, page, same) }, "the pages repeat themselves", 2},
		"the first page, which it says": {func(int) string { return `{"count":1000,"page":0,"batches":` + same + `}` }, "it is not the page asked for", 2},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
				page, _ := strconv.Atoi(r.URL.Query().Get("page"))
				says(http.StatusOK, test.form(page))(w, r)
			})
			got, err := ids(u.client(t).Batches(t.Context(), BatchesQuery{PageSize: 2}))
			require.Equal(t, []string{"a", "b", "!"}, got)
			require.Equal(t, test.want, requireError(t, err).Text)
			require.Len(t, u.requests(), test.calls)
		})
	}
}

func TestAListIsReadNoFurtherThanTheLoop(t *testing.T) {
	catalogue := newCatalogue(10)
	u := newUpstream(t, catalogue.ServeHTTP)
	list := u.client(t).Batches(t.Context(), BatchesQuery{PageSize: 2})
	require.Empty(t, u.requests(), "nothing is called before the loop")
	for b, err := range list {
		require.NoError(t, err)
		if b.ID == batchID(2) {
			break
		}
	}
	require.Len(t, u.requests(), 2)

	again, err := ids(list)
	require.NoError(t, err)
	require.Equal(t, catalogue.ids, again, "a second loop begins anew")
}

// A list is only a question: any number of loops can put it at a time.
func TestAListCanBeReadByMany(t *testing.T) {
	catalogue := newCatalogue(10)
	list := newUpstream(t, catalogue.ServeHTTP).client(t).Batches(t.Context(), BatchesQuery{PageSize: 2})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			got, err := ids(list)
			assert.NoError(t, err)
			assert.Equal(t, catalogue.ids, got)
		})
	}
	readers.Wait()
}

// What came before the error is not lost, and the error comes once.
func TestAnErrorEndsAList(t *testing.T) {
	catalogue := newCatalogue(10)
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("page") == "2" {
			says(http.StatusServiceUnavailable, "")(w, r)
			return
		}
		catalogue.ServeHTTP(w, r)
	})
	got, err := ids(u.client(t).Batches(t.Context(), BatchesQuery{PageSize: 2}))
	require.Equal(t, []string{batchID(0), batchID(1), batchID(2), batchID(3), "!"}, got)
	require.Equal(t, http.StatusServiceUnavailable, requireError(t, err).HTTPStatus)
}
