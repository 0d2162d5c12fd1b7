package fold

import (
	"slices"
	"time"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// settle applies the result n of a feedback attempt. OutcomeAccepted applies even after the lease ended or the task was
// deleted; other outcomes need an existing task. If n.FullReportFetched is set, settle clears Batch.NeedsFullReport,
// except with OutcomeDead, which markDead handles.
func (f *folding) settle(n store.Settlement, at time.Time) {
	b := f.batch
	f.changes.Settled = append(f.changes.Settled, n.Lease)
	if n.FullReportFetched && n.Outcome != store.OutcomeDead {
		f.clearFullReport()
	}
	switch n.Outcome {
	case store.OutcomeAccepted:
		sent := f.moveAll(n.Recipients, store.FeedbackSent, at, store.FeedbackOwed, store.FeedbackDead)
		f.changes.Accepted += len(sent)
		wholeBatch := f.moveWholeBatch(n.WholeBatch, store.FeedbackSent, store.FeedbackOwed, store.FeedbackDead)
		f.feedback(store.FeedbackAccepted, n, sent, wholeBatch)
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

// succeeded schedules the rest of the task after Sinch accepted a feedback call. The task is due at once if the call
// may not have covered all owed feedback, or if enough feedback is owed to fill another call. Otherwise the task waits
// for Policy.Coalesce, so that more recipients can share the next call.
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

// markDead marks the feedback of the recipients in n as dead (given up). If the full report, which lists all recipients
// by status, could not be fetched, markDead also sets Dead.FullReport.
func (f *folding) markDead(n store.Settlement, at time.Time) {
	b := f.batch
	unread := n.FullReportFetched && b.NeedsFullReport
	b.NeedsFullReport = b.NeedsFullReport && !unread
	dead := f.moveAll(n.Recipients, store.FeedbackDead, at, store.FeedbackOwed)
	f.changes.Dead += len(dead)
	wholeBatch := f.moveWholeBatch(n.WholeBatch, store.FeedbackDead, store.FeedbackOwed)
	f.feedback(store.FeedbackGivenUp, n, dead, wholeBatch)
	if len(dead) > 0 || unread || wholeBatch {
		full := unread || b.Dead != nil && b.Dead.FullReport
		b.Dead = &store.Dead{At: at, Reason: n.Reason, Detail: n.Detail, FullReport: full}
	}
	*b.Task = store.Task{Due: at, Since: b.Task.Since, Limit: b.Task.Limit}
}

// requeue changes dead feedback (given up) back to owed (to be sent), and makes the batch's task due at once.
func (f *folding) requeue(n store.Requeue, at time.Time) {
	b := f.batch
	f.changes.SendNow = true
	requeued := len(f.moveAll(n.Recipients, store.FeedbackOwed, at, store.FeedbackDead))
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

// clearFullReport records that the full report, which lists all recipients by status, need not be fetched any more. It
// clears Batch.NeedsFullReport and Dead.FullReport.
func (f *folding) clearFullReport() {
	f.batch.NeedsFullReport = false
	if f.batch.Dead != nil {
		f.batch.Dead.FullReport = false
		f.clearDead()
	}
}

// clearDead sets Batch.Dead to nil if no feedback of the batch is dead (given up) any more.
func (f *folding) clearDead() {
	if b := f.batch; b.Dead != nil && b.Feedback.Dead == 0 && !b.Dead.FullReport && b.WholeBatch != store.FeedbackDead {
		b.Dead = nil
	}
}

// moveWholeBatch changes Batch.WholeBatch, the feedback state for the application's confirmation of the whole batch,
// from one of prior to next. It does nothing if wholeBatch is false. It reports whether it changed the state.
func (f *folding) moveWholeBatch(wholeBatch bool, next store.FeedbackState, prior ...store.FeedbackState) bool {
	if !wholeBatch || !slices.Contains(prior, f.batch.WholeBatch) {
		return false
	}
	f.batch.WholeBatch = next
	return true
}

// moveAll changes the feedback state of the recipients with these numbers to next if their present state is one of
// prior. It returns the numbers of those that it changed, sharing memory with numbers if these are all.
func (f *folding) moveAll(
	numbers []string, next store.FeedbackState, at time.Time, prior ...store.FeedbackState,
) []string {
	all, moved := true, []string(nil)
	for i, number := range numbers {
		r := f.rows.Recipients[dlr.Digits(number)]
		if r == nil || !slices.Contains(prior, r.Feedback) {
			if all {
				all, moved = false, slices.Clone(numbers[:i])
			}
			continue
		}
		f.move(r, next, at)
		if !all {
			moved = append(moved, number)
		}
	}
	if all {
		return numbers
	}
	return moved
}
