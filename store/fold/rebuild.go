package fold

import (
	"slices"
	"time"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// FeedbackUnsettled is the feedback state of a recipient while its row is rebuilt, until Verdict.Settle decides the
// true state. A read must not return such a recipient.
const FeedbackUnsettled = store.FeedbackDead + 1

// Rebuild restores damaged rows of one batch and its recipients from the report log. A store calls, in this order:
// Apply for each report of the log, Tally for each recipient, Decide, Verdict.Settle for each recipient that is
// FeedbackUnsettled, Count for each recipient, and Finish. Undamaged recipient rows stay as they are.
type Rebuild struct {
	Batch  *store.Batch // as stored; if Lost, only Plan, ID, FirstAt and LastAt are set
	Lost   bool         // the batch's own row is lost
	Holes  bool         // part of the report log is lost
	Policy store.Policy

	// Partial is the batch report whose folding is unfinished according to the journal; Done is how many of its
	// recipients are folded.
	Partial store.Arrival
	Done    int

	summary         bool // the last batch report with a delivery count was a callback, not fetched
	intact          store.FeedbackCounts
	rebuilt, earned int
	counts          *store.Batch
}

// Folded returns how many recipients of a logged report must be applied, counted from the first: all of them, or fewer
// for a batch report whose folding is unfinished.
func (r *Rebuild) Folded(a *store.Arrival) int {
	n, ok := reportOf(a.Entry)
	if !ok || !n.Type.Batch() {
		return a.Entry.Names()
	}
	if p, ok := reportOf(r.Partial.Entry); ok && p.key() == n.key() {
		return r.Done
	}
	if done := Folded(a, r.Batch); done > 0 {
		return done
	}
	return a.Entry.Names()
}

// Apply applies a logged report, or a part of one, as Fold did when the report arrived, but only to recipients whose
// row is missing in rows or has the state FeedbackUnsettled. ref is the report's place in the log.
func (r *Rebuild) Apply(rows map[string]*Row, a store.Arrival, ref store.Ref) {
	n, ok := reportOf(a.Entry)
	if !ok {
		return
	}
	scratch := &store.Batch{}
	f := folding{rows: &Rows{Batch: scratch, Recipients: rows}, batch: scratch}
	for _, e := range n.Entries {
		for _, number := range e.Recipients {
			if row := rows[dlr.Digits(number)]; row != nil && row.Feedback != FeedbackUnsettled {
				continue
			}
			row := f.row(number)
			row.Feedback = FeedbackUnsettled
			f.addRecipientReport(row, store.RecipientReport{State: e.State, ReceivedAt: a.At, Source: n.Source, Ref: ref})
		}
	}
	if r.Lost {
		r.restoreBatch(n, a.At, ref)
	}
}

// restoreBatch applies a logged report to the row of the batch, which was lost and is being rebuilt.
func (r *Rebuild) restoreBatch(n report, at time.Time, ref store.Ref) {
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
		r.addReport(n, at, ref)
	}
	for _, e := range n.Entries {
		counted := f.reported(e.Status, e.Code)
		if !n.Type.Batch() || !n.part.last() {
			continue
		}
		counted.Claimed = max(counted.Claimed, f.claim(counted, e.Count))
		if e.Status == dlr.Delivered || n.Source == store.FromPoll {
			r.summary = n.Source != store.FromPoll
		}
	}
}

// addReport adds a batch report to Batch.Reports and records how many recipients of the report are folded.
func (r *Rebuild) addReport(n report, at time.Time, ref store.Ref) {
	b, key := r.Batch, n.key()
	i := slices.IndexFunc(b.Reports, func(held store.BatchReport) bool { return held.Key == key })
	if i < 0 {
		i = len(b.Reports)
		b.Reports = append(b.Reports, store.BatchReport{Key: key, Type: n.Type, ReceivedAt: at, Source: n.Source, Ref: ref})
	}
	setFolded(&b.Reports[i], n.part)
	if len(b.Reports) > maxReports {
		b.Reports = dropReport(b.Reports)
	}
}

// Tally counts one recipient for the comparison in Decide. Call Tally once for every recipient after the last Apply.
func (r *Rebuild) Tally(rec *store.Recipient) {
	if rec.Feedback != FeedbackUnsettled {
		r.intact.Add(rec.Feedback, 1)
		return
	}
	r.rebuilt++
	if earned(r.Policy, rec) {
		r.earned++
	}
}

// earned reports whether a report of the recipient earned feedback under the policy p.
func earned(p store.Policy, r *store.Recipient) bool {
	return earnsOnDelivered(p) &&
		slices.ContainsFunc(r.Reports, func(s store.RecipientReport) bool { return s.Status == dlr.Delivered })
}

// Verdict says which feedback state the unsettled recipients of a Rebuild get. They get State if All is set. Otherwise
// those whose reports earned feedback get State, and the others FeedbackNone.
type Verdict struct {
	All   bool
	State store.FeedbackState
}

// Decide compares the feedback counts in the batch's row with those of its undamaged recipients. If only one state has
// a higher count in the row, the unsettled recipients get that state. Otherwise their feedback is owed, because sending
// it twice is better than not at all.
func (r *Rebuild) Decide() Verdict {
	if r.Lost {
		return Verdict{State: store.FeedbackOwed}
	}
	old := r.Batch.Feedback
	left := store.FeedbackCounts{
		Owed: max(old.Owed-r.intact.Owed, 0), Sent: max(old.Sent-r.intact.Sent, 0), Dead: max(old.Dead-r.intact.Dead, 0),
	}
	n := left.Owed + left.Sent + left.Dead
	if n == 0 {
		return Verdict{State: store.FeedbackNone}
	}
	v := Verdict{All: n == r.rebuilt && !r.Holes, State: store.FeedbackOwed}
	switch {
	case n < r.earned: // the policy was different when the reports arrived
	case n == left.Sent:
		v.State = store.FeedbackSent
	case n == left.Dead:
		v.State = store.FeedbackDead
	}
	return v
}

// Settle sets the feedback state of an unsettled recipient by v and the policy p. at becomes the FeedbackAt of r.
func (v Verdict) Settle(r *store.Recipient, p store.Policy, at time.Time) {
	r.Feedback, r.FeedbackAt = store.FeedbackNone, time.Time{}
	if v.State != store.FeedbackNone && (v.All || earned(p, r)) {
		r.Feedback, r.FeedbackAt = v.State, at
	}
}

// Count adds a recipient to the new counts of the batch. Call it once for each, after Verdict.Settle and before Finish.
func (r *Rebuild) Count(rec *store.Recipient) {
	if r.counts == nil {
		r.counts = &store.Batch{Reported: slices.Clone(r.Batch.Reported)}
		for i := range r.counts.Reported {
			r.counts.Reported[i].Named = 0
		}
	}
	f := folding{batch: r.counts}
	f.batch.Feedback.Add(rec.Feedback, 1)
	if held, reported := rec.State(); reported {
		f.moveStatus("", held.Status)
	}
	for i, s := range rec.Reports {
		if !hasOther(rec.Reports[:i], i, s.State) {
			f.reported(s.Status, s.Code).Named++
		}
	}
	if r.Lost && rec.FeedbackAt.After(r.Batch.LastAt) {
		r.Batch.LastAt = rec.FeedbackAt
	}
}

// Finish gives the batch the counts that Count collected and derives Batch.Task and Batch.Fetch from them. Messages to
// recipients that could not be restored stay in Reported.Claimed, so that a later report does not count them twice. If
// such messages were delivered, the full report must be fetched, to name the recipients again.
func (r *Rebuild) Finish() {
	b, counts := r.Batch, r.counts
	if counts == nil {
		counts = &store.Batch{Reported: slices.Clone(b.Reported)}
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
	b.NeedsFullReport = b.NeedsFullReport || full && earnsOnDelivered(r.Policy)
	f := folding{batch: b, policy: r.Policy}
	if b.Dead == nil && b.Feedback.Dead > 0 {
		b.Dead = &store.Dead{At: b.LastAt, Reason: store.ReasonRejected, Detail: "the row that said why was damaged"}
	}
	f.clearDead()
	f.schedule(b.LastAt)
	f.scheduleFetch(store.Arrival{At: b.LastAt, Entry: store.Confirmation{BatchID: b.ID}})
}
