package simulator

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr/fixtures"
	"github.com/dlrloop/dlrloop/simulator/ledger"
	"github.com/dlrloop/dlrloop/simulator/xms"
)

func (u *customer) cancel(batch string) map[string]any {
	u.t.Helper()
	answer := u.object(u.call(http.MethodDelete, "/batches/"+batch, ""), http.StatusOK)
	require.Equal(u.t, true, answer["canceled"])
	return answer
}

func (u *customer) report(batch string) string {
	u.t.Helper()
	h := u.call(http.MethodGet, "/batches/"+batch+"/delivery_report?type=full", "")
	require.Equal(u.t, http.StatusOK, h.status)
	return h.body
}

func TestCancelBeforeSendAtEmptiesReport(t *testing.T) {
	example := fixtures.Read(t, "cb-dr-sms-empty.json")
	for kind, callbacks := range map[string]int{
		"none": 0, "summary": 1, "full": 1, "per_recipient": 0,
		"per_recipient_final": 0,
	} {
		synctest.Test(t, func(t *testing.T) {
			u := newCustomer(t, Config{Calm: true}).run()
			id := u.send(map[string]any{
				"to": numbers(3), "delivery_report": kind, "feedback_enabled": true,
				"send_at": time.Now().Add(time.Hour),
			})
			require.False(t, u.sim.Settled())
			time.Sleep(time.Minute)
			answer := u.cancel(id)
			require.Equal(t, answer, u.get(id))
			require.Equal(t, "2000-01-01T00:01:00.000Z", answer["modified_at"])
			require.Equal(t, "2000-01-01T00:00:00.000Z", answer["created_at"])
			time.Sleep(2 * time.Hour)
			require.True(t, u.sim.Settled())
			want := u.object(response{status: 200, body: string(example)}, 200)
			want["batch_id"] = id
			require.JSONEq(t, string(xms.Encode(want)), u.report(id))
			require.Len(t, u.received(), callbacks, kind)
			for _, p := range u.received() {
				require.JSONEq(t, string(xms.Encode(want)), string(p.body))
			}
			require.Equal(t, 404, u.call(http.MethodGet, "/batches/"+id+"/delivery_report/12025550000", "").status)
			b := u.sim.Ledger().Batches[0]
			require.True(t, b.Canceled)
			require.False(t, b.Waiting)
			require.Empty(t, b.Recipients)
			require.Empty(t, u.sim.Ledger().OwedFeedback())
			require.Zero(t, u.sim.State().Recipients)
			require.Equal(t, 202, u.feedback(id, "12025550000").status, "feedback must stay enabled")
		})
	}
}

// TestCancelMidway cancels a batch of which some messages are at the SMSC and some are still queued: without Calm,
// the time between status changes differs per message.
func TestCancelMidway(t *testing.T) {
	for kind, callbacks := range map[string]int{"none": 0, "summary": 1, "full": 1, "per_recipient_final": 40} {
		synctest.Test(t, func(t *testing.T) {
			u := newCustomer(t, Config{Seed: 4, Pace: time.Second, Anomalies: anomalies(func(*Anomalies) {})}).run()
			id := u.send(map[string]any{"to": numbers(40), "delivery_report": kind, "feedback_enabled": true})
			time.Sleep(time.Second)
			before := u.recipientStatuses()
			u.cancel(id)
			u.settle()
			stopped := 0
			for number, status := range before {
				want := "Delivered 0"
				if status == "Queued 400" {
					want = "Cancelled 407"
					stopped++
				}
				require.Equal(t, want, u.recipientStatuses()[number])
			}
			require.Greater(t, stopped, 5)
			require.Less(t, stopped, 35)
			require.Len(t, u.received(), callbacks)
			cancelled := 0
			for _, p := range u.received() {
				if p.report.Status == "Cancelled" {
					cancelled++
					require.Equal(t, 407, p.report.Code)
					require.Empty(t, p.report.OperatorAt,
						"a message that never reached an SMSC must have no operator time")
					require.Equal(t, "2000-01-01T00:00:01.000Z", p.report.At)
				}
				for _, row := range p.report.Statuses {
					if row.Status == "Cancelled" {
						cancelled = row.Count
					}
				}
			}
			l := u.sim.Ledger()
			if kind != "none" {
				require.Equal(t, stopped, cancelled)
				require.Len(t, l.OwedFeedback(), 40-stopped, "every message that was not cancelled must be delivered")
			}
		})
	}
}

func TestCancelAfterDispatchKeepsReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true, Pace: time.Second}).run()
		dispatched := u.send(map[string]any{"to": numbers(2), "delivery_report": "full"})
		time.Sleep(1500 * time.Millisecond)
		before := u.report(dispatched)
		require.Contains(t, before, "Dispatched")
		u.cancel(dispatched)
		require.Equal(t, before, u.report(dispatched))
		u.settle()
		after := u.report(dispatched)
		require.Contains(t, after, `"status":"Delivered"`)
		u.cancel(dispatched)
		require.Equal(t, after, u.report(dispatched))
		require.Len(t, u.received(), 1)
	})
}

func TestCancelAgainChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true, Pace: time.Hour}).run()
		waits := u.send(map[string]any{
			"to": numbers(1), "delivery_report": "full",
			"send_at": time.Now().Add(time.Hour),
		})
		queued := u.send(map[string]any{"to": numbers(1), "delivery_report": "full"})
		for _, id := range []string{waits, queued} {
			first := u.cancel(id)
			report := u.report(id)
			time.Sleep(time.Minute)
			require.Equal(t, first, u.cancel(id))
			require.Equal(t, report, u.report(id))
		}
		u.settle()
		require.Len(t, u.received(), 2)
	})
}

func TestCancelWhenDueBeforeRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true})
		id := u.send(map[string]any{"to": numbers(1), "send_at": time.Now().Add(time.Hour)})
		time.Sleep(time.Hour)
		u.cancel(id)
		require.Equal(t, map[string]string{"12025550000": "Cancelled 407"}, u.recipientStatuses())
		u.run().settle()
		require.Equal(t, map[string]string{"12025550000": "Cancelled 407"}, u.recipientStatuses())
	})
}

func TestLostCancellationIsOnlyInTheLedger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true}).run()
		require.NoError(t, u.sim.SetOutcome("12025550000", Outcome{Lost: true}))
		u.cancel(u.send(map[string]any{"to": numbers(1), "delivery_report": "per_recipient_final"}))
		u.settle()
		require.Equal(t, map[string]string{"12025550000": "Cancelled 407"}, u.recipientStatuses())
		require.Empty(t, u.received())
		require.Equal(t, ledger.Lost, u.sim.Ledger().Callbacks[0].Result)
	})
}
