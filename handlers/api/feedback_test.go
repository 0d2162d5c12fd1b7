package api

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/handlers/handlerstest"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore"
	"github.com/dlrloop/dlrloop/store/storetest"
)

const requeueAddress = "/api/v1/feedback/requeue"

// recordDead records n batches with one dead recipient each, and returns their ids.
func recordDead(t *testing.T, s store.Store, plan string, n int) (ids []string) {
	t.Helper()
	for i := range n {
		id := fmt.Sprintf("%s-%03d", plan, i)
		ids = append(ids, id)
		record(t, s, plan, morning(0), store.Confirmation{BatchID: id, Recipients: []string{alice}})
		record(t, s, plan, morning(time.Second), store.Settlement{
			BatchID: id, Recipients: []string{alice}, Outcome: store.OutcomeDead, Reason: store.ReasonRejected,
		})
	}
	return ids
}

func (s server) requeue(t *testing.T, body string) handlerstest.Reply {
	t.Helper()
	return s.call(t, http.MethodPost, requeueAddress, body, nil)
}

func TestRequeueOfABatchAPlanAndAll(t *testing.T) {
	st := handlerstest.OpenStore(t)
	eu, us := recordDead(t, st, planEU, 5), recordDead(t, st, planUS, 3)
	s := serve(t, Config{}, st, handlerstest.Quiet())
	dead := func() []string { return s.pages(t, "/api/v1/feedback?state=dead", "id", 3) }
	require.Len(t, dead(), 8)

	require.JSONEq(t, `{"batches": 1, "recipients": 1, "more": false}`,
		string(s.requeue(t, fmt.Sprintf(`{"plan": %q, "batch_id": %q}`, planEU, eu[2])).Content))
	require.ElementsMatch(t, append([]string{eu[0], eu[1], eu[3], eu[4]}, us...), dead())
	require.Equal(t, []string{eu[2]}, s.pages(t, "/api/v1/feedback", "id", 3))

	require.JSONEq(t, `{"batches": 4, "recipients": 4, "more": false}`,
		string(s.requeue(t, `{"plan": "acme-eu"}`).Content))
	require.ElementsMatch(t, us, dead())

	require.JSONEq(t, `{"batches": 3, "recipients": 3, "more": false}`, string(s.requeue(t, `{"all": true}`).Content))
	require.Empty(t, dead())
	require.Len(t, s.pages(t, "/api/v1/feedback", "id", 3), 8)

	nothing := `{"batches": 0, "recipients": 0, "more": false}`
	require.JSONEq(t, nothing, string(s.requeue(t, `{"all": true}`).Content))
	require.JSONEq(t, nothing, string(s.requeue(t, `{"plan": "acme-eu"}`).Content))
	require.JSONEq(t, nothing, string(s.requeue(t, `{"plan": "nobody"}`).Content))
	require.JSONEq(t, `{"batches": 1, "recipients": 0, "more": false}`,
		string(s.requeue(t,
			fmt.Sprintf(`{"plan": %q, "batch_id": %q}`, planEU, eu[2])).Content), "a pending task becomes due")
}

// recordWaiting records n batches with one task each, whose next attempt is at due.
func recordWaiting(t *testing.T, s store.Store, plan string, n int, due time.Time) {
	t.Helper()
	for i := range n {
		id := fmt.Sprintf("waiting-%03d", i)
		record(t, s, plan, morning(0), store.Confirmation{BatchID: id, Recipients: []string{alice}})
		record(t, s, plan, morning(time.Second), store.Settlement{
			BatchID: id, Recipients: []string{alice}, Outcome: store.OutcomeRetry, Reason: store.ReasonServer, Due: due,
		})
	}
}

// A requeue of a batch, of its plan or of all makes waiting tasks due.
func TestRequeueMakesWaitingTasksDue(t *testing.T) {
	for body, batches := range map[string]int{
		`{"plan": "acme-eu", "batch_id": "waiting-000"}`: 1, `{"plan": "acme-eu"}`: 205, `{"all": true}`: 208,
	} {
		st, due := handlerstest.OpenStore(t), time.Now().UTC().Truncate(time.Second).Add(time.Hour)
		recordWaiting(t, st, planEU, 205, due) // several pages
		recordWaiting(t, st, planUS, 3, due)
		s := serve(t, Config{}, st, handlerstest.Quiet())
		waiting := func() (n int) {
			for _, plan := range []string{planEU, planUS} {
				page, err := st.Tasks(t.Context(),
					store.TaskQuery{Plan: plan, Due: due, Paging: store.Paging{Limit: 500}})
				require.NoError(t, err)
				n += len(page.Items)
			}
			return n
		}
		require.Equal(t, 208, waiting())
		require.JSONEq(t, fmt.Sprintf(`{"batches": %d, "recipients": 0, "more": false}`, batches),
			string(s.requeue(t, body).Content))
		require.Equal(t, 208-batches, waiting(), body)
	}
}

// A plan may be paused although its tasks are due. A requeue ends this pause too, and only that of the named plan.
func TestRequeueEndsThePauseOfAPlan(t *testing.T) {
	for body, want := range map[string][]string{
		`{"plan": "acme-eu", "batch_id": "b"}`: {planEU}, `{"plan": "acme-eu"}`: {planEU}, `{"all": true}`: {
			planEU,
			planUS,
		},
	} {
		var mu sync.Mutex
		var ended []string
		st, err := boltstore.Open(t.Context(), boltstore.Config{Path: t.TempDir(), Observer: store.Observer{
			Folded: func(changes []store.Changes) {
				mu.Lock()
				defer mu.Unlock()
				for _, c := range changes {
					if c.SendNow {
						ended = append(ended, c.Plan)
					}
				}
			},
		}})
		require.NoError(t, err)
		for _, plan := range []string{planEU, planUS} {
			record(t, st, plan, morning(0), store.Confirmation{BatchID: "b", Recipients: []string{alice}})
		}
		s := serve(t, Config{}, st, handlerstest.Quiet())
		require.Equal(t, http.StatusOK, s.requeue(t, body).StatusCode)
		require.NoError(t, st.Close())
		require.ElementsMatch(t, want, ended, body)
	}
}

func TestRequeueRefusesInvalidBodies(t *testing.T) {
	st := handlerstest.OpenStore(t)
	recordDead(t, st, planEU, 2)
	s := serve(t, Config{}, st, handlerstest.Quiet())
	for body, want := range map[string]string{
		``:                                       "invalid body: unexpected end of JSON input",
		`{`:                                      "invalid body",
		`null`:                                   "the request selects nothing, or too much",
		`{}`:                                     "the request selects nothing, or too much",
		`[]`:                                     "invalid body",
		`{"all": false}`:                         "the request selects nothing, or too much",
		`{"all": "true"}`:                        "invalid body",
		`{"batch_id": "acme-eu-000"}`:            "the request selects nothing, or too much",
		`{"all": true, "plan": "acme-eu"}`:       "the request selects nothing, or too much",
		`{"all": true, "batch_id": "x"}`:         "the request selects nothing, or too much",
		`{"plan": ""}`:                           "the request selects nothing, or too much",
		`{"plan": "acme-eu", "batch": "x"}`:      `unknown member "batch"`,
		`{"plan": "acme-eu", "Batch_ID": "x"}`:   `unknown member "Batch_ID"`,
		`{"ALL": true}`:                          `unknown member "ALL"`,
		`{"plan": "acme-eu", "\u017fall": true}`: `unknown member "ſall"`,
		`{"plan": "acme-eu"} {"plan": "acme-u"}`: "invalid body: invalid character",
	} {
		a := s.call(t, http.MethodPost, requeueAddress, body, http.Header{"Content-Type": {"application/json"}})
		require.Equal(t, http.StatusBadRequest, a.StatusCode, body)
		p := a.Problem(t)
		require.Contains(t, p.Detail, want, body)
		require.Contains(t, p.Detail, `expected: {"plan": "P", "batch_id": "B"} for a batch`, body)
	}
	a := s.requeue(t, `{"plan": "acme-eu", "batch_id": "none"}`)
	require.Equal(t, http.StatusNotFound, a.StatusCode)
	a = s.call(t, http.MethodPost, requeueAddress+"?all=true", `{"all": true}`, nil)
	require.Equal(t, http.StatusBadRequest, a.StatusCode)
	require.Equal(t, "all", a.Problem(t).Parameter)
	for _, contentType := range []string{
		"", "text/plain", "application/x-www-form-urlencoded", "application/json;charset", "multipart/form-data",
	} {
		a = s.call(t, http.MethodPost, requeueAddress, `{"all": true}`, http.Header{"Content-Type": {contentType}})
		require.Equal(t, http.StatusUnsupportedMediaType, a.StatusCode, contentType)
	}
	a = s.requeue(t, `{"plan": "`+strings.Repeat("x", maxRequeueBody)+`"}`)
	require.Equal(t, http.StatusRequestEntityTooLarge, a.StatusCode)
	require.Len(t, s.pages(t, "/api/v1/feedback?state=dead", "id", 10), 2, "nothing may be requeued")

	header := http.Header{"Content-Type": {"Application/JSON; charset=utf-8"}}
	a = s.call(t, http.MethodPost, requeueAddress, `{"all": true}`, header)
	require.Equal(t, http.StatusOK, a.StatusCode)
}

// A requeue that fails, applied or not, is answered 503. Repeating the request does the rest.
func TestAFailedRequeueMayBeRepeated(t *testing.T) {
	for name, kind := range map[string]storetest.Kind{
		"not applied": storetest.NotApplied,
		"applied":     storetest.Applied,
	} {
		t.Run(name, func(t *testing.T) {
			st := handlerstest.OpenStore(t)
			ids := recordDead(t, st, planEU, 5)
			failing := storetest.NewFailing(st)
			s := serve(t, Config{}, failing, handlerstest.Quiet())
			failing.Fail(storetest.Requeue, storetest.Works, nil, 2)
			failing.Fail(storetest.Requeue, kind, store.ErrBusy, 1)
			a := s.requeue(t, `{"all": true}`)
			require.Equal(t, http.StatusServiceUnavailable, a.StatusCode)
			require.NotEmpty(t, a.Header.Get("Retry-After"))
			failing.Heal()
			require.Equal(t, http.StatusOK, s.requeue(t, `{"all": true}`).StatusCode)
			require.Empty(t, s.pages(t, "/api/v1/feedback?state=dead", "id", 10))
			require.ElementsMatch(t, ids, s.pages(t, "/api/v1/feedback", "id", 10))
		})
	}
}

func TestRequeueSkipsBatchesDeletedMeanwhile(t *testing.T) {
	st := handlerstest.OpenStore(t)
	recordDead(t, st, planEU, 3)
	failing := storetest.NewFailing(st)
	s := serve(t, Config{}, failing, handlerstest.Quiet())
	failing.Fail(storetest.Requeue, storetest.NotApplied, store.ErrNotFound, 1)
	require.JSONEq(t, `{"batches": 2, "recipients": 2, "more": false}`, string(s.requeue(t, `{"all": true}`).Content))
}

// A requeue that has used half of its time stops after the current page and answers more: true.
func TestRequeueStopsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = store.DefaultLimit + 1
		st, err := boltstore.Open(t.Context(), boltstore.Config{Path: t.TempDir()})
		require.NoError(t, err)
		defer func() { require.NoError(t, st.Close()) }()
		recordDead(t, st, planEU, n)
		failing := storetest.NewFailing(st)
		p, err := New(Config{Listen: "127.0.0.1:0"}, failing, http.NotFoundHandler(), handlerstest.Quiet())
		require.NoError(t, err)
		requeue := func() *httptest.ResponseRecorder {
			r := httptest.NewRequest(http.MethodPost, requeueAddress, bytes.NewBufferString(`{"all": true}`))
			r.Host = "localhost"
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			p.Handler().ServeHTTP(w, r)
			return w
		}

		failing.Fail(storetest.Requeue, storetest.Slow, nil, 1)
		go func() {
			failing.AwaitWaiting(1)
			time.Sleep(defaultPatience/2 + time.Second)
			failing.Release()
		}()
		require.JSONEq(t, `{"batches": 100, "recipients": 100, "more": true}`, requeue().Body.String())
		require.JSONEq(t, `{"batches": 1, "recipients": 1, "more": false}`, requeue().Body.String())

		recordDead(t, st, planUS, 1)
		failing.Fail(storetest.Requeue, storetest.Stuck, nil, 1)
		require.Equal(t, http.StatusServiceUnavailable, requeue().Code, "Patience limits the wait for the store")
	})
}
