// Package store is the contract for keeping delivery reports and the feedback they earn, and the two pieces that every
// store shares: the Committer, which makes what has queued durable in one go, and Fold, which takes it into the state.
//
// # Contract
//
// When Record returns nil, the arrival survives kill -9 and power loss, and a read begun afterwards sees what it did.
// When Record returns an error, the arrival may still have been kept: an error from a commit does not mean "not stored".
// Whoever repeats it loses nothing and counts nothing twice, since reports are told apart by their content.
//
// Everything is folded in the order in which it was made durable, once, in one transaction with its effects: state, counts, tasks and
// report log never disagree.
//
// Times are UTC, cut to the millisecond, and passed in; a store never asks a clock what to write.
//
// A store is safe for use by any number of goroutines.
package store

import (
	"context"
	"errors"
	"time"

	"github.com/dlrloop/dlrloop/dlr"
)

// Errors that callers tell apart.
var (
	// ErrNotFound means that no such batch or recipient is kept.
	ErrNotFound = errors.New("not found")
	// ErrBusy means that too much waits to be made durable or to be folded; the same call will do later.
	ErrBusy = errors.New("store is busy")
	// ErrClosed means that the store was closed, or ended itself after a failed sync.
	ErrClosed = errors.New("store is closed")
	// ErrDamaged means that something kept is not what was written: the disk or the memory has changed it.
	ErrDamaged = errors.New("damaged")
	// ErrCursor means that a cursor does not come from an earlier page of the same read.
	ErrCursor = errors.New("cursor is not valid")
)

// Store keeps arrivals and what follows from them.
type Store interface {
	// Record makes a durable and returns. It waits while others are made durable with it, and for at most a few seconds
	// while the store is behind; then it returns ErrBusy. A caller whose ctx ends stops waiting, which undoes nothing.
	Record(ctx context.Context, a Arrival) error

	// Claim leases up to limit tasks of the plan that are due at now and not leased, the longest due first, until now+lease. A
	// claim is settled by recording a Settlement that carries its Lease. One not settled by then is due again: a crash
	// loses no feedback but may send some twice. No task due is no error. Unlike a read, it may miss what was recorded
	// a moment before; what it sees is never older than the settlements it has to know.
	Claim(ctx context.Context, plan string, now time.Time, lease time.Duration, limit int) ([]Claim, error)

	// Overdue reads up to limit batches of the plan whose Check is due at now, the longest due first. A batch stays in it until a
	// Checked is recorded or Sinch calls back. Like Claim, it may miss what was recorded a moment before.
	Overdue(ctx context.Context, plan string, now time.Time, limit int) ([]*Batch, error)

	// Batch reads one batch, or ErrNotFound.
	Batch(ctx context.Context, key BatchKey) (*Batch, error)
	// Batches lists batches, those first heard of last first.
	Batches(ctx context.Context, q BatchQuery) (Page[*Batch], error)
	// Recipient reads one recipient with the bytes of its reports, or ErrNotFound. The number is compared on its digits. If the
	// reports are many megabytes, a store may leave out the bytes of all but the last: Reports has them.
	Recipient(ctx context.Context, key BatchKey, number string) (*Recipient, error)
	// Recipients lists a batch's recipients by their digits; ErrNotFound if there is no such batch.
	Recipients(ctx context.Context, key BatchKey, q RecipientQuery) (Page[*Recipient], error)
	// RecipientBatches lists what is known of one number in all batches, the newest batch first.
	RecipientBatches(ctx context.Context, number string, p Paging) (Page[RecipientInBatch], error)
	// Reports lists a batch's report log in the order it was written; ErrNotFound if there is no such batch.
	Reports(ctx context.Context, key BatchKey, p Paging) (Page[Logged], error)
	// Tasks lists the batches whose feedback is pending (the longest due first within a plan) or dead.
	Tasks(ctx context.Context, q TaskQuery) (Page[*Batch], error)
	// Quarantine lists callbacks that were not understood, the newest first.
	Quarantine(ctx context.Context, p Paging) (Page[QuarantineEntry], error)
	// Stats reads the totals of every plan that has any, sorted by plan.
	Stats(ctx context.Context) ([]PlanStats, error)
	// Timeseries reads messages by minute, plan and status for from <= minute < to, in this order; of all plans when plan is
	// empty.
	Timeseries(ctx context.Context, plan string, from, to time.Time) ([]MinuteCount, error)

	// Requeue makes the dead recipients of a batch owed again at now, and its task due, whatever that waits for. If the batch
	// has a task then, Changes.SendNow is set, also if the task was due before. It returns how many recipients were dead;
	// ErrNotFound if there is no such batch.
	Requeue(ctx context.Context, key BatchKey, now time.Time) (int, error)
	// Expire deletes, in small steps, up to limit batches whose last news is older than before and which have no task, with all
	// that belongs to them, and counts and quarantine entries of that age. more says that another call has work.
	Expire(ctx context.Context, before time.Time, limit int) (expired int, more bool, err error)

	// Hold takes a duty for this replica until a time, or keeps it until then, and reports whether this replica has it now. A
	// duty is what one of the replicas that share a store does for all: of those that ask, one has it until its time is over
	// or it is closed. A store that is not shared gives it to whoever asks. See Duty.
	Hold(ctx context.Context, duty string, now, until time.Time) (bool, error)
	// Share is the part of what all replicas together may do that this one may do now: 1 in a store that is not shared, 0 while the
	// others may not know of this one yet. It costs nothing to read.
	Share() float64

	// Gauges returns figures that cost nothing to read; they may be some seconds old.
	Gauges() Gauges
	// Ready returns nil while arrivals are accepted: what is recorded now would be made durable.
	Ready(ctx context.Context) error
	// Done is closed when the store has ended itself, because it cannot know any more what is on disk; Err then says why. The
	// process must end: a start finds out what was kept.
	Done() <-chan struct{}
	Err() error
	// Close ends what Record began, folds what it can in short time and releases everything. Nothing acknowledged depends
	// on it.
	Close() error
}

// Claim is one leased task.
type Claim struct {
	Key   BatchKey
	Lease string // to be given back in the Settlement
	Batch *Batch // as of the claim; its Task is not nil
	// Recipients are the owed ones this claim is about: numbers as they came, at most MaxRecipients.
	Recipients []string
	// Everyone is set when the application said that everyone received the batch and Sinch has not taken that yet. Recipients is empty then:
	// this goes first, in a call of its own.
	Everyone bool
}

// Paging selects one page. The zero value is the first page of DefaultLimit entries.
type Paging struct {
	Cursor string // Next of the page before; empty for the first
	Limit  int    // 0 means DefaultLimit; more than MaxLimit means MaxLimit
}

// Limits of a page.
const (
	DefaultLimit = 100
	MaxLimit     = 1000
)

// Size is the number of entries asked for, within bounds.
func (p Paging) Size() int {
	if p.Limit <= 0 {
		return DefaultLimit
	}
	return min(p.Limit, MaxLimit)
}

// Page is one page. A page may be shorter than asked for, even empty, and still have a Next: a store looks at a bounded
// number of rows for each.
type Page[T any] struct {
	Items []T
	Next  string // empty on the last page
}

// BatchQuery selects batches; zero members select all.
type BatchQuery struct {
	Plan            string
	Status          dlr.Status // at least one recipient is in it now, or a batch report counted it
	ClientReference string
	From, To        time.Time // first heard of: From <= FirstAt < To
	Paging
}

// RecipientQuery selects recipients of one batch; zero members select all.
type RecipientQuery struct {
	Status dlr.Status
	Paging
}

// TaskQuery selects batches by the state of their feedback.
type TaskQuery struct {
	Dead bool   // dead ones instead of pending ones
	Plan string // empty for all plans
	// Due limits the pending ones of a Plan to those that are due at this time or later; zero is no limit.
	Due time.Time
	Paging
}

// RecipientInBatch is a recipient with the batch it belongs to.
type RecipientInBatch struct {
	Key       BatchKey
	Recipient *Recipient
}

// QuarantineEntry is one callback that was not understood.
type QuarantineEntry struct {
	Plan       string
	ReceivedAt time.Time
	Quarantined
}

// MinuteCount is how many messages were newly counted in a status in one minute, by the time they were taken in.
type MinuteCount struct {
	Minute   time.Time
	Plan     string
	Status   dlr.Status // a documented one or dlr.Other
	Messages int
}

// Gauges are a store's figures for a scrape.
type Gauges struct {
	Plans             map[string]PlanGauges
	SizeBytes         int64 // all files
	FreeBytes         int64 // of SizeBytes, what the store can use again
	QuarantineEntries int
	Unfolded          int // arrivals that are durable and not folded yet

	Replica  string            // id of this one; empty for a store that cannot be shared
	Replicas []string          // ids of those that share the store now, sorted; nil for a store that cannot be shared
	Duties   map[string]string // which replica has which duty; nil for a store that cannot be shared
}

// PlanGauges are the figures of one plan.
type PlanGauges struct {
	Tally
	OldestDue time.Time // of the pending tasks; zero when there is none
}

// Observer is told what a store does, from the goroutine that does it: it must be quick and must not call the store.
// Members may be nil.
type Observer struct {
	// Committed tells of each group that was made durable, or was not: its arrivals, bytes, and how long it took.
	Committed func(arrivals, bytes int, took time.Duration, err error)
	// Folded tells what was folded, after its transaction is committed.
	Folded func([]Changes)
	// Failed tells of an operation that failed: commit, fold, read, expire; and of damage, once for each row, with what
	// was done about it.
	Failed func(operation string, err error)
	// Evicted tells that quarantine entries had to go for newer ones.
	Evicted func(entries int)
	// Expired tells of the batches of a plan that retention deleted, and of the recipients in them that were still dead.
	Expired func(plan string, batches, dead int)
}
