package demo

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"time"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/simulator/ledger"
)

// Summary is the result of a run with Config.Once. The numbers come from dlrloop's API, and from the records of the
// simulated Sinch and the simulated application.
type Summary struct {
	Batches                    int     `json:"batches"`
	CallbacksReceived          int     `json:"callbacks_received"` // webhook calls that dlrloop answered
	Duplicates                 int     `json:"duplicates"`
	RecipientsDelivered        int     `json:"recipients_delivered"`
	FeedbackRecipientsExpected int     `json:"feedback_recipients_expected"` // owed, by the simulator's ledger
	FeedbackRecipientsAccepted int     `json:"feedback_recipients_accepted"` // accepted, by the simulator's ledger
	FoundMissing               int     `json:"found_missing"`                // messages whose lost report dlrloop fetched
	FeedbackCalls              int     `json:"feedback_calls"`
	Retries                    int     `json:"retries"` // feedback calls that failed
	Dead                       int     `json:"dead"`
	Events                     int     `json:"events"`            // accepted by the application
	EventsRepeated             int     `json:"events_repeated"`   // delivered again, since the answer was lost
	DeliveriesFailed           int     `json:"deliveries_failed"` // requests that the application failed on purpose
	Seconds                    float64 `json:"seconds"`

	missing, unexpected int      // recipients owed but not accepted, accepted but not owed
	problems            []string // what the application found wrong with the events
}

// pending returns how many batches have feedback that dlrloop still has to send. It asks dlrloop's API.
func (w *world) pending(ctx context.Context) (int, error) {
	t, err := w.totals(ctx)
	return t.Feedback.PendingTasks, err
}

// totals holds counts of one service plan, such as its pending feedback. The demo reads them from dlrloop's API
// (/api/v1/stats).
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

// summarize computes the Summary of a run that began at started. It returns an error if dlrloop's API does not answer.
func (w *world) summarize(ctx context.Context, started time.Time) (s Summary, err error) {
	t, err := w.totals(ctx)
	if err != nil {
		return s, err
	}
	s.Duplicates, s.Dead, s.FoundMissing = t.Duplicates, t.Feedback.Dead, w.printer.fetchedFinal()
	for _, m := range t.Messages {
		if m.Status == "Delivered" {
			s.RecipientsDelivered += m.Messages
		}
	}
	record := w.sinch.Ledger()
	s.Batches = len(record.Batches)
	for _, c := range record.Callbacks {
		for _, a := range c.Attempts {
			if a.Status != 0 {
				s.CallbacksReceived++
			}
		}
	}
	s.FeedbackCalls = len(record.Feedback)
	for _, c := range record.Feedback {
		if c.Status != http.StatusAccepted {
			s.Retries++
		}
	}
	expected, applied := w.feedback()
	s.FeedbackRecipientsExpected, s.FeedbackRecipientsAccepted = len(expected), len(applied)
	s.missing, s.unexpected = countMissing(expected, applied), countMissing(applied, expected)
	received := w.application.Ledger()
	s.Events, s.EventsRepeated, s.problems = received.Events, received.Repeats, received.Problems
	for _, n := range received.Faults {
		s.DeliveriesFailed += n
	}
	s.Seconds = math.Round(time.Since(started).Seconds()*100) / 100
	return s, nil
}

// feedback returns two sets of recipients, from the records of the simulated Sinch. The sets are maps in which every
// value is true. expected holds every recipient who got the message and whose batch wants feedback and reports, even if
// the callback about the recipient was lost. applied holds every recipient whose feedback took effect at Sinch.
func (w *world) feedback() (expected, applied map[ledger.BatchRecipient]bool) {
	record := w.sinch.Ledger()
	expected, applied = make(map[ledger.BatchRecipient]bool), make(map[ledger.BatchRecipient]bool)
	for _, b := range record.Batches {
		for _, r := range b.Recipients {
			if b.FeedbackEnabled && b.Report != "none" && r.Final && r.Status == string(dlr.Delivered) {
				expected[ledger.BatchRecipient{Batch: b.ID, Recipient: r.Recipient}] = true
			}
		}
	}
	for r := range record.AppliedFeedback() {
		applied[r] = true
	}
	return expected, applied
}

// countMissing returns how many recipients are in the set want but not in have.
func countMissing(want, have map[ledger.BatchRecipient]bool) (n int) {
	for r := range want {
		if !have[r] {
			n++
		}
	}
	return n
}

// verdict returns nil if the run succeeded, otherwise an error that says what went wrong. A run succeeds if some
// feedback was expected, Sinch accepted all of the expected feedback and no other, and the application found no fault
// in the events.
func (s Summary) verdict() error {
	if s.missing > 0 || s.unexpected > 0 || s.FeedbackRecipientsExpected == 0 {
		return fmt.Errorf("demo: feedback for %d recipients was owed, %d of them never reached Sinch, and %d were not owed",
			s.FeedbackRecipientsExpected, s.missing, s.unexpected)
	}
	if len(s.problems) > 0 {
		return fmt.Errorf("demo: the application found %d faults in the events, among them: %s", len(s.problems),
			s.problems[0])
	}
	return nil
}

func (p *printer) printSummary(t Summary) {
	fmt.Fprintf(p.out, "\n%s\n", p.paint(bold, fmt.Sprintf("Done after %.1f seconds.", t.Seconds)))
	for _, l := range []struct {
		figure int
		text   string
	}{
		{t.Batches, "batches sent"},
		{t.CallbacksReceived, "callbacks received"},
		{t.Duplicates, "of them duplicates"},
		{t.RecipientsDelivered, "recipients delivered"},
		{t.FoundMissing, "of them read from Sinch because the report was lost"},
		{t.FeedbackRecipientsExpected, "recipients with feedback owed"},
		{t.FeedbackRecipientsAccepted, "recipients whose feedback Sinch accepted"},
		{t.FeedbackCalls, "feedback calls"},
		{t.Retries, "of them failed and were retried"},
		{t.Dead, "recipients with dead feedback"},
		{t.Events, "events accepted by the application"},
		{t.EventsRepeated, "of them delivered again, since the answer was lost"},
		{t.DeliveriesFailed, "deliveries that the application failed on purpose"},
	} {
		fmt.Fprintf(p.out, "  %5d  %s\n", l.figure, l.text)
	}
}
