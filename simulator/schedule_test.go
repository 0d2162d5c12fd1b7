package simulator

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/simulator/ledger"
	"github.com/dlrloop/dlrloop/simulator/xms"
)

func TestWaitingBatchIsQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true}).run()
		id := u.send(map[string]any{
			"to": numbers(2), "delivery_report": "per_recipient",
			"send_at": time.Now().Add(time.Hour),
		})
		time.Sleep(59 * time.Minute)
		require.Contains(t, u.report(id),
			`"statuses":[{"code":400,"count":2,"recipients":["12025550000","12025550001"],"status":"Queued"}],`+
				`"total_message_count":2`)
		h := u.call(http.MethodGet, "/batches/"+id+"/delivery_report/12025550000", "")
		require.JSONEq(t, `{"at":"2000-01-01T00:00:00.000Z",`+
			`"batch_id":"`+id+`","code":400,"recipient":"12025550000","status":"Queued",
			"type":"recipient_delivery_report_sms"}`, h.body)
		require.True(t, u.sim.Ledger().Batches[0].Waiting)
		require.Empty(t, u.received())
		u.settle()
		require.False(t, u.sim.Ledger().Batches[0].Waiting)
		require.Len(t, u.received(), 4)
		require.Equal(t, "2000-01-01T01:00:00.300Z", u.received()[0].report.At)
	})
}

func TestGroupsAreExpandedAtDispatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true, Plans: []Plan{{
			ID: testPlan, Token: testToken, CallbackURL: hooks,
			Groups: map[string][]string{"growsGroup01": {"12025550000"}, "goneGroup001": {"12025550009"}},
		}}}).run()
		id := u.send(map[string]any{
			"to": []string{
				"growsGroup01", "goneGroup001",
				"12025550143",
			}, "send_at": time.Now().Add(time.Hour), "feedback_enabled": true,
			"delivery_report": "per_recipient_final",
		})
		require.Equal(t, 3, u.sim.State().Recipients)
		require.Equal(t, 202, u.feedback(id, "12025550143").status)
		u.object(u.call(http.MethodPost, "/groups/growsGroup01", `{"add":["12025550001","12025550143"]}`),
			http.StatusOK)
		require.Equal(t, 200, u.call(http.MethodDelete, "/groups/goneGroup001", "").status)
		require.Len(t, u.recipientStatuses(), 3)
		u.settle()
		require.Equal(t, map[string]string{
			"12025550000": "Delivered 0", "12025550001": "Delivered 0", "12025550143": "Delivered 0",
		}, u.recipientStatuses(), "a deleted group must count as empty")
		require.Equal(t, 3, u.sim.State().Recipients)
		require.Len(t, u.received(), 3)
		require.Equal(t, map[ledger.BatchRecipient]int{{Batch: id, Recipient: "12025550143"}: 1},
			u.sim.Ledger().AppliedFeedback(),
			"applied feedback must survive the dispatch")
		require.Equal(t, []any{"growsGroup01", "goneGroup001", "12025550143"}, u.get(id)["to"])
		u.refused(u.call(http.MethodPost, "/batches", `{"to":["goneGroup001"],"from":"ACME","body":"x"}`), 403,
			"unknown_group")
	})
}

func TestMessagesExpireAtExpireAt(t *testing.T) {
	for name, c := range map[string]struct {
		expireAt time.Duration
		want     string
		at       time.Duration
		reports  []string
	}{
		"in time": {
			1500 * time.Second, "Delivered 0", 1200 * time.Second,
			[]string{"Dispatched", "Delivered"},
		},
		"just in time": {
			1200 * time.Second, "Delivered 0", 1200 * time.Second,
			[]string{"Dispatched", "Delivered"},
		},
		"after the SMSC": {
			1199 * time.Second, "Expired 159", 1199 * time.Second,
			[]string{"Dispatched", "Expired"},
		},
		"just after the SMSC": {600 * time.Second, "Expired 159", 600 * time.Second, []string{"Dispatched", "Expired"}},
		"before the SMSC":     {599 * time.Second, "Aborted 406", 599 * time.Second, []string{"Aborted"}},
	} {
		for _, wait := range []time.Duration{0, time.Hour} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					u := newCustomer(t, Config{Calm: true, Pace: 10 * time.Minute}).run()
					start := time.Now().Add(wait)
					u.send(map[string]any{
						"to": numbers(1), "delivery_report": "per_recipient", "send_at": start,
						"expire_at": start.Add(c.expireAt),
					})
					u.settle()
					require.Equal(t, c.want, u.recipientStatuses()["12025550000"])
					require.Equal(t, start.Add(c.at).UTC(), u.sim.Ledger().Batches[0].Recipients[0].At)
					require.ElementsMatch(t, c.reports, statuses(u.received()))
				})
			})
		}
	}
}

func TestSpeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true, Speed: 3600, Pace: time.Hour, RetryUnit: 2 * time.Hour})
		u.answer = func(n int, _ post) int { return []int{200, 500, 500, 500, 200, 200}[n-1] }
		u.run()
		start := time.Now()
		sent := u.object(u.call(http.MethodPost, "/batches", `{"to":["12025550000"],"from":"ACME","body":"x",
			"delivery_report":"per_recipient","send_at":"2000-01-01T10:00:00Z"}`), 201)
		require.Equal(t, "2000-01-01T00:00:00.000Z", sent["created_at"])
		require.Equal(t, "2000-01-04T10:00:00.000Z", sent["expire_at"])
		u.settle()
		var at []time.Duration
		for _, p := range u.received() {
			at = append(at, p.at.Sub(start))
		}
		second := time.Second
		require.Equal(t, []time.Duration{11 * second, 12 * second, 14 * second, 16 * second, 20 * second}, at,
			"dispatched after 10 + 1 hours, delivered after 12, retried after 2, 4 and 8 more")
		require.Equal(t, "2000-01-01T00:00:11.000Z", u.received()[0].report.At, "reports must have real times")
	})
}

func TestSpeedOfExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true, Speed: 3600, Pace: 10 * time.Hour}).run()
		start := time.Now()
		u.send(map[string]any{
			"to": numbers(1), "send_at": start.Add(5 * time.Hour),
			"expire_at": start.Add(20 * time.Hour),
		})
		u.send(map[string]any{"to": numbers(1), "expire_at": start.Add(5 * time.Hour)})
		u.settle()
		l := u.sim.Ledger()
		require.Equal(t, ledger.Recipient{
			Recipient: "12025550000", Status: "Expired", Code: 159, Final: true,
			At: start.Add(20 * time.Second).UTC(), Feedback: 0,
		},
			l.Batches[0].Recipients[0])
		require.Equal(t, ledger.Recipient{
			Recipient: "12025550000", Status: "Aborted", Code: 406, Final: true,
			At: start.Add(5 * time.Second).UTC(), Feedback: 0,
		},
			l.Batches[1].Recipients[0])
	})
}

// TestUpdateKeepsDispatchTime updates a batch halfway to its dispatch. If send_at stays the same, so does the time of
// dispatch.
func TestUpdateKeepsDispatchTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true, Speed: 60, Pace: time.Minute}).run()
		start := time.Now()
		id := u.send(map[string]any{"to": numbers(1), "send_at": start.Add(time.Hour)})
		time.Sleep(30 * time.Second)
		u.object(u.call(http.MethodPost, "/batches/"+id, `{"body":"ho"}`), 200)
		time.Sleep(29 * time.Second)
		require.True(t, u.sim.Ledger().Batches[0].Waiting)
		u.settle()
		require.Equal(t, start.Add(62*time.Second).UTC(), u.sim.Ledger().Batches[0].Recipients[0].At)

		passed := u.send(map[string]any{"to": numbers(1), "send_at": time.Now().Add(time.Hour)})
		time.Sleep(30 * time.Second)
		u.object(u.call(http.MethodPost, "/batches/"+passed,
			string(xms.Encode(map[string]any{"send_at": time.Now().Add(time.Second)}))), 200)
		require.False(t, u.sim.Ledger().Batches[1].Waiting, "by the batch's faster clock this send_at has passed")
	})
}

func TestUpdateMovesSendAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newCustomer(t, Config{Calm: true}).run()
		start := time.Now()
		later := u.send(map[string]any{"to": numbers(1), "send_at": start.Add(time.Hour)})
		earlier := u.send(map[string]any{"to": numbers(1), "send_at": start.Add(time.Hour)})
		now := u.send(map[string]any{"to": numbers(1), "send_at": start.Add(time.Hour)})
		for id, given := range map[string]any{
			later: start.Add(2 * time.Hour), earlier: start.Add(30 * time.Minute),
			now: nil,
		} {
			u.object(u.call(http.MethodPost, "/batches/"+id, string(xms.Encode(map[string]any{"send_at": given}))), 200)
		}
		u.settle()
		for i, wait := range []time.Duration{2 * time.Hour, 30 * time.Minute, 0} {
			require.Equal(t, start.Add(wait+600*time.Millisecond).UTC(), u.sim.Ledger().Batches[i].Recipients[0].At)
		}
	})
}
