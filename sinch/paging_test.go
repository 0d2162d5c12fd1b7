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

// drain iterates a list to its end and returns the last error.
func drain[T any](list iter.Seq2[T, error]) (last error) {
	for _, err := range list {
		last = err
	}
	return last
}

// ids returns the ids of a list's batches, with "!" for an error, and the last error.
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

// batchServer lists batches as Sinch does. A test may change ids.
type batchServer struct {
	ids  []string
	most int // most entries per page, whatever page_size is; 0: no limit
	// form returns the body of an answer; nil means Sinch's form.
	form func(count, page int, batches []string) string
	// after is called after each answer.
	after func(page int)
}

func (c *batchServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
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
			return fmt.Sprintf(`{"count":%d,"page":%d,"page_size":%d,"batches":[%s]}`, count, page, len(batches),
				strings.Join(batches, ","))
		}
	}
	respond(http.StatusOK, form(len(c.ids), page, batches))(w, r)
	if c.after != nil {
		c.after(page)
	}
}

func newBatchServer(n int) *batchServer {
	c := &batchServer{}
	for i := range n {
		c.ids = append(c.ids, batchID(i))
	}
	return c
}

func TestBatchesOverAllPages(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3, 4, 7, 30} {
		for _, size := range []int{1, 2, 3, 30, 100, 0} {
			batchServer := newBatchServer(n)
			u := newUpstream(t, batchServer.ServeHTTP)
			got, err := ids(u.client(t).Batches(t.Context(), BatchesQuery{PageSize: size}))
			require.NoError(t, err)
			require.Equal(t, batchServer.ids, got)
			if size == 0 {
				size = 100
			}
			require.Len(t, u.requests(), max((n+size-1)/size, 1), "%d batches in pages of %d: no call too many", n, size)
		}
	}
}

// Servers may omit or vary the members beside the entries.
func TestListsWithMissingOrOddMembers(t *testing.T) {
	for name, form := range map[string]func(count, page int, batches []string) string{
		"no count": func(_, page int, b []string) string {
			return fmt.Sprintf(`{"page":%d,"batches":[%s]}`, page, strings.Join(b, ","))
		},
		"only the list": func(_, _ int, b []string) string { return `{"batches":[` + strings.Join(b, ",") + `]}` },
		"texts": func(n, page int, b []string) string {
			return fmt.Sprintf(`{"count":"%d","page":"%d","batches":[%s]}`, n, page, strings.Join(b, ","))
		},
		"a count too high": func(n, page int, b []string) string {
			return fmt.Sprintf(`{"count":%d,"page":%d,"batches":[%s]}`, n+2, page, strings.Join(b, ","))
		},
		"a null count": func(_, page int, b []string) string {
			return fmt.Sprintf(`{"count":null,"page":%d,"batches":[%s]}`, page, strings.Join(b, ","))
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, n := range []int{0, 3, 4} {
				batchServer := newBatchServer(n)
				batchServer.form = form
				got, err := ids(newUpstream(t, batchServer.ServeHTTP).client(t).Batches(t.Context(), BatchesQuery{PageSize: 2}))
				require.NoError(t, err)
				require.Equal(t, batchServer.ids, got)
			}
		})
	}
}

// A server may return fewer entries than page_size.
func TestPagesSmallerThanRequested(t *testing.T) {
	batchServer := newBatchServer(7)
	batchServer.most = 2
	got, err := ids(newUpstream(t, batchServer.ServeHTTP).client(t).Batches(t.Context(), BatchesQuery{}))
	require.NoError(t, err)
	require.Equal(t, batchServer.ids, got)
}

// A batch sent during the loop comes first and moves the others to later positions, so that pages overlap.
func TestBatchesWhileOthersAreSent(t *testing.T) {
	for size := 1; size <= 4; size++ {
		batchServer := newBatchServer(9)
		old := append([]string(nil), batchServer.ids...)
		batchServer.after = func(page int) {
			if page%2 == 0 && page < 4 {
				batchServer.ids = append([]string{fmt.Sprintf("new%d", page)}, batchServer.ids...)
			}
		}
		got, err := ids(newUpstream(t, batchServer.ServeHTTP).client(t).Batches(t.Context(), BatchesQuery{PageSize: size}))
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
		"the same page for ever": {
			func(int) string { return `{"count":1000,"batches":` + same + `}` }, "the pages repeat themselves", 5,
		},
		"the same page, no count": {
			func(int) string { return `{"batches":` + same + `}` }, "the pages repeat themselves", 5,
		},
		"the same page up to a count": {
			func(page int) string { return fmt.Sprintf(`{"count":3,"page":%d,"batches":%s}`, page, same) },
			"the pages repeat themselves", 2,
		},
		"always page 0": {
			func(int) string { return `{"count":1000,"page":0,"batches":` + same + `}` },
			"the answer is not the requested page", 2,
		},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
				page, _ := strconv.Atoi(r.URL.Query().Get("page"))
				respond(http.StatusOK, test.form(page))(w, r)
			})
			got, err := ids(u.client(t).Batches(t.Context(), BatchesQuery{PageSize: 2}))
			require.Equal(t, []string{"a", "b", "!"}, got)
			require.Equal(t, test.want, requireError(t, err).Text)
			require.Len(t, u.requests(), test.calls)
		})
	}
}

func TestPagesAreFetchedAsTheLoopNeedsThem(t *testing.T) {
	batchServer := newBatchServer(10)
	u := newUpstream(t, batchServer.ServeHTTP)
	list := u.client(t).Batches(t.Context(), BatchesQuery{PageSize: 2})
	require.Empty(t, u.requests(), "no call is made before the loop")
	for b, err := range list {
		require.NoError(t, err)
		if b.ID == batchID(2) {
			break
		}
	}
	require.Len(t, u.requests(), 2)

	again, err := ids(list)
	require.NoError(t, err)
	require.Equal(t, batchServer.ids, again, "a second loop begins at the first page")
}

// A list is safe for concurrent loops.
func TestConcurrentLoopsOverOneList(t *testing.T) {
	batchServer := newBatchServer(10)
	list := newUpstream(t, batchServer.ServeHTTP).client(t).Batches(t.Context(), BatchesQuery{PageSize: 2})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			got, err := ids(list)
			assert.NoError(t, err)
			assert.Equal(t, batchServer.ids, got)
		})
	}
	readers.Wait()
}

// An error comes once, after all entries before it.
func TestAnErrorEndsAList(t *testing.T) {
	batchServer := newBatchServer(10)
	u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("page") == "2" {
			respond(http.StatusServiceUnavailable, "")(w, r)
			return
		}
		batchServer.ServeHTTP(w, r)
	})
	got, err := ids(u.client(t).Batches(t.Context(), BatchesQuery{PageSize: 2}))
	require.Equal(t, []string{batchID(0), batchID(1), batchID(2), batchID(3), "!"}, got)
	require.Equal(t, http.StatusServiceUnavailable, requireError(t, err).HTTPStatus)
}
