package demo

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"time"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/simulator"
)

// Summary is the end of a story told once, in figures from both sides.
type Summary struct {
	Batches                    int     `json:"batches"`
	CallbacksReceived          int     `json:"callbacks_received"` // calls of the webhook that dlrloop answered
	Duplicates                 int     `json:"duplicates"`
	RecipientsDelivered        int     `json:"recipients_delivered"`
	FeedbackRecipientsExpected int     `json:"feedback_recipients_expected"` // owed, by Sinch's ledger
	FeedbackRecipientsAccepted int     `json:"feedback_recipients_accepted"` // taken, by Sinch's ledger
	FoundMissing               int     `json:"found_missing"`                // messages whose report was lost and read from Sinch
	FeedbackCalls              int     `json:"feedback_calls"`
	Retries                    int     `json:"retries"` // feedback calls that failed
	Dead                       int     `json:"dead"`
	Seconds                    float64 `json:"seconds"`

	missing, unearned int // recipients owed and not accepted, accepted and not owed
}

// pending is how many feedback tasks dlrloop still has.
func (w *world) pending(ctx context.Context) (int, error) {
	t, err := w.totals(ctx)
	return t.Feedback.PendingTasks, err
}

// totals are those of the demo's plan.
type totals struct {
	Duplicates int
	Messages   []struct {
		Status   string
		Messages int
	}
	Feedback struct {
		PendingTasks int `json:"pending_tasks"`
		Dead         int
	}
}

func (w *world) totals(ctx context.Context) (totals, error) {
	var stats struct{ Plans []totals }
	if err := w.get(ctx, "/api/v1/stats", &stats); err != nil || len(stats.Plans) == 0 {
		return totals{}, err
	}
	return stats.Plans[0], nil
}

// sum asks both sides how it went.
func (w *world) sum(ctx context.Context, began time.Time) (s Summary, err error) {
	t, err := w.totals(ctx)
	if err != nil {
		return s, err
	}
	s.Duplicates, s.Dead, s.FoundMissing = t.Duplicates, t.Feedback.Dead, w.story.foundMissing()
	for _, m := range t.Messages {
		if m.Status == "Delivered" {
			s.RecipientsDelivered += m.Messages
		}
	}
	ledger := w.sinch.Ledger()
	s.Batches = len(ledger.Batches)
	for _, c := range ledger.Callbacks {
		for _, a := range c.Attempts {
			if a.Status != 0 {
				s.CallbacksReceived++
			}
		}
	}
	s.FeedbackCalls = len(ledger.Feedback)
	for _, c := range ledger.Feedback {
		if c.Status != http.StatusAccepted {
			s.Retries++
		}
	}
	expected, applied := w.feedback()
	s.FeedbackRecipientsExpected, s.FeedbackRecipientsAccepted = len(expected), len(applied)
	s.missing, s.unearned = without(expected, applied), without(applied, expected)
	s.Seconds = math.Round(time.Since(began).Seconds()*100) / 100
	return s, nil
}

// feedback is which recipients Sinch is owed feedback for, and which it has taken. It is owed for whoever received a batch
// that wants feedback, whether the report came or was lost.
func (w *world) feedback() (expected, applied map[simulator.BatchRecipient]bool) {
	ledger := w.sinch.Ledger()
	expected, applied = make(map[simulator.BatchRecipient]bool), make(map[simulator.BatchRecipient]bool)
	for _, b := range ledger.Batches {
		for _, r := range b.Recipients {
			if b.FeedbackEnabled && b.Report != "none" && r.Final && r.Status == string(dlr.Delivered) {
				expected[simulator.BatchRecipient{Batch: b.ID, Recipient: r.Recipient}] = true
			}
		}
	}
	for r := range ledger.AppliedFeedback() {
		applied[r] = true
	}
	return expected, applied
}

// without is how many of a are not in b.
func without(a, b map[simulator.BatchRecipient]bool) (n int) {
	for r := range a {
		if !b[r] {
			n++
		}
	}
	return n
}

// verdict is nil when Sinch accepted exactly what it was owed.
func (s Summary) verdict() error {
	if s.missing > 0 || s.unearned > 0 || s.FeedbackRecipientsExpected == 0 {
		return fmt.Errorf("demo: feedback for %d recipients was owed, %d of them never reached Sinch, and %d were not owed",
			s.FeedbackRecipientsExpected, s.missing, s.unearned)
	}
	return nil
}

// sum writes the summary.
func (s *story) sum(t Summary) {
	fmt.Fprintf(s.out, "\n%s\n", s.paint(bold, fmt.Sprintf("The loop is closed, after %.1f seconds.", t.Seconds)))
	for _, l := range []struct {
		figure int
		text   string
	}{
		{t.Batches, "batches sent"},
		{t.CallbacksReceived, "callbacks received"},
		{t.Duplicates, "of them repeats, absorbed"},
		{t.RecipientsDelivered, "recipients delivered"},
		{t.FoundMissing, "of them found by asking Sinch, their reports having been lost"},
		{t.FeedbackRecipientsExpected, "recipients owed feedback"},
		{t.FeedbackRecipientsAccepted, "recipients whose feedback Sinch accepted"},
		{t.FeedbackCalls, "feedback calls"},
		{t.Retries, "of them failed, and were tried again"},
		{t.Dead, "recipients given up"},
	} {
		fmt.Fprintf(s.out, "  %5d  %s\n", l.figure, l.text)
	}
}
