package simulator

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// listing is a page of batches as a client parses it. A nil pointer means that the member is missing.
type listing struct {
	Count, Page, Size *int
	IDs               []string
}

func (u *customer) list(query string) listing {
	u.t.Helper()
	h := u.call(http.MethodGet, "/batches"+query, "")
	require.Equal(u.t, http.StatusOK, h.status, query+h.body)
	var read struct {
		Count   *int                   `json:"count"`
		Page    *int                   `json:"page"`
		Size    *int                   `json:"page_size"`
		Batches *[]struct{ ID string } `json:"batches"`
	}
	require.NoError(u.t, json.Unmarshal([]byte(h.body), &read))
	require.NotNil(u.t, read.Batches)
	l := listing{read.Count, read.Page, read.Size, []string{}}
	require.NotNil(u.t, l.Count)
	require.NotNil(u.t, l.Page)
	require.NotNil(u.t, l.Size)
	require.Len(u.t, *read.Batches, *l.Size, "page_size must be the number of entries in this answer")
	for _, b := range *read.Batches {
		l.IDs = append(l.IDs, b.ID)
	}
	return l
}

// sendMany sends n batches at intervals of a second and returns their ids, newest first.
func (u *customer) sendMany(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[n-1-i] = u.send(map[string]any{"to": numbers(1)})
		time.Sleep(time.Second)
	}
	return ids
}

// TestEveryListQuery checks every query parameter of the list. Batches a, b and c were created at 00:00, 01:00 and
// 02:00; the time of the call is 03:00.
func TestEveryListQuery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true, Plans: []Plan{
			{ID: testPlan, Token: testToken, Originators: []string{"ACME"}}, {ID: "other", Token: testToken},
		}})
		named := map[string]string{}
		for _, b := range []struct {
			name  string
			given string
		}{
			{"a", `{"to":["12025550143"],"body":"x","from":"+1201","client_reference":"r 1"}`},
			{"b", `{"to":["12025550143"],"body":"x","from":"My Shop"}`},
			{"c", `{"to":["12025550143"],"body":"x","client_reference":"r"}`},
		} {
			sent := u.object(u.call(http.MethodPost, "/batches", b.given), http.StatusCreated)
			named[sent["id"].(string)] = b.name
			time.Sleep(time.Hour)
		}
		other := u.call(http.MethodPost, "/../other/batches", `{"to":["12025550143"],"body":"x","from":"1201"}`)
		require.Equal(t, http.StatusCreated, other.status)

		for _, row := range []struct {
			name, query, batches string
			count, page          int
		}{
			{"all, newest first", "", "cba", 3, 0},
			{"page", "?page=0", "cba", 3, 0},
			{"page past the end", "?page=1", "", 3, 1},
			{"page far past the end", "?page=4711&page_size=100", "", 3, 4711},
			{"page_size", "?page_size=2", "cb", 3, 0},
			{"page and page_size", "?page=1&page_size=2", "a", 3, 1},
			{"page_size 1", "?page=2&page_size=1", "a", 3, 2},
			{"from", "?from=1201", "a", 1, 0},
			{"from with an escaped plus", "?from=%2B1201", "a", 1, 0},
			{"from with a literal plus", "?from=+1201", "a", 1, 0},
			{"from with 00", "?from=001201", "a", 1, 0},
			{"several from", "?from=+1201,+1202", "a", 1, 0},
			{"several from, escaped", "?from=%2B1201%2CMy+Shop", "ba", 2, 0},
			{"from with a space", "?from=My%20Shop", "b", 1, 0},
			{"from of no batch", "?from=54321", "", 0, 0},
			{"from chosen from the pool is not stored", "?from=ACME", "", 0, 0},
			{"an empty from", "?from=", "cba", 3, 0},
			{"start_date is inclusive", "?start_date=2000-01-01T01:00:00.000Z", "cb", 2, 0},
			{"start_date 1 ms later", "?start_date=2000-01-01T01:00:00.001Z", "c", 1, 0},
			{"start_date, escaped", "?start_date=2000-01-01T01%3A00%3A00.0000000Z", "cb", 2, 0},
			{"start_date with a literal plus", "?start_date=2000-01-01T03:00:00+02:00", "cb", 2, 0},
			{"start_date with an escaped plus", "?start_date=2000-01-01T03%3A00%3A00%2B02%3A00", "cb", 2, 0},
			{"start_date without time", "?start_date=2000-01-01", "cba", 3, 0},
			{"start_date without zone", "?start_date=2000-01-01T02:00:00", "c", 1, 0},
			{"end_date is exclusive", "?end_date=2000-01-01T02:00:00.000Z", "ba", 2, 0},
			{"end_date 1 ms later", "?end_date=2000-01-01T02:00:00.001Z", "cba", 3, 0},
			{"start_date and end_date", "?start_date=2000-01-01T01:00:00Z&end_date=2000-01-01T02:00:00Z", "b", 1, 0},
			{"client_reference", "?client_reference=r", "c", 1, 0},
			{"client_reference is exact", "?client_reference=R", "", 0, 0},
			{"client_reference, escaped", "?client_reference=r%201", "a", 1, 0},
			{"client_reference with an invalid escape", "?client_reference=100%", "", 0, 0},
			{"an unknown member", "?smoke=1", "cba", 3, 0},
		} {
			l := u.list(row.query)
			got := ""
			for _, id := range l.IDs {
				got += named[id]
			}
			require.Equal(t, row.batches, got, row.name)
			require.Equal(t, row.count, *l.Count, row.name)
			require.Equal(t, row.page, *l.Page, row.name)
		}
		for _, row := range []struct{ name, query, code string }{
			{"page below 0", "?page=-1", "syntax_constraint_violation"},
			{"page is not a number", "?page=x", "syntax_invalid_parameter_format"},
			{"page_size 0", "?page_size=0", "syntax_constraint_violation"},
			{"page_size 101", "?page_size=101", "syntax_constraint_violation"},
			{"page_size is not a number", "?page_size=all", "syntax_invalid_parameter_format"},
			{"start_date is not a time", "?start_date=yesterday", "syntax_invalid_parameter_format"},
			{"end_date is not a time", "?end_date=2000-13-01", "syntax_invalid_parameter_format"},
		} {
			t.Log(row.name)
			u.refused(u.call(http.MethodGet, "/batches"+row.query, ""), 400, row.code)
		}

		time.Sleep(22 * time.Hour)
		require.Equal(t, 2, *u.list("").Count, "the default start_date must be 24 hours ago")
		require.Equal(t, 3, *u.list("?start_date=1999-12-31").Count)
		time.Sleep(13 * 24 * time.Hour)
		require.Equal(t, 2, *u.list("?start_date=1999-12-31").Count, "a batch must be listed for 14 days")
	})
}

func TestPageSizeDefaultAndMaximum(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true})
		u.sendMany(101)
		require.Equal(t, 30, *u.list("").Size)
		require.Equal(t, 100, *u.list("?page_size=100").Size)
		require.Equal(t, 1, *u.list("?page_size=100&page=1").Size)
	})
}

// TestClientsPage pages like Sinch's own clients, each until its own stop condition. None may miss a batch, get a
// batch twice or page forever.
func TestClientsPage(t *testing.T) {
	clients := map[string]func(l listing, wanted int) (stop bool){
		"Node": func(l listing, wanted int) bool {
			size := wanted
			if size == 0 {
				size = *l.Size
			}
			return *l.Size == 0 || float64(*l.Page) >= math.Ceil(float64(*l.Count)/float64(size))-1
		},
		"Java": func(l listing, wanted int) bool {
			return *l.Size == 0 || wanted > 0 && *l.Size < wanted
		},
	}
	for client, stops := range clients {
		for _, n := range []int{0, 30, 31, 61} {
			for _, wanted := range []int{0, 1, 30, 100} {
				t.Run(fmt.Sprintf("%s, %d batches, page_size %d", client, n, wanted), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						u := newCustomer(t, Config{Calm: true})
						sent, got := u.sendMany(n), []string{}
						for page := 0; ; page++ {
							require.LessOrEqual(t, page, n+1, "the client must stop paging")
							query := fmt.Sprintf("?page=%d", page)
							if wanted > 0 {
								query += fmt.Sprintf("&page_size=%d", wanted)
							}
							l := u.list(query)
							require.Equal(t, n, *l.Count)
							got = append(got, l.IDs...)
							if stops(l, wanted) {
								break
							}
						}
						require.Equal(t, sent, got)
					})
				})
			}
		}
	}
}

// TestPythonPages pages like Sinch's Python client: until a page is empty or beyond the last page, which it computes
// from count and the requested page_size.
func TestPythonPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true})
		sent := u.sendMany(31)
		for _, size := range []int{1, 7, 30, 31, 100} {
			got := []string{}
			for page := 0; ; page++ {
				l := u.list(fmt.Sprintf("?page=%d&page_size=%d", page, size))
				got = append(got, l.IDs...)
				if len(l.IDs) == 0 || page > int(math.Ceil(float64(*l.Count)/float64(size))) {
					break
				}
			}
			require.Equal(t, sent, got, "page_size %d", size)
		}
	})
}

func TestListAndGetReturnTheSameBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true})
		later := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
		canceled := u.send(map[string]any{"to": numbers(2), "send_at": later})
		u.call(http.MethodDelete, "/batches/"+canceled, "")
		u.send(map[string]any{"to": numbers(1), "type": "mt_binary", "udh": "0605", "body": "AAEC"})
		u.send(map[string]any{"to": numbers(1), "type": "mt_media", "body": map[string]any{"url": "https://x/y"}})
		page := u.object(u.call(http.MethodGet, "/batches", ""), 200)
		batches := page["batches"].([]any)
		require.Len(t, batches, 3)
		for _, b := range batches {
			require.Equal(t, u.get(b.(map[string]any)["id"].(string)), b)
		}
		require.Equal(t, true, batches[2].(map[string]any)["canceled"])
		require.Len(t, page, 4)
	})
}
