package simulator

import (
	"encoding/json"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/simulator/fault"
	"github.com/dlrloop/dlrloop/simulator/ledger"
	"github.com/dlrloop/dlrloop/simulator/xms"
)

func TestOwedFeedback(t *testing.T) {
	for name, c := range map[string]struct {
		kind    string
		enabled bool
		answer  int
		owed    []string
	}{
		"recipient reports":        {"per_recipient_final", true, 200, []string{"12025550000", "12025550002"}},
		"every change":             {"per_recipient", true, 200, []string{"12025550000", "12025550002"}},
		"a full report":            {"full", true, 200, []string{"12025550000", "12025550002"}},
		"a summary":                {"summary", true, 200, []string{"12025550000", "12025550002"}},
		"no report":                {"none", true, 200, nil},
		"feedback not enabled":     {"per_recipient_final", false, 200, nil},
		"reports refused":          {"per_recipient_final", true, 400, nil},
		"a full report refused":    {"full", true, 400, nil},
		"reports not acknowledged": {"per_recipient_final", true, 503, nil},
		"a summary not answered":   {"summary", true, -1, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := newCustomer(t, Config{Calm: true})
				u.answer = func(int, post) int { return c.answer }
				u.run()
				require.NoError(t, u.sim.SetOutcome("12025550001", Outcome{Status: "Failed", Code: 0}))
				id := u.send(map[string]any{"to": numbers(3), "delivery_report": c.kind, "feedback_enabled": c.enabled})
				time.Sleep(2 * time.Second)
				owed := map[ledger.BatchRecipient]bool{}
				missing := []ledger.BatchRecipient(nil)
				for _, number := range c.owed {
					owed[ledger.BatchRecipient{Batch: id, Recipient: number}] = true
					missing = append(missing, ledger.BatchRecipient{Batch: id, Recipient: number})
				}
				l := u.sim.Ledger()
				require.Equal(t, owed, l.OwedFeedback())
				require.Equal(t, missing, l.MissingFeedback())
				require.Empty(t, l.UnearnedFeedback())
			})
		})
	}
}

func TestMissingAndUnearnedFeedback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true}).run()
		require.NoError(t, u.sim.SetOutcome("12025550001", Outcome{Status: "Failed", Code: 0}))
		id := u.send(map[string]any{
			"to": numbers(4), "delivery_report": "per_recipient_final",
			"feedback_enabled": true,
		})
		u.settle()
		u.feedback(id, "12025550000", "12025550001", "447700900118")
		l := u.sim.Ledger()
		require.Equal(t, []ledger.BatchRecipient{
			{Batch: id, Recipient: "12025550002"}, {Batch: id, Recipient: "12025550003"},
		}, l.MissingFeedback())
		require.Equal(t, []ledger.BatchRecipient{
			{Batch: id, Recipient: "12025550001"}, {Batch: id, Recipient: "447700900118"},
		}, l.UnearnedFeedback())
	})
}

func TestLedgerIsASnapshotAndRoundTripsThroughJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true}).run()
		empty := u.sim.Ledger()
		require.JSONEq(t, `{"batches":[],"callbacks":[],"feedback":[]}`, string(xms.Encode(empty)))
		id := u.send(map[string]any{
			"to": numbers(2), "delivery_report": "full", "feedback_enabled": true,
			"client_reference": "r",
		})
		before := u.sim.Ledger()
		u.settle()
		u.feedback(id)
		l := u.sim.Ledger()
		require.Equal(t, "Queued", before.Batches[0].Recipients[0].Status)
		require.False(t, before.Batches[0].Recipients[0].Final)
		require.Empty(t, before.Feedback)
		require.Equal(t, ledger.Batch{
			Plan: testPlan, ID: id, FeedbackEnabled: true, Report: "full", ClientReference: "r",
			Recipients: []ledger.Recipient{
				{
					Recipient: "12025550000", Status: "Delivered", Code: 0, Final: true,
					At: time.Date(2000, 1, 1, 0, 0, 0, 6e8, time.UTC), Feedback: 1,
				},
				{
					Recipient: "12025550001", Status: "Delivered", Code: 0, Final: true,
					At: time.Date(2000, 1, 1, 0, 0, 0, 6e8, time.UTC), Feedback: 1,
				},
			},
		}, l.Batches[0])
		require.Equal(t, []ledger.Callback{{
			Ordinal: 1, Plan: testPlan, Batch: id, Type: "delivery_report_sms", Recipients: numbers(2),
			Result:   ledger.Acknowledged,
			Attempts: []ledger.Attempt{{At: time.Date(2000, 1, 1, 0, 0, 0, 6e8, time.UTC), Status: 200}},
		}}, l.Callbacks)
		var read ledger.Ledger
		require.NoError(t, json.Unmarshal(xms.Encode(l), &read))
		require.Equal(t, l, read)
	})
}

func TestCallHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true})
		id := u.send(map[string]any{"to": numbers(1), "feedback_enabled": true})
		u.call(http.MethodGet, "/batches/nope", "")
		u.feedback(id)
		calls := u.sim.Calls()
		require.Len(t, calls, 3)
		require.Equal(t, ledger.Call{
			Ordinal: 3, At: time.Date(2000, 1, 1, 0, 0, 0, 0,
				time.UTC), Method: "POST", Plan: testPlan, Operation: fault.OpFeedback,
			Path: "/xms/v1/" + testPlan + "/batches/" + id + "/delivery_feedback", Batch: id, Status: 202,
		}, calls[2])
		require.Equal(t, 404, calls[1].Status)
	})
	var h history
	for range maxCalls + 10 {
		h.add(ledger.Call{}, nil)
	}
	all := h.allCalls()
	require.Len(t, all, maxCalls)
	require.Equal(t, 11, all[0].Ordinal)
	require.Equal(t, maxCalls+10, all[maxCalls-1].Ordinal)
}
