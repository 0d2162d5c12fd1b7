package store

import (
	"slices"
	"time"

	"github.com/dlrloop/dlrloop/dlr"
)

// MaxRecipients is how many recipients one feedback call may name. Sinch publishes no limit for it; 1000 is its limit for
// the recipients of a batch.
const MaxRecipients = 1000

// maxSeen bounds the reports kept with one recipient, and the batch reports kept with one batch. Sinch sends a handful;
// more means that somebody invents them.
const maxSeen = 64

// maxReported bounds the pairs of status and code that are counted apart in one batch, for the same reason: it is more than
// there are documented ones.
const maxReported = 512

// Rows are the rows of one batch that a group of arrivals touches: loaded by the store, changed by Fold, written back by
// the store.
type Rows struct {
	Batch      *Batch          // as stored, or with only Plan and ID when it is new
	Recipients map[string]*Row // by digits; what is not in it is new
	// Chunk is where the store will put Log; the refs that Fold gives out point into it.
	Chunk uint64
	// Log is what Fold wants kept in the report log: the reports that were new.
	Log []Logged
}

// Row is a recipient's row on its way through the fold.
type Row struct {
	Recipient
	New     bool // not stored yet
	Changed bool // to be written
}

// Logged is one entry of the report log.
type Logged struct {
	ReceivedAt time.Time
	Type       dlr.Type
	Source     Source
	Raw        []byte
}

// Touches calls each with the digits of every recipient whose row Fold needs for a.
func Touches(a Arrival, each func(digits string)) {
	all := func(numbers []string) {
		for _, n := range numbers {
			each(dlr.Digits(n))
		}
	}
	switch n := a.News.(type) {
	case Report:
		for _, e := range n.Entries {
			all(e.Recipients)
		}
	case Facts:
		all(n.Numbers)
	case Confirmation:
		all(n.Recipients)
	case Settlement:
		all(n.Recipients)
	case Requeue:
		all(n.Recipients)
	}
}

// Fold takes arrivals of one batch, in their order, into its rows, and says what changed. It is pure: the same rows and
// arrivals always give the same result, whatever the clock says. It is the one place that decides what is a repeat, which
// state holds, what is counted and what feedback is owed; every store uses it.
func Fold(rows *Rows, arrivals []Arrival, p Policy) Changes {
	f := folding{rows: rows, batch: rows.Batch, policy: p}
	f.changes = Changes{Plan: rows.Batch.Plan, BatchID: rows.Batch.ID, NewBatch: rows.Batch.FirstAt.IsZero(), Before: rows.Batch.Tally()}
	f.changes.Taken = make([]Taken, 0, len(arrivals)) // most are reports of one recipient
	rows.Log = slices.Grow(rows.Log, len(arrivals))
	for _, a := range arrivals {
		f.take(a)
	}
	f.changes.After = rows.Batch.Tally()
	return f.changes
}

// folding is one run of Fold.
type folding struct {
	rows    *Rows
	batch   *Batch
	policy  Policy
	changes Changes
	claims  map[kind]int // of the batch report in hand
}

func (f *folding) take(a Arrival) {
	b := f.batch
	if b.FirstAt.IsZero() {
		b.FirstAt = a.At
	}
	if a.At.After(b.LastAt) {
		b.LastAt = a.At
	}
	switch n := a.News.(type) {
	case Report:
		f.report(n, a.At)
	case Facts:
		f.facts(n, a.At)
	case Confirmation:
		f.confirm(n, a.At)
	case Settlement:
		f.settle(n, a.At)
	case Requeue:
		f.requeue(n, a.At)
	}
	f.schedule(a.At)
	f.expect(a)
}

// facts keeps what Sinch says of the batch, unless something newer is known. A modification known from a time more than
// MaxAhead ahead of these facts' arrival is not newer: a clock was wrong.
func (f *folding) facts(n Facts, at time.Time) {
	b := f.batch
	if n.Missing {
		if b.Facts == nil {
			b.Facts = &Facts{BatchID: b.ID, Source: n.Source}
		}
		known := *b.Facts
		known.Missing = true
		b.Facts = &known
		return
	}
	if b.Facts != nil && n.ModifiedAt.Before(b.Facts.ModifiedAt) && b.Facts.ModifiedAt.Sub(at) <= MaxAhead {
		return
	}
	for _, number := range n.Numbers {
		f.row(number)
	}
	n.Numbers, n.CheckNow = nil, false
	b.Facts = &n
	b.Flag = FlagUnwanted
	if n.FeedbackEnabled {
		b.Flag = FlagWanted
	}
	if n.ClientReference != "" {
		b.ClientReference = n.ClientReference
	}
}

func (f *folding) confirm(n Confirmation, at time.Time) {
	if f.policy.On == OnOff {
		return
	}
	if n.Everyone && f.batch.Everyone == FeedbackNone {
		f.batch.Everyone = FeedbackOwed
	}
	for _, number := range n.Recipients {
		f.earn(f.row(number), at)
	}
}

// row is the row of a number, made when it is new.
func (f *folding) row(number string) *Row {
	digits := dlr.Digits(number)
	r := f.rows.Recipients[digits]
	if r == nil {
		r = &Row{Recipient: Recipient{Number: number}, New: true, Changed: true}
		f.rows.Recipients[digits] = r
		f.changes.NewRecipients++
	}
	return r
}

// move takes a recipient from one feedback state to another and keeps the batch's counts right.
func (f *folding) move(r *Row, to FeedbackState, at time.Time) {
	f.batch.Feedback.add(r.Feedback, -1)
	f.batch.Feedback.add(to, +1)
	r.Feedback, r.FeedbackAt, r.Changed = to, at, true
}

// Count adds a recipient in a state.
func (c *FeedbackCounts) Count(s FeedbackState) { c.add(s, 1) }

func (c *FeedbackCounts) add(s FeedbackState, n int) {
	switch s {
	case FeedbackOwed:
		c.Owed += n
	case FeedbackSent:
		c.Sent += n
	case FeedbackDead:
		c.Dead += n
	case FeedbackNone:
	}
}

// earn makes feedback owed for a recipient that never earned any before.
func (f *folding) earn(r *Row, at time.Time) {
	if r.Feedback == FeedbackNone {
		f.move(r, FeedbackOwed, at)
		f.changes.Earned++
	}
}

// owes reports whether something is to be asked of Sinch for the feedback of the batch.
func (b *Batch) owes() bool { return b.Feedback.Owed > 0 || b.WantFull || b.Everyone == FeedbackOwed }

// schedule makes the task of a batch that has something to do, and ends the task of one that has not.
func (f *folding) schedule(at time.Time) {
	b := f.batch
	switch wanted := b.Flag != FlagUnwanted && b.owes(); {
	case !wanted:
		b.Task = nil
	case b.Task == nil:
		b.Task = &Task{Due: at.Add(f.policy.Coalesce), Since: at}
	}
}
