package fold

import (
	"slices"
	"time"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// maxReports limits the reports kept per recipient and the batch reports kept per batch. Sinch sends only a few; many
// more are probably forged.
const maxReports = 64

// maxReported limits the distinct pairs of status and code counted per batch, for the same reason. Sinch documents
// fewer pairs.
const maxReported = 512

// Rows holds the rows of one batch that a group of arrivals needs. The store loads them, Fold changes them, and the
// store writes them back.
type Rows struct {
	Batch      *store.Batch    // the stored row; for a new batch, a row with only Plan and ID set
	Recipients map[string]*Row // by the digits of the phone number; Fold adds a recipient that is not in the map
	// Chunk is the number of the chunk in which the store will write Log. Fold sets it as Ref.Chunk of each new report.
	Chunk uint64
	// Log collects the new reports, which the store appends to the report log.
	Log []store.Logged
}

// Row is the row of a recipient during a fold.
type Row struct {
	store.Recipient
	New     bool // not stored yet
	Changed bool // must be written
}

// Touches calls each for every phone number that a names, duplicates included, with the digits of the number. The store
// loads the rows of these recipients into Rows.Recipients before it calls Fold.
func Touches(a store.Arrival, each func(digits string)) {
	for i := 0; ; i++ {
		numbers, ok := a.Entry.Named(i)
		if !ok {
			return
		}
		for _, number := range numbers {
			each(dlr.Digits(number))
		}
	}
}

// Fold applies arrivals of one batch to rows, in place and in the given order, and returns what changed. Pass the
// policy of the batch's plan. The result depends only on the arguments. Only Fold decides what is a duplicate, which
// state wins, what is counted and which feedback is owed.
func Fold(rows *Rows, arrivals []store.Arrival, p store.Policy) store.Changes {
	f := folding{rows: rows, batch: rows.Batch, policy: p}
	b := rows.Batch
	f.changes = store.Changes{Plan: b.Plan, BatchID: b.ID, NewBatch: b.FirstAt.IsZero(), Before: b.Tally()}
	f.changes.Applied = make([]store.Applied, 0, len(arrivals)) // usually one recipient per report
	rows.Log = slices.Grow(rows.Log, len(arrivals))
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
	claims  map[kind]int // counts in the current batch report
}

func (f *folding) apply(a store.Arrival) {
	b := f.batch
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
}

// replaceInfo replaces the batch info unless the known one has a later ModifiedAt. It ignores a known ModifiedAt that
// is more than MaxAhead after the arrival of n, because it comes from a wrong clock.
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

// row returns the row of a number and adds it if necessary.
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

// move changes the feedback state of a recipient and updates the batch's counts.
func (f *folding) move(r *Row, to store.FeedbackState, at time.Time) {
	f.batch.Feedback.Add(r.Feedback, -1)
	f.batch.Feedback.Add(to, +1)
	r.Feedback, r.FeedbackAt, r.Changed = to, at, true
}

// earn makes feedback owed for a recipient that has not earned any before.
func (f *folding) earn(r *Row, at time.Time) {
	if r.Feedback == store.FeedbackNone {
		f.move(r, store.FeedbackOwed, at)
		f.changes.Earned++
	}
}

// owes reports whether feedback must be sent for the batch or its full report fetched.
func owes(b *store.Batch) bool {
	return b.Feedback.Owed > 0 || b.NeedsFullReport || b.WholeBatch == store.FeedbackOwed
}

// schedule creates the batch's task if there is work to do, and deletes it otherwise.
func (f *folding) schedule(at time.Time) {
	b := f.batch
	switch wanted := b.Flag != store.FlagUnwanted && owes(b); {
	case !wanted:
		b.Task = nil
	case b.Task == nil:
		b.Task = &store.Task{Due: at.Add(f.policy.Coalesce), Since: at}
	}
}

// earnsOnDelivered reports whether a report with status Delivered earns feedback.
func earnsOnDelivered(p store.Policy) bool {
	return p.On == "" || p.On == store.OnDelivered || p.On == store.OnBoth
}
