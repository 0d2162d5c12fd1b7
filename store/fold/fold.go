package fold

import (
	"slices"
	"time"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// maxReports limits how many reports are kept per recipient, and how many batch reports are kept per batch. Sinch sends
// only a few; many more are probably forged.
const maxReports = 64

// maxReported limits how many pairs of status and code are counted per batch. Sinch documents fewer pairs; many more
// are probably forged.
const maxReported = 512

// Rows holds the rows of one batch that Fold needs for a group of arrivals: the row of the batch and those of the
// recipients that the arrivals name. The store loads them, Fold changes them, and the store writes them back.
type Rows struct {
	Batch      *store.Batch    // the stored row; for a new batch, a row with only Plan and ID set
	Recipients map[string]*Row // by the digits of the phone number; Fold adds a recipient that is not in the map
	// Chunk is the number of the chunk in which the store will write Log. Fold sets it as Ref.Chunk of each new report.
	Chunk uint64
	// Log collects the new reports, which the store appends to the report log.
	Log []store.Logged
	// Events collects the events that follow from the arrivals, which the store appends to the event log.
	Events []store.Event
}

// Row is the row of one recipient while Fold changes it.
type Row struct {
	store.Recipient
	New     bool // not stored yet
	Changed bool // must be written
}

// Touches calls visit with the digits of every phone number that the arrival names, duplicates included. Before a store
// calls Fold, it loads the rows of these recipients into Rows.Recipients.
func Touches(a store.Arrival, visit func(digits string)) {
	for i := 0; ; i++ {
		numbers, ok := a.Entry.Named(i)
		if !ok {
			return
		}
		for _, number := range numbers {
			visit(dlr.Digits(number))
		}
	}
}

// Fold applies arrivals of one batch to rows, in place and in the given order, and returns what changed. p must be the
// policy of the batch's plan. The result depends only on the arguments. Only Fold decides what is a duplicate, which
// status a recipient has, what is counted and which feedback is owed.
func Fold(rows *Rows, arrivals []store.Arrival, p store.Policy) store.Changes {
	f := folding{rows: rows, batch: rows.Batch, policy: p}
	b := rows.Batch
	f.changes = store.Changes{Plan: b.Plan, BatchID: b.ID, NewBatch: b.FirstAt.IsZero(), Before: b.Tally()}
	f.changes.Applied = make([]store.Applied, 0, len(arrivals)) // usually one recipient per report
	rows.Log = slices.Grow(rows.Log, len(arrivals))
	f.done = p.Events && b.Complete()
	for _, a := range arrivals {
		f.apply(a)
	}
	f.changes.After = rows.Batch.Tally()
	return f.changes
}

// folding is the state of one call of Fold. Its methods apply arrivals to the batch, its recipients and the changes.
type folding struct {
	rows    *Rows
	batch   *store.Batch
	policy  store.Policy
	changes store.Changes
	claims  map[kind]int  // counts in the current batch report
	arrival store.Arrival // the one that is being applied
	done    bool          // the batch was complete before this arrival; used only if policy.Events is set
}

func (f *folding) apply(a store.Arrival) {
	b := f.batch
	f.arrival = a
	if b.FirstAt.IsZero() {
		b.FirstAt = a.At
	}
	if a.At.After(b.LastAt) {
		b.LastAt = a.At
	}
	switch n := a.Entry.(type) {
	case store.Report:
		f.report(report{Report: n}, a.At)
	case report:
		f.report(n, a.At)
	case store.BatchInfo:
		f.replaceInfo(n, a.At)
	case store.FetchNow:
		f.replaceInfo(n.BatchInfo, a.At)
	case store.Confirmation:
		f.confirm(n, a.At)
	case store.Settlement:
		f.settle(n, a.At)
	case store.Requeue:
		f.requeue(n, a.At)
	}
	f.schedule(a.At)
	f.scheduleFetch(a)
	f.completed()
}

// replaceInfo replaces Batch.Info, the stored batch info, with n unless Batch.Info has a later ModifiedAt. It ignores a
// stored ModifiedAt that is more than MaxAhead after at, because that comes from a wrong clock.
func (f *folding) replaceInfo(n store.BatchInfo, at time.Time) {
	b := f.batch
	if n.Unknown {
		if b.Info == nil {
			b.Info = &store.BatchInfo{BatchID: b.ID, Source: n.Source}
		}
		known := *b.Info
		known.Unknown = true
		b.Info = &known
		return
	}
	if b.Info != nil && n.ModifiedAt.Before(b.Info.ModifiedAt) && b.Info.ModifiedAt.Sub(at) <= store.MaxAhead {
		return
	}
	for _, number := range n.Numbers {
		f.row(number)
	}
	n.Numbers = nil
	b.Info = &n
	b.Flag = store.FlagUnwanted
	if n.FeedbackEnabled {
		b.Flag = store.FlagWanted
	}
	if n.ClientReference != "" {
		b.ClientReference = n.ClientReference
	}
}

func (f *folding) confirm(n store.Confirmation, at time.Time) {
	if f.policy.On == store.OnOff {
		return
	}
	if n.WholeBatch && f.batch.WholeBatch == store.FeedbackNone {
		f.batch.WholeBatch = store.FeedbackOwed
	}
	for _, number := range n.Recipients {
		f.earn(f.row(number), at)
	}
}

// row returns the row of the recipient with this phone number. It adds a row for a new recipient.
func (f *folding) row(number string) *Row {
	digits := dlr.Digits(number)
	r := f.rows.Recipients[digits]
	if r == nil {
		r = &Row{Recipient: store.Recipient{Number: number}, New: true, Changed: true}
		f.rows.Recipients[digits] = r
		f.changes.NewRecipients++
	}
	return r
}

// move changes the feedback state of a recipient to next and updates Batch.Feedback, the counts by state.
func (f *folding) move(r *Row, next store.FeedbackState, at time.Time) {
	f.batch.Feedback.Add(r.Feedback, -1)
	f.batch.Feedback.Add(next, +1)
	r.Feedback, r.FeedbackAt, r.Changed = next, at, true
}

// earn makes feedback owed (to be sent) for a recipient, unless the recipient has earned feedback before.
func (f *folding) earn(r *Row, at time.Time) {
	if r.Feedback == store.FeedbackNone {
		f.move(r, store.FeedbackOwed, at)
		f.changes.Earned++
	}
}

// owes reports whether there is feedback to send for the batch or a full report to fetch.
func owes(b *store.Batch) bool {
	return b.Feedback.Owed > 0 || b.NeedsFullReport || b.WholeBatch == store.FeedbackOwed
}

// schedule creates the batch's task if there is feedback to send or a full report to fetch. It deletes the task if
// there is nothing to do, or if Sinch accepts no feedback for the batch.
func (f *folding) schedule(at time.Time) {
	b := f.batch
	switch wanted := b.Flag != store.FlagUnwanted && owes(b); {
	case !wanted:
		b.Task = nil
	case b.Task == nil:
		b.Task = &store.Task{Due: at.Add(f.policy.Coalesce), Since: at}
	}
}

// earnsOnDelivered reports whether a report with status Delivered earns its recipient feedback under the policy p.
func earnsOnDelivered(p store.Policy) bool {
	return p.On == "" || p.On == store.OnDelivered || p.On == store.OnBoth
}
