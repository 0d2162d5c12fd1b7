package store

import (
	"time"

	"github.com/dlrloop/dlrloop/dlr"
)

// Changes lists what one call of fold.Fold changed in one batch, for metrics and totals. Use it only after the changed
// rows are committed: after a failed commit, the store folds the same arrivals again.
type Changes struct {
	Plan, BatchID string
	NewBatch      bool
	NewRecipients int
	Duplicates    int       // callbacks with a report that was applied before
	Polled        int       // new reports that were fetched from Sinch
	Applied       []Applied // the states that new reports brought, in order

	// How many recipients earned feedback, had it accepted by Sinch, had it marked dead, and owe it again after a
	// requeue.
	Earned, Accepted, Dead, Requeued int
	// Settled lists Settlement.Lease of every folded settlement, also of a settlement that came too late to change
	// anything.
	Settled []string
	// SendNow is set by a requeue: the relay must attempt the task at once and end the pause of its plan.
	SendNow bool

	Before, After Tally // Batch.Tally before and after the fold
}

// Applied is one state (status, code and times) from a new report. It is the state of one recipient, or of messages
// that a batch report counts without naming recipients.
type Applied struct {
	dlr.State            // with the times of RecipientReport.Counted
	Number     string    // digits; empty if the report does not name the recipients
	Messages   int       // messages first counted in this status and code; 0 if an earlier report counted them
	ReceivedAt time.Time // when dlrloop received the report
	SentAt     time.Time // when the batch was sent; zero if unknown
	Source     Source
}

// Tally counts the feedback and the missing reports of one batch, or of all stored batches of a plan. It is stored as
// JSON, so a renamed field keeps its old name in its JSON tag.
type Tally struct {
	PendingTasks, DeadTasks   int // batches with a Task, and batches with Dead set
	Owed, Dropped, Sent, Dead int // recipients by feedback state; Dropped instead of Owed if the flag is FlagUnwanted
	// Missing counts messages without a final status whose reports will still be fetched from Sinch. It is 0 for a
	// batch whose SendAt was still ahead at its latest arrival.
	Missing int `json:"Awaited"` // the tag keeps the stored name
}

// Tally returns the counts of this batch alone.
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
	if b.Fetch != nil && !b.Fetch.Due.IsZero() && !b.Info.SendAt.After(b.LastAt) {
		t.Missing = b.Missing()
	}
	return t
}

// Add adds each count of the tally o to the same count of t.
func (t *Tally) Add(o Tally) { t.add(o, +1) }

// Sub subtracts each count of the tally o from the same count of t.
func (t *Tally) Sub(o Tally) { t.add(o, -1) }

func (t *Tally) add(o Tally, sign int) {
	t.PendingTasks += sign * o.PendingTasks
	t.DeadTasks += sign * o.DeadTasks
	t.Owed += sign * o.Owed
	t.Dropped += sign * o.Dropped
	t.Sent += sign * o.Sent
	t.Dead += sign * o.Dead
	t.Missing += sign * o.Missing
}
