package store

import (
	"cmp"
	"slices"
	"time"

	"github.com/dlrloop/dlrloop/dlr"
)

// PlanStats holds the totals of one plan since its store was created.
type PlanStats struct {
	Plan        string
	Batches     int // all batches ever; retention does not lower it
	Recipients  int
	Duplicates  int
	Polled      int
	Quarantined int
	Messages    []StatusTotal // sorted by status, then class
	Feedback    Tally         // present state of the batches that retention has not deleted
}

// StatusTotal counts messages by status and class of code. Both are closed sets.
type StatusTotal struct {
	Status   dlr.Status
	Class    dlr.Class
	Messages int
}

// Apply adds the changes of one call of Fold.
func (s *PlanStats) Apply(c Changes) {
	if c.NewBatch {
		s.Batches++
	}
	s.Recipients += c.NewRecipients
	s.Duplicates += c.Duplicates
	s.Polled += c.Polled
	s.Feedback.Sub(c.Before)
	s.Feedback.Add(c.After)
	for _, t := range c.Taken {
		if t.Messages > 0 {
			s.count(t.Status.Label(), dlr.LookupCode(t.Code).Class, t.Messages)
		}
	}
}

// AddBatch adds everything in the row of a batch, to recount the totals.
func (s *PlanStats) AddBatch(b *Batch) {
	s.Batches++
	s.Feedback.Add(b.Tally())
	for _, r := range b.Reports {
		s.Duplicates += r.Repeats
		if r.Source == FromPoll {
			s.Polled++
		}
	}
	for _, r := range b.Reported {
		if n := r.Messages(); n > 0 {
			s.count(r.Status.Label(), dlr.LookupCode(r.Code).Class, n)
		}
	}
}

func (s *PlanStats) count(status dlr.Status, class dlr.Class, n int) {
	total := StatusTotal{Status: status, Class: class}
	at, found := slices.BinarySearchFunc(s.Messages, total, func(a, b StatusTotal) int {
		return cmp.Or(cmp.Compare(a.Status, b.Status), cmp.Compare(a.Class, b.Class))
	})
	if !found {
		s.Messages = slices.Insert(s.Messages, at, total)
	}
	s.Messages[at].Messages += n
}

// MinuteKey identifies one count of the timeseries.
type MinuteKey struct {
	Minute time.Time
	Plan   string
	Status dlr.Status
}

// Minutes adds the messages newly counted in c to counts.
func (c Changes) Minutes(counts map[MinuteKey]int) {
	for _, t := range c.Taken {
		if t.Messages > 0 {
			counts[MinuteKey{t.ReceivedAt.Truncate(time.Minute), c.Plan, t.Status.Label()}] += t.Messages
		}
	}
}
