package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/config"
	"github.com/dlrloop/dlrloop/dlr/fixtures"
	"github.com/dlrloop/dlrloop/simulator/fault"
	"github.com/dlrloop/dlrloop/simulator/ledger"
)

// Tests of the rows of "Feedback outcomes" in docs/architecture.md, from sending a batch to sent or dead feedback.

const number = "12025550143"

// applied returns how often Sinch applied feedback for number in a batch.
func (w *world) applied(id string) int {
	return w.sinch.Ledger().AppliedFeedback()[ledger.BatchRecipient{Batch: id, Recipient: number}]
}

// calls returns the number of feedback calls that Sinch received.
func (w *world) calls() int { return len(w.sinch.Ledger().Feedback) }

// counted returns the value of the feedback call counter for a reason.
func (w *world) counted(reason string) string {
	return w.series(fmt.Sprintf("feedback_calls_total{plan=%q,reason=%q}", plan, reason))
}

// series returns the value of a series. Its name has no dlrloop_ prefix.
func (w *world) series(name string) string {
	_, page := w.get("/metrics")
	for line := range strings.Lines(string(page)) {
		if value, found := strings.CutPrefix(line, "dlrloop_"+name+" "); found {
			return strings.TrimSpace(value)
		}
	}
	return "no such series"
}

func TestAccepted(t *testing.T) {
	w := newWorld(t, nil)
	id := w.send("per_recipient_final", true, number, "12025550144")
	w.eventually("sent", func() bool { return w.sinch.Settled() && w.batch(id).Feedback.Sent == 2 })
	assert.Equal(t, 1, w.applied(id))
	assert.Nil(t, w.batch(id).Feedback.Task)
	assert.NotEqual(t, "0", w.counted("accepted"))
}

// TestTransientFailures makes the first two feedback calls fail with each kind of failure that is retried.
func TestTransientFailures(t *testing.T) {
	for reason, f := range map[string]fault.Fault{
		"rate_limited": {Kind: fault.Status, Status: http.StatusTooManyRequests, RetryAfter: "0"},
		"server":       {Kind: fault.Status, Status: http.StatusServiceUnavailable},
		"timeout":      {Kind: fault.Hang},
		"network":      {Kind: fault.Reset},
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			f.Operation, f.Times = fault.OpFeedback, 2
			require.NoError(t, w.sinch.SetFault(f))
			id := w.send("per_recipient_final", true, number)
			w.eventually("sent", func() bool { return w.sinch.Settled() && w.batch(id).Feedback.Sent == 1 })
			assert.Equal(t, 1, w.applied(id))
			assert.Equal(t, "2", w.counted(reason))
			assert.Equal(t, "1", w.counted("accepted"))
		})
	}
}

// TestAppliedButFailed has Sinch apply a call and answer 500: dlrloop cannot tell and must repeat it.
func TestAppliedButFailed(t *testing.T) {
	w := newWorld(t, nil)
	require.NoError(t, w.sinch.SetFault(fault.Fault{
		Operation: fault.OpFeedback,
		Kind:      fault.AppliedBut500, Times: 1,
	}))
	id := w.send("per_recipient_final", true, number)
	w.eventually("sent", func() bool { return w.sinch.Settled() && w.batch(id).Feedback.Sent == 1 })
	assert.Equal(t, 2, w.applied(id))
}

// TestRejectedCredentials has Sinch reject the token: the task is retried and never dead.
func TestRejectedCredentials(t *testing.T) {
	for status, body := range map[int]string{
		http.StatusUnauthorized: "", http.StatusForbidden: `{"code":"blocked_account","text":"no"}`,
	} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			w := newWorld(t, func(c *config.Config) { c.Plans[0].Feedback.GiveUp = config.Duration(time.Millisecond) })
			require.NoError(t, w.sinch.SetFault(fault.Fault{
				Operation: fault.OpFeedback, Kind: fault.Status, Status: status, Body: body,
			}))
			id := w.send("per_recipient_final", true, number)
			w.eventually("rejected three times", func() bool { return w.calls() >= 3 })
			assert.Zero(t, w.batch(id).Feedback.Dead)
			w.sinch.ClearFaults()
			w.eventually("sent", func() bool { return w.batch(id).Feedback.Sent == 1 })
			assert.Equal(t, 1, w.applied(id))
		})
	}
}

// TestNotEnabled sends a batch without feedback_enabled: dlrloop looks it up once and sends no feedback.
func TestNotEnabled(t *testing.T) {
	w := newWorld(t, nil)
	id := w.send("per_recipient", false, number)
	w.eventually("dropped", func() bool { return w.sinch.Settled() && w.batch(id).Feedback.Dropped == 1 })
	b := w.batch(id)
	assert.Equal(t, "unwanted", b.Feedback.Flag)
	assert.Nil(t, b.Feedback.Task)
	assert.Zero(t, w.calls())
}

// TestUnknownBatch posts a report of a batch that does not exist at Sinch, in a plan that does: its feedback becomes
// dead.
func TestUnknownBatch(t *testing.T) {
	w := newWorld(t, nil)
	w.send("per_recipient_final", true, number)
	require.Equal(t, http.StatusOK, w.callback(fixtures.Read(t, "cb-rdr-sms-delivered.json")))
	const id = "01K2S9A1V5K3C8MEX7RQ0YBD4W"
	w.eventually("dead", func() bool { return w.batch(id).Feedback.Dead == 1 })
	b := w.batch(id)
	require.NotNil(t, b.Feedback.DeadInfo)
	assert.Equal(t, "not_enabled_or_unknown", b.Feedback.DeadInfo.Reason)
	assert.Zero(t, w.applied(id))
}

// TestRejected has Sinch reject a call permanently, and requeues the dead feedback.
func TestRejected(t *testing.T) {
	w := newWorld(t, nil)
	require.NoError(t, w.sinch.SetFault(fault.Fault{
		Operation: fault.OpFeedback, Kind: fault.Status, Status: http.StatusBadRequest, Times: 1,
		Body: `{"code":"syntax_constraint_violation","text":"no such thing"}`,
	}))
	id := w.send("per_recipient_final", true, number)
	w.eventually("dead", func() bool { return w.batch(id).Feedback.Dead == 1 })
	b := w.batch(id)
	require.NotNil(t, b.Feedback.DeadInfo)
	assert.Equal(t, "rejected", b.Feedback.DeadInfo.Reason)
	assert.Contains(t, b.Feedback.DeadInfo.Detail, "syntax_constraint_violation")
	assert.Equal(t, 1, w.calls())

	r, err := http.NewRequest(http.MethodPost, "http://"+w.server.PrivateAddr().String()+"/api/v1/feedback/requeue",
		strings.NewReader(fmt.Sprintf(`{"plan":%q,"batch_id":%q}`, plan, id)))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	status, answer := do(t, r)
	require.Equal(t, http.StatusOK, status, "%s", answer)
	w.eventually("sent", func() bool { return w.batch(id).Feedback.Sent == 1 })
	assert.Equal(t, 1, w.applied(id))
	assert.Zero(t, w.batch(id).Feedback.Dead)
}

// TestShutdownReleasesATask stops dlrloop during a call: the attempt does not count, and the next start sends the
// feedback.
func TestShutdownReleasesATask(t *testing.T) {
	w := newWorld(t, func(c *config.Config) { c.Plans[0].Feedback.Timeout = config.Duration(time.Minute) })
	require.NoError(t, w.sinch.SetFault(fault.Fault{
		Operation: fault.OpFeedback, Kind: fault.Hang,
		Times: 1,
	}))
	id := w.send("per_recipient_final", true, number)
	w.eventually("in flight", func() bool { return w.sinch.Settled() && w.hanging() })
	require.NoError(t, w.end())
	w.start()
	w.eventually("sent", func() bool { return w.batch(id).Feedback.Sent == 1 })
	assert.Equal(t, 1, w.applied(id))
}

// hanging reports whether a feedback call to the simulator has no answer yet.
func (w *world) hanging() bool {
	for _, c := range w.sinch.Calls() {
		if c.Operation == fault.OpFeedback && c.Status == 0 {
			return true
		}
	}
	return false
}

// TestSummaryCompleted sends a summary, which names no recipients: dlrloop reads the full report.
func TestSummaryCompleted(t *testing.T) {
	w := newWorld(t, nil)
	id := w.send("summary", true, number, "12025550144", "12025550145")
	w.eventually("sent", func() bool { return w.sinch.Settled() && w.batch(id).Feedback.Sent == 3 })
	b := w.batch(id)
	assert.Equal(t, map[string]int{"Delivered": 3}, b.Counts)
	assert.Equal(t, map[string]int{"Delivered": 3}, b.RecipientsByStatus)
	assert.Equal(t, 1, w.applied(id))
}
