package store

import (
	"slices"
	"time"

	"github.com/dlrloop/dlrloop/dlr"
)

// settle takes what became of an attempt. What Sinch accepted is sent whoever says so; everything else counts only while
// there is a task.
func (f *folding) settle(n Settlement, at time.Time) {
	b := f.batch
	if n.FullRead && n.Outcome != Buried {
		f.fullRead()
	}
	switch n.Outcome {
	case Accepted:
		f.changes.Accepted += f.moveAll(n.Recipients, FeedbackSent, at, FeedbackOwed, FeedbackDead)
		f.everyone(n.Everyone, FeedbackSent, FeedbackOwed, FeedbackDead)
		f.revive()
		f.succeeded(n, at)
	case Progress:
		if b.Task != nil {
			*b.Task = Task{Due: at, Since: b.Task.Since, Limit: b.Task.Limit}
		}
	case Split:
		if b.Task != nil {
			b.Task.Due, b.Task.Reason, b.Task.Detail = at, n.Reason, n.Detail
			b.Task.Limit = max(len(n.Recipients)/2, 1)
		}
	case Retry:
		if b.Task != nil {
			b.Task.Attempts++
			b.Task.Due, b.Task.Reason, b.Task.Detail = n.Due, n.Reason, n.Detail
		}
	case Buried:
		if b.Task != nil {
			f.bury(n, at)
		}
	case GivenBack:
	}
}

// succeeded starts the task anew. What is still owed is due at once when the call had no room for it or it fills the next
// call; else the task gathers recipients again.
func (f *folding) succeeded(n Settlement, at time.Time) {
	t := f.batch.Task
	if t == nil {
		return
	}
	left := n.Everyone || len(n.Recipients) >= MaxRecipients || t.Limit > 0
	next := Task{Due: at.Add(f.policy.Coalesce), Since: at}
	if left {
		next.Since = t.Since
	}
	if left || f.batch.Feedback.Owed >= MaxRecipients {
		next.Due = at
	}
	if grown := 2 * t.Limit; grown < MaxRecipients {
		next.Limit = grown
	}
	*t = next
}

// bury makes recipients dead, and the call for the full report when it will not be read.
func (f *folding) bury(n Settlement, at time.Time) {
	b := f.batch
	unread := n.FullRead && b.WantFull
	b.WantFull = b.WantFull && !unread
	buried := f.moveAll(n.Recipients, FeedbackDead, at, FeedbackOwed)
	f.changes.Buried += buried
	everyone := f.everyone(n.Everyone, FeedbackDead, FeedbackOwed)
	if buried > 0 || unread || everyone {
		b.Dead = &Dead{At: at, Reason: n.Reason, Detail: n.Detail, Full: unread || b.Dead != nil && b.Dead.Full}
	}
	*b.Task = Task{Due: at, Since: b.Task.Since, Limit: b.Task.Limit}
}

// requeue makes dead recipients owed, and the task due, whatever it waited for.
func (f *folding) requeue(n Requeue, at time.Time) {
	b := f.batch
	f.changes.SendNow = true
	requeued := f.moveAll(n.Recipients, FeedbackOwed, at, FeedbackDead)
	f.changes.Requeued += requeued
	everyone := f.everyone(n.Everyone, FeedbackOwed, FeedbackDead)
	full := b.Dead != nil && b.Dead.Full
	if full {
		b.WantFull, b.Dead.Full = true, false
	}
	if requeued == 0 && !full && !everyone {
		if b.Waits(at) {
			b.Task.Due = at
		}
		return
	}
	f.revive()
	since := at
	if b.Task != nil {
		since = b.Task.Since
	}
	b.Task = &Task{Due: at, Since: since}
}

// fullRead ends the call for the full report, dead or not.
func (f *folding) fullRead() {
	f.batch.WantFull = false
	if f.batch.Dead != nil {
		f.batch.Dead.Full = false
		f.revive()
	}
}

// revive forgets why recipients are dead once none is.
func (f *folding) revive() {
	if b := f.batch; b.Dead != nil && b.Feedback.Dead == 0 && !b.Dead.Full && b.Everyone != FeedbackDead {
		b.Dead = nil
	}
}

// everyone moves the word that everyone received the batch, if it is meant and in one of the states from.
func (f *folding) everyone(meant bool, to FeedbackState, from ...FeedbackState) bool {
	if !meant || !slices.Contains(from, f.batch.Everyone) {
		return false
	}
	f.batch.Everyone = to
	return true
}

// moveAll moves those recipients that are in one of the states from, and returns how many they were.
func (f *folding) moveAll(numbers []string, to FeedbackState, at time.Time, from ...FeedbackState) int {
	moved := 0
	for _, number := range numbers {
		if r := f.rows.Recipients[dlr.Digits(number)]; r != nil && slices.Contains(from, r.Feedback) {
			f.move(r, to, at)
			moved++
		}
	}
	return moved
}
