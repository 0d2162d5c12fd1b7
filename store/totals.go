package store

import (
	"cmp"
	"slices"
	"time"

	"github.com/dlrloop/dlrloop/dlr"
)

// PlanStats are the totals of one plan since its store was made.
type PlanStats struct {
	Plan        string
	Batches     int // ever heard of; retention does not lower it
	Recipients  int
	Duplicates  int
	Polled      int
	Quarantined int
	Messages    []StatusTotal // sorted by status, then class
	Feedback    Tally         // and what is awaited: as of now, without what retention deleted
}

// StatusTotal counts messages by status and class of code, both closed sets.
type StatusTotal struct {
	Status   dlr.Status
	Class    dlr.Class
	Messages int
}

// Apply adds what one fold changed.
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

// AddBatch adds all that the row of a batch says, for totals that are counted anew.
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
	at, found := slices.BinarySearchFunc(s.Messages, StatusTotal{Status: status, Class: class}, func(a, b StatusTotal) int {
		return cmp.Or(cmp.Compare(a.Status, b.Status), cmp.Compare(a.Class, b.Class))
	})
	if !found {
		s.Messages = slices.Insert(s.Messages, at, StatusTotal{Status: status, Class: class})
	}
	s.Messages[at].Messages += n
}

// MinuteKey names one count of the timeseries.
type MinuteKey struct {
	Minute time.Time
	Plan   string
	Status dlr.Status
}

// Minutes adds what one fold newly counted to counts.
func (c Changes) Minutes(counts map[MinuteKey]int) {
	for _, t := range c.Taken {
		if t.Messages > 0 {
			counts[MinuteKey{t.ReceivedAt.Truncate(time.Minute), c.Plan, t.Status.Label()}] += t.Messages
		}
	}
}
