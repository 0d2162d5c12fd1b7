package store

import (
	"time"

	"github.com/dlrloop/dlrloop/dlr"
)

// Changes lists what one call of Fold changed. Metrics and totals count only changes whose transaction was committed,
// so they count repeated and refolded arrivals once.
type Changes struct {
	Plan, BatchID string
	NewBatch      bool
	NewRecipients int
	Duplicates    int // repeated reports
	Polled        int // new reports that were fetched from Sinch
	Applied       []Applied

	// Numbers of recipients whose feedback was earned, accepted by Sinch, marked dead, and made owed again.
	Earned, Accepted, Dead, Requeued int
	// Settled lists the leases of the settlements, also of those that came too late to change anything.
	Settled []string
	// SendNow is set by a requeue: the relay must attempt the task at once and end the pause of its plan.
	SendNow bool

	Before, After Tally
}

// Applied is one state from a new report: of the recipient Number, or of recipients that the report does not name.
type Applied struct {
	dlr.State         // with the times of RecipientReport.Counted
	Number     string // digits; empty if the report does not name the recipients
	Messages   int    // newly counted in this status and code; 0 if counted before
	ReceivedAt time.Time
	SentAt     time.Time // when the batch was sent; zero if unknown
	Source     Source
}

// Tally is a batch's contribution to the totals of its plan.
type Tally struct {
	PendingTasks, DeadTasks   int
	Owed, Dropped, Sent, Dead int // recipients by feedback state; Dropped instead of Owed if the flag is FlagUnwanted
	// Missing counts messages without a final status whose reports will still be fetched from Sinch. It is 0 for a
	// batch whose SendAt was still ahead at its latest arrival.
	Missing int `json:"Awaited"` // the JSON is stored; Awaited is the stored name
}

// Tally returns the batch's contribution to the totals of its plan.
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

// Add adds o to t.
func (t *Tally) Add(o Tally) { t.add(o, +1) }

// Sub subtracts o from t.
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
