package fold

import (
	"cmp"
	"slices"
	"time"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// AddChanges adds the changes of one call of Fold to the totals of the batch's plan.
func AddChanges(s *store.PlanStats, c store.Changes) {
	if c.NewBatch {
		s.Batches++
	}
	s.Recipients += c.NewRecipients
	s.Duplicates += c.Duplicates
	s.Polled += c.Polled
	s.Feedback.Sub(c.Before)
	s.Feedback.Add(c.After)
	for _, t := range c.Applied {
		if t.Messages > 0 {
			count(s, t.Status.Label(), dlr.LookupCode(t.Code).Class, t.Messages)
		}
	}
}

// AddBatch adds the counts in the row of a batch to the totals of its plan, when the totals are computed anew. It omits
// the counts that only the rows of recipients hold.
func AddBatch(s *store.PlanStats, b *store.Batch) {
	s.Batches++
	s.Feedback.Add(b.Tally())
	for _, r := range b.Reports {
		s.Duplicates += r.Repeats
		if r.Source == store.FromPoll {
			s.Polled++
		}
	}
	for _, r := range b.Reported {
		if n := r.Messages(); n > 0 {
			count(s, r.Status.Label(), dlr.LookupCode(r.Code).Class, n)
		}
	}
}

func count(s *store.PlanStats, status dlr.Status, class dlr.Class, n int) {
	total := store.StatusTotal{Status: status, Class: class}
	at, found := slices.BinarySearchFunc(s.Messages, total, func(a, b store.StatusTotal) int {
		return cmp.Or(cmp.Compare(a.Status, b.Status), cmp.Compare(a.Class, b.Class))
	})
	if !found {
		s.Messages = slices.Insert(s.Messages, at, total)
	}
	s.Messages[at].Messages += n
}

// MinuteKey identifies one message count of the timeseries: by minute, plan and status.
type MinuteKey struct {
	Minute time.Time
	Plan   string
	Status dlr.Status
}

// AddMinutes adds the messages that c counts for the first time to the timeseries counts, by the minute of arrival.
func AddMinutes(counts map[MinuteKey]int, c store.Changes) {
	for _, t := range c.Applied {
		if t.Messages > 0 {
			counts[MinuteKey{t.ReceivedAt.Truncate(time.Minute), c.Plan, t.Status.Label()}] += t.Messages
		}
	}
}
