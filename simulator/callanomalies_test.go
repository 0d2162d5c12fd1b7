package simulator

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/simulator/fault"
	"github.com/dlrloop/dlrloop/simulator/ledger"
	"github.com/dlrloop/dlrloop/simulator/xms"
)

// TestAnomaliesOfEachOperation makes every call fail that anomalies may affect. Calls that change something must not
// fail.
func TestAnomaliesOfEachOperation(t *testing.T) {
	mayFail := map[fault.Operation]bool{
		fault.OpDryRun: true, fault.OpList: true, fault.OpBatch: true, fault.OpReport: true, fault.OpFeedback: true,
	}
	for _, c := range goodCalls() {
		t.Run(c.method+" "+c.path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := newCustomer(t, Config{Anomalies: Anomalies{Upstream: 1}})
				const n = 30
				id := u.waiting()
				for range n {
					if c.operation == fault.OpCancel {
						id = u.waiting()
					}
					h, err := u.try(t.Context(), c.method, strings.ReplaceAll(c.path, "{id}", id), c.body)
					if !mayFail[c.operation] {
						require.NoError(t, err)
						require.Less(t, h.status, 300)
					}
				}
				ways := map[fault.Kind]bool{}
				for _, call := range u.sim.Calls() {
					if call.Operation == c.operation {
						ways[call.Fault] = true
					}
				}
				want := map[fault.Kind]bool{"": true}
				if mayFail[c.operation] {
					want = map[fault.Kind]bool{
						fault.Status: true, fault.AppliedBut500: true, fault.Reset: true,
						fault.Latency: true,
					}
				}
				require.Equal(t, want, ways)
			})
		})
	}
}

func TestSeedDecidesWhichListsFail(t *testing.T) {
	list := func(seed uint64) (answers []int) {
		synctest.Test(t, func(t *testing.T) {
			u := newCustomer(t, Config{Seed: seed, Anomalies: Anomalies{Upstream: 0.5}})
			for range 40 {
				_, _ = u.try(t.Context(), http.MethodGet, "/batches", "")
				answers = append(answers, u.sim.Calls()[len(u.sim.Calls())-1].Status)
			}
		})
		return answers
	}
	require.Equal(t, list(1), list(1))
	require.NotEqual(t, list(1), list(2))
}

// TestFaultsOfChanges checks both kinds of fault for every operation that changes something: failed and not applied,
// failed but applied.
func TestFaultsOfChanges(t *testing.T) {
	for _, c := range []struct {
		operation          fault.Operation
		method, path, body string
		took               func(u *customer, id string) bool
	}{
		{
			fault.OpSend, "POST", "/batches", goodBatch,
			func(u *customer, _ string) bool { return len(u.sim.Ledger().Batches) == 2 },
		},
		{
			fault.OpUpdate, "POST", "/batches/{id}", `{"body":"ho"}`,
			func(u *customer, id string) bool { return u.get(id)["body"] == "ho" },
		},
		{
			fault.OpReplace, "PUT", "/batches/{id}", goodBatch,
			func(u *customer, id string) bool { return u.get(id)["from"] == "ACME" },
		},
		{
			fault.OpCancel, "DELETE", "/batches/{id}", "",
			func(u *customer, id string) bool { return u.get(id)["canceled"] == true },
		},
		{
			fault.OpFeedback, "POST", "/batches/{id}/delivery_feedback", goodFeedback,
			func(u *customer, _ string) bool { return len(u.sim.Ledger().AppliedFeedback()) == 1 },
		},
		{fault.OpGroup, "POST", "/groups", `{}`, func(u *customer, _ string) bool {
			return u.object(u.call(http.MethodGet, "/groups", ""), 200)["count"] == 1.0
		}},
	} {
		for kind, applied := range map[fault.Kind]bool{
			fault.Status: false, fault.Reset: false, fault.AppliedBut500: true, fault.AppliedButReset: true,
			fault.Latency: true,
		} {
			t.Run(fmt.Sprint(c.operation, " ", kind), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					u := newCustomer(t, Config{Calm: true})
					id := u.waiting()
					f := fault.Fault{Operation: c.operation, Kind: kind, Times: 1}
					switch kind {
					case fault.Status:
						f.Status = 503
					case fault.Latency:
						f.Latency = time.Second
					}
					require.NoError(t, u.sim.SetFault(f))
					h, _ := u.try(t.Context(), c.method, strings.ReplaceAll(c.path, "{id}", id), c.body)
					require.Equal(t, kind == fault.Latency, h.status >= 200 && h.status < 300)
					require.Equal(t, kind, u.sim.Calls()[len(u.sim.Calls())-1].Fault)
					require.Equal(t, applied, c.took(u, id))
				})
			})
		}
	}
}

func TestControlAcceptsEveryOperation(t *testing.T) {
	s, err := New(Config{Plans: []Plan{{ID: "p", Token: "t"}}})
	require.NoError(t, err)
	control := s.Control()
	for _, operation := range []string{
		"send", "dry_run", "list", "batch", "update", "replace", "cancel", "report",
		"feedback", "group",
	} {
		w := httptest.NewRecorder()
		control.ServeHTTP(w,
			httptest.NewRequest(http.MethodPost, "/control/faults",
				strings.NewReader(`{"operation":"`+operation+`","kind":"reset"}`)))
		require.Equal(t, http.StatusNoContent, w.Code, operation)
	}
	require.Len(t, s.faults.Active(), 10)
}

// TestConcurrentChanges sends, reads, changes and cancels batches from several goroutines while Run sends callbacks.
func TestConcurrentChanges(t *testing.T) {
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(receiver.Close)
	s, err := New(Config{
		Plans: []Plan{{ID: "a", Token: "t", CallbackURL: receiver.URL, Originators: []string{"54321", "12345"}}},
		Seed:  1, Pace: time.Millisecond, Speed: 1000, Anomalies: Anomalies{Upstream: -1},
	})
	require.NoError(t, err)
	api := httptest.NewServer(s.API())
	t.Cleanup(api.Close)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	u := &customer{t: t, sim: s, client: api.Client()}
	header := map[string]string{"Authorization": "Bearer t", "Content-Type": "application/json"}
	call := func(method, path, body string) response { return u.raw(method, api.URL+"/xms/v1/a"+path, body, header) }
	group := u.object(call("POST", "/groups", `{"members":["12025550001"]}`), 201)["id"].(string)
	var customers sync.WaitGroup
	for n := range 8 {
		customers.Go(func() {
			for range 10 {
				// At this speed ten seconds take ten milliseconds, so some batches are dispatched before the next call.
				given := xms.Encode(map[string]any{
					"to": append(numbers(20),
						group), "body": "x ${a}", "parameters": map[string]any{"a": map[string]any{"default": "b"}},
					"max_number_of_message_parts": 1, "delivery_report": "per_recipient",
					"send_at": time.Now().Add(10 * time.Second),
				})
				h := call("POST", "/batches", string(given))
				id, _, _ := strings.Cut(strings.TrimPrefix(h.body, `{"id":"`), `"`)
				call("POST", "/batches/"+id, `{"to_add":["12025559999"]}`)
				call("GET", "/batches", "")
				call("POST", "/groups/"+group, `{"add":["12025550`+fmt.Sprint(200+n)+`"]}`)
				call("GET", "/batches/"+id+"/delivery_report?type=full", "")
				call("PUT", "/batches/"+id, string(given))
				call("DELETE", "/batches/"+id, "")
			}
		})
	}
	customers.Wait()
	require.Eventually(t, s.Settled, time.Minute, 5*time.Millisecond)
	stop()
	require.NoError(t, <-done)
	l := s.Ledger()
	require.Len(t, l.Batches, 80)
	recipients := 0
	for _, b := range l.Batches {
		require.True(t, b.Canceled)
		require.False(t, b.Waiting)
		recipients += len(b.Recipients)
		for _, r := range b.Recipients {
			require.True(t, r.Final)
		}
	}
	require.Equal(t, recipients, s.State().Recipients)
	for _, c := range l.Callbacks {
		require.Equal(t, ledger.Acknowledged, c.Result)
	}
}
