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

// Sentinel errors; compare with errors.Is.
var (
	// ErrNotFound means that the batch or recipient does not exist.
	ErrNotFound = errors.New("not found")
	// ErrBusy means that too many arrivals wait for a commit or for the fold; retry later.
	ErrBusy = errors.New("store is busy")
	// ErrClosed means that the store was closed or shut itself down after a failed sync.
	ErrClosed = errors.New("store is closed")
	// ErrDamaged means that stored bytes differ from what was written: disk or memory corrupted them.
	ErrDamaged = errors.New("damaged")
	// ErrCursor means that the cursor is malformed or comes from a different read.
	ErrCursor = errors.New("cursor is not valid")
)

// Store persists arrivals and the state derived from them: batches, recipients, feedback tasks and counts.
type Store interface {
	// Record blocks until a is durable. If the store is behind, Record waits a few seconds at most and then returns
	// ErrBusy. When ctx ends, Record stops waiting, but a may still become durable.
	Record(ctx context.Context, a Arrival) error

	// Settle records s, the result of an attempt at a claimed task, as Record does. From then on until s is folded, the
	// task is not claimed again.
	Settle(ctx context.Context, plan string, at time.Time, s Settlement) error

	// Claim leases up to limit feedback tasks of the plan until now+lease. It picks tasks that are due at now and not
	// leased, oldest due time first. Settle with the claim's Lease settles a task. A task that is not
	// settled within its lease becomes due again: a crash loses no feedback, but may send some twice. It is not an
	// error if no task is due. Unlike a read, Claim may miss arrivals recorded just before, but never a settlement of
	// a task that it returns.
	Claim(ctx context.Context, plan string, now time.Time, lease time.Duration, limit int) ([]Claim, error)

	// MissingReports returns up to limit batches of the plan that have missing reports and whose Check is due at now, oldest
	// due time first. It leases nothing: a batch stays overdue until a ReportFetched is recorded or Sinch calls back. Like
	// Claim, MissingReports may miss arrivals recorded just before.
	MissingReports(ctx context.Context, plan string, now time.Time, limit int) ([]*Batch, error)

	// Batch returns one batch, or ErrNotFound.
	Batch(ctx context.Context, key BatchKey) (*Batch, error)
	// Batches lists batches in descending order of FirstAt.
	Batches(ctx context.Context, q BatchQuery) (Page[*Batch], error)
	// Recipient returns one recipient with the raw bytes of its reports, or ErrNotFound. It compares number by digits.
	// If the reports total many megabytes, a store may omit all raw bytes except those of the last; Reports has them.
	Recipient(ctx context.Context, key BatchKey, number string) (*Recipient, error)
	// Recipients lists a batch's recipients in the order of their digits. It returns ErrNotFound for an unknown batch.
	Recipients(ctx context.Context, key BatchKey, q RecipientQuery) (Page[*Recipient], error)
	// RecipientBatches lists the recipients with this number in all batches, newest batch first.
	RecipientBatches(ctx context.Context, number string, p Paging) (Page[RecipientInBatch], error)
	// Reports lists a batch's report log in the order of writing. It returns ErrNotFound for an unknown batch.
	Reports(ctx context.Context, key BatchKey, p Paging) (Page[Logged], error)
	// Tasks lists the batches whose feedback is pending or dead. Pending ones are sorted by due time within a plan.
	Tasks(ctx context.Context, q TaskQuery) (Page[*Batch], error)
	// Quarantine lists callbacks that were not understood, newest first.
	Quarantine(ctx context.Context, p Paging) (Page[QuarantineEntry], error)
	// Stats returns the totals of every plan that has any, sorted by plan.
	Stats(ctx context.Context) ([]PlanStats, error)
	// Timeseries returns message counts for from <= minute < to, sorted by minute, plan and status. An empty plan
	// selects all plans.
	Timeseries(ctx context.Context, plan string, from, to time.Time) ([]MinuteCount, error)

	// Requeue makes the dead recipients of a batch owed again at now. If the batch then has a task, the task is due at
	// once and Changes.SendNow is set, even if the task was due before. Requeue returns how many recipients were dead,
	// or ErrNotFound for an unknown batch.
	Requeue(ctx context.Context, key BatchKey, now time.Time) (int, error)
	// DeleteOlder deletes up to limit batches that have no task and a LastAt older than before, with their recipients and
	// reports. It also deletes minute counts and quarantine entries of that age. It works in small steps; more reports
	// that another call would delete more.
	DeleteOlder(ctx context.Context, before time.Time, limit int) (expired int, more bool, err error)

	// AcquireLease acquires or renews the leader lease of a duty until the given time and reports whether this replica holds
	// it now. Only one of the replicas that share a store can hold it. The lease is free again at its end, or when
	// its holder closes the store. A store that cannot be shared always grants it. See LeaderLease.
	AcquireLease(ctx context.Context, duty string, now, until time.Time) (bool, error)
	// QuotaShare returns this replica's fraction of a quota that all replicas share, such as a rate limit. It is 1 for a
	// store that cannot be shared, and 0 until the other replicas are sure to know this one. It does not block.
	QuotaShare() float64

	// Gauges returns cached figures, up to some seconds old. It does not block.
	Gauges() Gauges
	// Ready returns nil if the store would make an arrival durable now.
	Ready(ctx context.Context) error
	// Done is closed when the store shuts itself down because it no longer knows what is on disk; Err then returns the
	// cause. The process must exit: the next start reads from disk what was kept.
	Done() <-chan struct{}
	Err() error
	// Close finishes pending Record calls, folds what a short time allows, and releases all resources. Acknowledged
	// arrivals are durable even if the process ends without Close.
	Close() error
}

// MaxRecipients is the largest number of recipients in one feedback call. Sinch documents no limit; 1000 is its limit
// for the recipients of a batch.
const MaxRecipients = 1000

// Claim is one leased feedback task.
type Claim struct {
	Key   BatchKey
	Lease string // to be copied into the Settlement
	Batch *Batch // as of the claim; Task is not nil
	// Recipients are the owed recipients of this claim: numbers as received, at most MaxRecipients.
	Recipients []string
	// WholeBatch is set while the application's confirmation for the whole batch has not been accepted by Sinch.
	// Recipients is empty then: that confirmation is sent first, in a call of its own.
	WholeBatch bool
}

// Paging selects one page. The zero value is the first page of DefaultLimit entries.
type Paging struct {
	Cursor string // Next of the previous page; empty for the first page
	Limit  int    // 0 means DefaultLimit; more than MaxLimit means MaxLimit
}

// Page sizes.
const (
	DefaultLimit = 100
	MaxLimit     = 1000
)

// Size returns Limit with the default and the maximum applied.
func (p Paging) Size() int {
	if p.Limit <= 0 {
		return DefaultLimit
	}
	return min(p.Limit, MaxLimit)
}

// Page is one page of a list. A page can be shorter than its limit, even empty, and still have a Next, because a store
// reads a bounded number of rows per page.
type Page[T any] struct {
	Items []T
	Next  string // empty on the last page
}

// BatchQuery filters batches; a zero member does not filter.
type BatchQuery struct {
	Plan            string
	Status          dlr.Status // the present status of at least one recipient, or one that a batch report counted
	ClientReference string
	From, To        time.Time // From <= FirstAt < To
	Paging
}

// RecipientQuery filters the recipients of one batch; a zero member does not filter.
type RecipientQuery struct {
	Status dlr.Status
	Paging
}

// TaskQuery filters batches by the state of their feedback.
type TaskQuery struct {
	Dead bool   // selects dead feedback instead of pending
	Plan string // empty selects all plans
	// Due, with a Plan, selects pending tasks that are due at this time or later; zero does not filter.
	Due time.Time
	Paging
}

// RecipientInBatch is a recipient with the key of its batch.
type RecipientInBatch struct {
	Key       BatchKey
	Recipient *Recipient
}

// QuarantineEntry is a callback that was not understood, with its plan and time of arrival.
type QuarantineEntry struct {
	Plan       string
	ReceivedAt time.Time
	Quarantined
}

// MinuteCount is the number of messages that were first counted in a status during one minute, by time of arrival.
type MinuteCount struct {
	Minute   time.Time
	Plan     string
	Status   dlr.Status // a documented status or dlr.Other
	Messages int
}

// Gauges holds the figures of a store for a metrics scrape.
type Gauges struct {
	Plans             map[string]PlanGauges
	SizeBytes         int64 // all files together
	FreeBytes         int64 // the part of SizeBytes that the store can reuse
	QuarantineEntries int
	Unfolded          int // durable arrivals that are not folded yet

	Replica  string            // id of this replica; empty for a store that cannot be shared
	Replicas []string          // ids of all live replicas, sorted; nil for a store that cannot be shared
	Leaders  map[string]string // replica id by duty; nil for a store that cannot be shared
}

// PlanGauges holds the figures of one plan.
type PlanGauges struct {
	Tally
	OldestDue time.Time // of the pending tasks; zero if there are none
}

// Observer holds callbacks for what a store does. The store calls them synchronously from the goroutine that does it:
// a callback must return quickly and must not call the store. Each member may be nil.
type Observer struct {
	// Committed is called after each attempt to make a group durable, with its arrivals, bytes, duration and error.
	Committed func(arrivals, bytes int, took time.Duration, err error)
	// Folded is called with the changes of a fold after its transaction is committed.
	Folded func([]Changes)
	// Failed is called for each failed operation (commit, fold, read, expire). For damage it is called once per row,
	// and err says how the damage was handled.
	Failed func(operation string, err error)
	// Evicted is called with the number of quarantine entries that were deleted to make room for newer ones.
	Evicted func(entries int)
	// Deleted is called when retention deleted batches of a plan. dead counts their recipients with dead feedback.
	Deleted func(plan string, batches, dead int)
}
