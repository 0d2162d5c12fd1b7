// Package store defines the contract of a store of delivery reports and delivery feedback: the interface Store, the
// arrivals that it records, the rows that its readers see, the policy of a plan, and the errors. It imports only dlr.
// Package boltstore and package pgstore implement the contract. Both use package commit to make arrivals durable in
// groups, and package fold to apply them to the state.
//
// # Contract
//
// When Record returns nil, the arrival survives kill -9 and power loss, and every later read sees its effects.
// When Record returns an error, the arrival may still be durable: an error from a commit does not mean "not stored".
// Recording it again is safe: reports are compared by content, so nothing is lost and nothing counts twice.
//
// A store folds arrivals in the order in which they became durable, each exactly once, in one transaction with all
// effects: state, counts, tasks and report log never disagree.
//
// Times are UTC, truncated to the millisecond, and passed in; no stored time comes from the clock of a store.
//
// A store is safe for concurrent use.
package store

import (
	"context"
	"errors"
	"time"

	"github.com/dlrloop/dlrloop/dlr"
)

// The errors that the methods of Store return. They may be wrapped, so compare with errors.Is.
var (
	// ErrNotFound means that the batch or recipient does not exist.
	ErrNotFound = errors.New("not found")
	// ErrBusy means backpressure: too many arrivals wait for a commit or for the fold. Retry later.
	ErrBusy = errors.New("store is busy")
	// ErrClosed means that the store was closed or shut itself down after a failed sync.
	ErrClosed = errors.New("store is closed")
	// ErrDamaged means that stored bytes differ from what was written: disk or memory corrupted them.
	ErrDamaged = errors.New("damaged")
	// ErrCursor means that Paging.Cursor is malformed or comes from a different read.
	ErrCursor = errors.New("cursor is not valid")
)

// Store persists arrivals and the state derived from them: batches, recipients, feedback tasks and counts.
type Store interface {
	// Record blocks until a is durable. Under backpressure it waits a few seconds at most and then returns ErrBusy. When
	// ctx ends, Record returns the cause, but a may still become durable. The caller must not change slices in a
	// afterwards.
	Record(ctx context.Context, a Arrival) error

	// Settle records s, the result of an attempt at a claimed task of the plan, as Record does; at is the current time.
	// From the call until s is folded, Claim does not return the task again.
	Settle(ctx context.Context, plan string, at time.Time, s Settlement) error

	// Claim leases up to limit feedback tasks of the plan until now+lease: tasks that are due at now and not leased,
	// oldest due time first. It returns an empty slice if no task is due. Settle ends the lease; a task that is not
	// settled in time becomes due again, so a crash loses no feedback, but may send some twice. Unlike a read, Claim
	// may miss arrivals recorded just before, but never a settlement of a task that it returns.
	Claim(ctx context.Context, plan string, now time.Time, lease time.Duration, limit int) ([]Claim, error)

	// MissingReports returns up to limit batches of the plan whose Fetch is due at now, oldest due time first. It leases
	// nothing: it returns a batch again until a ReportFetched is recorded or Sinch calls back. Like Claim,
	// MissingReports may miss arrivals recorded just before.
	MissingReports(ctx context.Context, plan string, now time.Time, limit int) ([]*Batch, error)

	// Batch returns the row of one batch, or ErrNotFound for an unknown batch.
	Batch(ctx context.Context, key BatchKey) (*Batch, error)
	// Batches returns one page of the batches that match q, in descending order of FirstAt.
	Batches(ctx context.Context, q BatchQuery) (Page[*Batch], error)
	// Recipient returns one recipient of a batch with the bodies of its reports, or ErrNotFound. It compares the digits
	// of number, a phone number. If the bodies total many megabytes, a store may omit all but the last; Reports returns
	// them.
	Recipient(ctx context.Context, key BatchKey, number string) (RecipientWithBodies, error)
	// Recipients returns one page of a batch's recipients that match q, in the order of the digits of their phone
	// numbers. It returns ErrNotFound for an unknown batch.
	Recipients(ctx context.Context, key BatchKey, q RecipientQuery) (Page[*Recipient], error)
	// RecipientBatches returns one page of the recipients that have this phone number, over all batches and plans, newest
	// batch first. It compares digits.
	RecipientBatches(ctx context.Context, number string, p Paging) (Page[RecipientInBatch], error)
	// Reports returns one page of a batch's report log, oldest entry first. It returns ErrNotFound for an unknown batch.
	Reports(ctx context.Context, key BatchKey, p Paging) (Page[Logged], error)
	// Tasks returns one page of the batches whose feedback is pending or dead, as q selects. Batches with pending
	// feedback are sorted by due time within a plan.
	Tasks(ctx context.Context, q TaskQuery) (Page[*Batch], error)
	// Quarantine returns one page of the callbacks that could not be parsed, newest first.
	Quarantine(ctx context.Context, p Paging) (Page[QuarantineEntry], error)
	// InboundMessages returns one page of the inbound messages that match q, in descending order of ArrivedAt.
	InboundMessages(ctx context.Context, q InboundQuery) (Page[InboundMessage], error)
	// InboundMessage returns the inbound message with this id, or ErrNotFound.
	InboundMessage(ctx context.Context, plan, id string) (InboundMessage, error)
	// Stats returns the totals of every plan that has any, sorted by plan.
	Stats(ctx context.Context) ([]PlanStats, error)
	// Timeseries returns the message counts of the minutes from <= minute < to, sorted by minute, plan and status. An
	// empty plan selects all plans.
	Timeseries(ctx context.Context, plan string, from, to time.Time) ([]MinuteCount, error)

	// Requeue makes the dead feedback of a batch owed again and returns how many recipients were dead. The task of the
	// batch, if any, becomes due at now, and Changes.SendNow is set. Requeue blocks like Record. It returns ErrNotFound
	// for an unknown batch.
	Requeue(ctx context.Context, key BatchKey, now time.Time) (int, error)
	// DeleteOlder deletes up to limit batches that have no task and a LastAt earlier than before, with their recipients
	// and reports, and minute counts, quarantine entries, inbound messages and events of that age. It returns how many
	// batches it deleted, and in more whether another call would delete more.
	DeleteOlder(ctx context.Context, before time.Time, limit int) (deleted int, more bool, err error)
	// Erase removes a phone number, compared by its digits, from everything that the store holds. A name that begins
	// with ErasedPrefix takes its place in the rows of recipients, in the bodies of reports and quarantined callbacks,
	// in client references and in events, so all counts stay as they are. Feedback that is owed or dead for the number
	// is not sent any more. Inbound messages from or to the number are deleted. If Erase changes events, it raises the
	// Epoch and the LastID of every destination, so that nobody stores an event again that is still in memory. Erase
	// blocks until all this is durable; calling it again is safe. It returns what it has done, also with an error, and
	// an error that wraps ErrNumber if number is not a phone number. An arrival that is recorded during the call or
	// later can bring the number back.
	Erase(ctx context.Context, number string) (Erased, error)

	EventLog

	// Gauges returns cached figures, up to some seconds old. It does not block. The caller must not change the maps.
	Gauges() Gauges
	// Ready returns nil if Record would succeed now, and otherwise the error that Record would return.
	Ready(ctx context.Context) error
	// Close finishes pending Record calls, folds what a short time allows, and releases all resources. Acknowledged
	// arrivals are durable even if the process ends without Close.
	Close() error
}

// Cluster coordinates the replicas that share a store. A Store that several processes can open implements it.
type Cluster interface {
	// AcquireLease acquires or renews the leader lease with this name until the given time, and reports whether this
	// replica holds the lease at now. Only one replica can hold a lease, until the lease ends or the holder closes its
	// store. LeaderLease calls it.
	AcquireLease(ctx context.Context, name string, now, until time.Time) (bool, error)
	// QuotaShare returns this replica's fraction, 0 to 1, of a quota that all replicas share, such as a rate limit. It
	// returns 0 until the other replicas are sure to know this replica. It does not block.
	QuotaShare() float64
}

// Stopper is implemented by a Store that shuts itself down when it no longer knows what is on disk. The process must
// then exit; after a restart the store reads its state from disk.
type Stopper interface {
	// Done returns a channel that is closed when the store shuts itself down. Close does not close the channel.
	Done() <-chan struct{}
	// Err returns nil until Done is closed, and then the error that made the store shut itself down.
	Err() error
}

// MaxRecipients is the largest number of recipients in one feedback call of dlrloop to Sinch.
const MaxRecipients = 1000 // Sinch's limit for the recipients of a batch; it documents none for the call

// Claim is a feedback task (the delivery feedback owed for one batch) that Store.Claim leased to its caller.
type Claim struct {
	Key   BatchKey
	Lease string // identifies the lease; copy it to Settlement.Lease
	Batch *Batch // the row at the time of the claim; its Task is not nil
	// Recipients lists the phone numbers for which to send feedback, as received; at most MaxRecipients.
	Recipients []string
	// WholeBatch is set while the application's confirmation for the whole batch is owed to Sinch. Then Recipients is
	// empty: the confirmation is sent first, in a call of its own.
	WholeBatch bool
}

// Paging selects one page of a list. The zero value selects the first page, with at most DefaultLimit items.
type Paging struct {
	Cursor string // Page.Next of the previous page; empty for the first page
	Limit  int    // 0 means DefaultLimit; more than MaxLimit means MaxLimit
}

// The default and the maximum of Paging.Limit, in items per page.
const (
	DefaultLimit = 100
	MaxLimit     = 1000
)

// Size returns how many items a full page has: Limit, or DefaultLimit if Limit is not positive, but at most MaxLimit.
func (p Paging) Size() int {
	if p.Limit <= 0 {
		return DefaultLimit
	}
	return min(p.Limit, MaxLimit)
}

// Page is one page of a list. Read on until Next is empty: even a page without items can have a next page.
type Page[T any] struct {
	Items []T
	Next  string // Paging.Cursor of the next page; empty on the last page
}

// BatchQuery filters batches; a zero field does not filter.
type BatchQuery struct {
	Plan            string
	Status          dlr.Status // at least one recipient has this present status, or a batch report counted it
	ClientReference string
	From, To        time.Time // From <= FirstAt < To
	Paging
}

// RecipientQuery filters the recipients of one batch; a zero field does not filter.
type RecipientQuery struct {
	Status dlr.Status // the present status
	Paging
}

// TaskQuery filters batches by their feedback: pending (to be sent) or dead (given up).
type TaskQuery struct {
	Dead bool   // selects dead feedback instead of pending
	Plan string // empty selects all plans
	// Due selects pending tasks that are due at this time or later; zero does not filter. It requires Plan.
	Due time.Time
	Paging
}

// RecipientInBatch is a recipient with the key of the batch that was sent to it.
type RecipientInBatch struct {
	Key       BatchKey
	Recipient *Recipient
}

// QuarantineEntry is a callback that could not be parsed, with its plan and the time at which it was received.
type QuarantineEntry struct {
	Plan       string
	ReceivedAt time.Time
	Quarantined
}

// MinuteCount counts the messages of a plan whose first report with one status was received in one minute. A message
// counts again if a later report has the same status with another code.
type MinuteCount struct {
	Minute   time.Time // the start of the minute, UTC
	Plan     string
	Status   dlr.Status // a documented status or dlr.Other
	Messages int
}

// Gauges holds a store's current figures for the metrics, such as its size.
type Gauges struct {
	Plans             map[string]PlanGauges // by plan id
	SizeBytes         int64                 // all files together
	FreeBytes         int64                 // the part of SizeBytes that the store can reuse
	QuarantineEntries int                   // callbacks in the quarantine
	Unfolded          int                   // durable arrivals that are not folded yet

	Replica  string            // id of this replica; empty for a store that cannot be shared
	Replicas []string          // ids of all live replicas, sorted; nil for a store that cannot be shared
	Leaders  map[string]string // id of the holder by name of the leader lease; nil for a store that cannot be shared
}

// PlanGauges holds the current figures of one plan for the metrics.
type PlanGauges struct {
	Tally
	OldestDue time.Time // the earliest Task.Due of the plan; zero if the plan has no task
}

// Observer holds functions that a store calls after an event, such as a commit. A nil function is not called. A
// function must return quickly, must not call the store, and must be safe for concurrent use.
type Observer struct {
	// Committed is called after each attempt to make a group of arrivals durable, with the size of the group in arrivals
	// and bytes, how long the attempt took, and its error or nil.
	Committed func(arrivals, bytes int, took time.Duration, err error)
	// Folded is called with the changes of a fold after the transaction of the fold is committed.
	Folded func([]Changes)
	// Failed is called for each failed operation: commit, fold, read, expire (DeleteOlder), erase, replica or damage.
	// For damage it is called once per damaged row, and err says how the store handled the damage.
	Failed func(operation string, err error)
	// Evicted is called with how many quarantine entries the store deleted to make room for newer entries.
	Evicted func(entries int)
	// Deleted is called after DeleteOlder deleted batches of a plan. dead is how many recipients of these batches had
	// dead feedback.
	Deleted func(plan string, batches, dead int)
}
