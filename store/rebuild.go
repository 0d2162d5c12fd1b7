package store

import (
	"slices"
	"time"

	"github.com/dlrloop/dlrloop/dlr"
)

// FeedbackUnsettled is the feedback state of a recipient that is being rebuilt. A read must not show such a recipient;
// Verdict.Settle gives it its state.
const FeedbackUnsettled = FeedbackDead + 1

// Rebuild makes damaged rows of one batch again: those of recipients, and the batch's own. A store calls Take with
// each report of the batch's log, in order; then Weigh with each recipient, Decide, and Verdict.Settle for each that
// is unsettled; then Count with each recipient, and Finish. What a row says that was not damaged stays as it is.
type Rebuild struct {
	Batch  *Batch // as stored; only Plan, ID, FirstAt and LastAt if its row is lost
	Lost   bool   // the batch's row is lost
	Holes  bool   // a part of the report log is lost
	Policy Policy

	// Partial is the batch report that is folded in part, if the journal says so, and Done how many of its recipients
	// are folded.
	Partial Arrival
	Done    int

	summary         bool // the last batch report that counts a delivery was called back, not read
	intact          FeedbackCounts
	rebuilt, earned int
	counts          *Batch
}

// Folded is how many recipients of a logged report are folded, in its order.
func (r *Rebuild) Folded(a *Arrival) int {
	n, ok := a.News.(Report)
	if !ok || !n.Type.Batch() {
		return a.Recipients()
	}
	if p, ok := r.Partial.News.(Report); ok && p.key() == n.key() {
		return r.Done
	}
	if done := a.Folded(r.Batch); done > 0 {
		return done
	}
	return a.Recipients()
}

// Take applies a report of the log, or a part of one, to the recipients that are unsettled or not in rows, as Fold
// did when it came. ref is its place in the log. Rows of other recipients stay as they are.
func (r *Rebuild) Take(rows map[string]*Row, a Arrival, ref Ref) {
	n, ok := a.News.(Report)
	if !ok {
		return
	}
	scratch := &Batch{}
	f := folding{rows: &Rows{Batch: scratch, Recipients: rows}, batch: scratch}
	for _, e := range n.Entries {
		for _, number := range e.Recipients {
			if row := rows[dlr.Digits(number)]; row != nil && row.Feedback != FeedbackUnsettled {
				continue
			}
			row := f.row(number)
			row.Feedback = FeedbackUnsettled
			f.see(row, Seen{State: e.State, ReceivedAt: a.At, Source: n.Source, Ref: ref})
		}
	}
	if r.Lost {
		r.collect(n, a.At, ref)
	}
}

// collect takes from a report what the batch's own row held of it.
func (r *Rebuild) collect(n Report, at time.Time, ref Ref) {
	b := r.Batch
	f := folding{batch: b}
	if at.After(b.LastAt) {
		b.LastAt = at
	}
	if b.ClientReference == "" {
		b.ClientReference = n.ClientReference
	}
	if n.Type.Batch() {
		b.Total = max(b.Total, n.Total)
		r.remember(n, at, ref)
	}
	for _, e := range n.Entries {
		counted := f.reported(e.Status, e.Code)
		if !n.Type.Batch() || !n.part.last() {
			continue
		}
		counted.Claimed = max(counted.Claimed, f.claim(counted, e.Count))
		if e.Status == dlr.Delivered || n.Source == FromPoll {
			r.summary = n.Source != FromPoll
		}
	}
}

// remember keeps a batch report with the batch, and how far it is folded.
func (r *Rebuild) remember(n Report, at time.Time, ref Ref) {
	b, key := r.Batch, n.key()
	i := slices.IndexFunc(b.Reports, func(held BatchReport) bool { return held.Key == key })
	if i < 0 {
		i = len(b.Reports)
		b.Reports = append(b.Reports, BatchReport{Key: key, Type: n.Type, ReceivedAt: at, Source: n.Source, Ref: ref})
	}
	b.Reports[i].reached(n.part)
	if len(b.Reports) > maxSeen {
		b.Reports = forgetReport(b.Reports)
	}
}

// Weigh takes a recipient into what Decide decides on.
func (r *Rebuild) Weigh(rec *Recipient) {
	if rec.Feedback != FeedbackUnsettled {
		r.intact.Count(rec.Feedback)
		return
	}
	r.rebuilt++
	if r.Policy.earned(rec) {
		r.earned++
	}
}

// earned reports whether the reports of a recipient earned feedback.
func (p Policy) earned(r *Recipient) bool {
	return p.earnsOnDelivered() && slices.ContainsFunc(r.Seen, func(s Seen) bool { return s.Status == dlr.Delivered })
}

// Verdict says which feedback state unsettled recipients get: State if their reports earned feedback, or if Everyone
// is set; else FeedbackNone.
type Verdict struct {
	Everyone bool
	State    FeedbackState
}

// Decide compares the batch's feedback counts with those of its intact recipients. If the recipients that are missing
// in them were all in one state, the unsettled ones get it. Otherwise their feedback is owed: Sinch may be told
// twice, but is told.
func (r *Rebuild) Decide() Verdict {
	if r.Lost {
		return Verdict{State: FeedbackOwed}
	}
	old := r.Batch.Feedback
	left := FeedbackCounts{
		Owed: max(old.Owed-r.intact.Owed, 0), Sent: max(old.Sent-r.intact.Sent, 0), Dead: max(old.Dead-r.intact.Dead, 0),
	}
	n := left.Owed + left.Sent + left.Dead
	if n == 0 {
		return Verdict{State: FeedbackNone}
	}
	v := Verdict{Everyone: n == r.rebuilt && !r.Holes, State: FeedbackOwed}
	switch {
	case n < r.earned: // the policy was another one
	case n == left.Sent:
		v.State = FeedbackSent
	case n == left.Dead:
		v.State = FeedbackDead
	}
	return v
}

// Settle gives an unsettled recipient its feedback state.
func (v Verdict) Settle(r *Recipient, p Policy, at time.Time) {
	if r.Feedback, r.FeedbackAt = FeedbackNone, (time.Time{}); v.State != FeedbackNone && (v.Everyone || p.earned(r)) {
		r.Feedback, r.FeedbackAt = v.State, at
	}
}

// Count takes a settled recipient into the figures of the batch.
func (r *Rebuild) Count(rec *Recipient) {
	if r.counts == nil {
		r.counts = &Batch{Reported: slices.Clone(r.Batch.Reported)}
		for i := range r.counts.Reported {
			r.counts.Reported[i].Named = 0
		}
	}
	f := folding{batch: r.counts}
	f.batch.Feedback.Count(rec.Feedback)
	if held, reported := rec.State(); reported {
		f.restated("", held.Status)
	}
	for i, s := range rec.Seen {
		if !others(rec.Seen[:i], i, s.State) {
			f.reported(s.Status, s.Code).Named++
		}
	}
	if r.Lost && rec.FeedbackAt.After(r.Batch.LastAt) {
		r.Batch.LastAt = rec.FeedbackAt
	}
}

// Finish gives the batch the figures that Count counted, and what follows from them. Messages of recipients that are
// lost stay counted, as claimed: when they are reported again, nothing counts them twice. If that were deliveries,
// the full report is read, which names them again.
func (r *Rebuild) Finish() {
	b, counts := r.Batch, r.counts
	if counts == nil {
		counts = &Batch{Reported: slices.Clone(b.Reported)}
		for i := range counts.Reported {
			counts.Reported[i].Named = 0
		}
	}
	full := r.Lost && r.Holes
	for i := range counts.Reported {
		c := &counts.Reported[i]
		if i < len(b.Reported) && c.Named < b.Reported[i].Named {
			c.Claimed = max(c.Claimed, b.Reported[i].Named)
			full = full || c.Status == dlr.Delivered
		}
		full = full || r.summary && c.Status == dlr.Delivered && c.Claimed > c.Named
	}
	b.States, b.Reported, b.Feedback = counts.States, counts.Reported, counts.Feedback
	b.WantFull = b.WantFull || full && r.Policy.earnsOnDelivered()
	f := folding{batch: b, policy: r.Policy}
	if b.Dead == nil && b.Feedback.Dead > 0 {
		b.Dead = &Dead{At: b.LastAt, Reason: ReasonRejected, Detail: "the row that said why was damaged"}
	}
	f.revive()
	f.schedule(b.LastAt)
	f.expect(Arrival{At: b.LastAt, News: Confirmation{BatchID: b.ID}})
}
