package store

import (
	"time"

	"github.com/dlrloop/dlrloop/dlr"
)

// Changes are what one run of Fold really changed. Metrics and totals count them, so a repeat counts once and what a
// crash made the store fold again counts only when it is committed.
type Changes struct {
	Plan, BatchID string
	NewBatch      bool
	NewRecipients int
	Duplicates    int // reports that came again
	Polled        int // new reports that were read from Sinch, not called back
	Taken         []Taken

	// Recipients whose feedback was earned, accepted by Sinch, buried, and made owed again.
	Earned, Accepted, Buried, Requeued int
	// SendNow says that a person asked for the feedback to be tried at once, whatever it waits for.
	SendNow bool

	Before, After Tally
}

// Taken is what a new report said of one recipient, or of several it does not name.
type Taken struct {
	dlr.State         // with its times as they count, see Seen.Counted
	Number     string // digits; empty for recipients not named
	Messages   int    // messages newly counted in this status and code; 0 when they were counted before
	ReceivedAt time.Time
	SentAt     time.Time // when the batch left, if that is known
	Source     Source
}

// Tally is what a batch adds to the totals of its plan.
type Tally struct {
	PendingTasks, DeadTasks   int
	Owed, Dropped, Sent, Dead int // recipients by feedback state; owed ones are dropped while the batch wants no feedback
	// Awaited are messages that no report has brought to a final status and that Sinch is still to be asked after; none of a
	// batch that waited for its send_at when it was last heard of.
	Awaited int
}

// Tally is what the batch adds to the totals of its plan.
func (b *Batch) Tally() Tally {
	t := Tally{Owed: b.Feedback.Owed, Sent: b.Feedback.Sent, Dead: b.Feedback.Dead}
	if b.Flag == FlagUnwanted {
		t.Owed, t.Dropped = 0, t.Owed
	}
	if b.Task != nil {
		t.PendingTasks = 1
	}
	if b.Dead != nil {
		t.DeadTasks = 1
	}
	if b.Check != nil && !b.Check.Due.IsZero() && !b.Facts.SendAt.After(b.LastAt) {
		t.Awaited = b.Lacking()
	}
	return t
}

// Add adds o to t.
func (t *Tally) Add(o Tally) { t.add(o, +1) }

// Sub takes o from t.
func (t *Tally) Sub(o Tally) { t.add(o, -1) }

func (t *Tally) add(o Tally, sign int) {
	t.PendingTasks += sign * o.PendingTasks
	t.DeadTasks += sign * o.DeadTasks
	t.Owed += sign * o.Owed
	t.Dropped += sign * o.Dropped
	t.Sent += sign * o.Sent
	t.Dead += sign * o.Dead
	t.Awaited += sign * o.Awaited
}
