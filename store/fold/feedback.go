package fold

import (
	"slices"
	"time"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// settle applies the result of a feedback attempt. OutcomeAccepted is applied even after the lease ended or the task
// was deleted; the other outcomes change only an existing task. FullReportFetched clears NeedsFullReport unless the
// outcome is OutcomeDead.
func (f *folding) settle(n store.Settlement, at time.Time) {
	b := f.batch
	f.changes.Settled = append(f.changes.Settled, n.Lease)
	if n.FullReportFetched && n.Outcome != store.OutcomeDead {
		f.clearFullReport()
	}
	switch n.Outcome {
	case store.OutcomeAccepted:
		f.changes.Accepted += f.moveAll(n.Recipients, store.FeedbackSent, at, store.FeedbackOwed, store.FeedbackDead)
		f.moveWholeBatch(n.WholeBatch, store.FeedbackSent, store.FeedbackOwed, store.FeedbackDead)
		f.clearDead()
		f.succeeded(n, at)
	case store.OutcomeProgress:
		if b.Task != nil {
			*b.Task = store.Task{Due: at, Since: b.Task.Since, Limit: b.Task.Limit}
		}
	case store.OutcomeSplit:
		if b.Task != nil {
			b.Task.Due, b.Task.Reason, b.Task.Detail = at, n.Reason, n.Detail
			b.Task.Limit = max(len(n.Recipients)/2, 1)
		}
	case store.OutcomeRetry:
		if b.Task != nil {
			b.Task.Attempts++
			b.Task.Due, b.Task.Reason, b.Task.Detail = n.Due, n.Reason, n.Detail
		}
	case store.OutcomeDead:
		if b.Task != nil {
			f.markDead(n, at)
		}
	case store.OutcomeReleased:
	}
}

// succeeded resets the task after an accepted call. The task is due at once if that call left recipients out, or if
// the owed recipients fill another call. Otherwise it waits for Coalesce to gather more.
func (f *folding) succeeded(n store.Settlement, at time.Time) {
	t := f.batch.Task
	if t == nil {
		return
	}
	left := n.WholeBatch || len(n.Recipients) >= store.MaxRecipients || t.Limit > 0
	next := store.Task{Due: at.Add(f.policy.Coalesce), Since: at}
	if left {
		next.Since = t.Since
	}
	if left || f.batch.Feedback.Owed >= store.MaxRecipients {
		next.Due = at
	}
	if grown := 2 * t.Limit; grown < store.MaxRecipients {
		next.Limit = grown
	}
	*t = next
}

// markDead marks the recipients of a settlement dead. If the settlement gives up on the full report, it sets
// Dead.FullReport.
func (f *folding) markDead(n store.Settlement, at time.Time) {
	b := f.batch
	unread := n.FullReportFetched && b.NeedsFullReport
	b.NeedsFullReport = b.NeedsFullReport && !unread
	dead := f.moveAll(n.Recipients, store.FeedbackDead, at, store.FeedbackOwed)
	f.changes.Dead += dead
	wholeBatch := f.moveWholeBatch(n.WholeBatch, store.FeedbackDead, store.FeedbackOwed)
	if dead > 0 || unread || wholeBatch {
		full := unread || b.Dead != nil && b.Dead.FullReport
		b.Dead = &store.Dead{At: at, Reason: n.Reason, Detail: n.Detail, FullReport: full}
	}
	*b.Task = store.Task{Due: at, Since: b.Task.Since, Limit: b.Task.Limit}
}

// requeue makes dead recipients owed and the task due at once.
func (f *folding) requeue(n store.Requeue, at time.Time) {
	b := f.batch
	f.changes.SendNow = true
	requeued := f.moveAll(n.Recipients, store.FeedbackOwed, at, store.FeedbackDead)
	f.changes.Requeued += requeued
	wholeBatch := f.moveWholeBatch(n.WholeBatch, store.FeedbackOwed, store.FeedbackDead)
	full := b.Dead != nil && b.Dead.FullReport
	if full {
		b.NeedsFullReport, b.Dead.FullReport = true, false
	}
	if requeued == 0 && !full && !wholeBatch {
		if b.Waits(at) {
			b.Task.Due = at
		}
		return
	}
	f.clearDead()
	since := at
	if b.Task != nil {
		since = b.Task.Since
	}
	b.Task = &store.Task{Due: at, Since: since}
}

// clearFullReport records that the full report is not needed any more, neither as pending work nor as dead.
func (f *folding) clearFullReport() {
	f.batch.NeedsFullReport = false
	if f.batch.Dead != nil {
		f.batch.Dead.FullReport = false
		f.clearDead()
	}
}

// clearDead clears Dead once nothing in the batch is dead.
func (f *folding) clearDead() {
	if b := f.batch; b.Dead != nil && b.Feedback.Dead == 0 && !b.Dead.FullReport && b.WholeBatch != store.FeedbackDead {
		b.Dead = nil
	}
}

// moveWholeBatch changes the state of the confirmation for the whole batch if meant is set and the state is one of
// from. It reports whether the state changed.
func (f *folding) moveWholeBatch(meant bool, to store.FeedbackState, from ...store.FeedbackState) bool {
	if !meant || !slices.Contains(from, f.batch.WholeBatch) {
		return false
	}
	f.batch.WholeBatch = to
	return true
}

// moveAll changes the state of those recipients that are in one of the states from, and returns their number.
func (f *folding) moveAll(numbers []string, to store.FeedbackState, at time.Time, from ...store.FeedbackState) int {
	moved := 0
	for _, number := range numbers {
		if r := f.rows.Recipients[dlr.Digits(number)]; r != nil && slices.Contains(from, r.Feedback) {
			f.move(r, to, at)
			moved++
		}
	}
	return moved
}
