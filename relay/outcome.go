package relay

import (
	"errors"
	"time"
	"unicode/utf8"

	"github.com/dlrloop/dlrloop/sinch"
	"github.com/dlrloop/dlrloop/store"
)

// step is what a claim asked of Sinch.
type step string

const (
	stepNone     step = "none"
	stepLookUp   step = "look up batch"
	stepReadFull step = "read full report"
	stepLeaveOut step = "leave out what is not a number"
	stepSend     step = "send feedback"
)

// outcome is what became of a claim: what to record, in this order, and what its lane has to know.
type outcome struct {
	step       step
	lookedUp   bool             // the batch was looked up before the step
	learnt     []store.News     // recorded before the settlement
	settlement store.Settlement // without what comes from the claim
	reason     store.Reason     // how the last call ended; empty if none was made
	retryAfter time.Duration    // what the answer asked for, as far as that is honoured
	asked      int              // recipients named in a feedback call
	took       time.Duration
}

// progressed is a step that brought what the next one needs.
func progressed(s step, learnt ...store.News) outcome {
	return outcome{step: s, learnt: learnt, reason: store.ReasonAccepted, settlement: store.Settlement{Outcome: store.Progress}}
}

// judge is how a step for a batch ended. A batch that Sinch forbids is refused by itself, unless so many in a row are that
// the plan is.
func (l *lane) judge(s step, batchID string, err error) store.Reason {
	reason := reasonOf(err)
	if reason == store.ReasonForbidden && l.forbidden[s].refuse(batchID) {
		return store.ReasonAuth
	}
	return reason
}

// failed is what follows when a call of the step ended with err. A step that can never succeed, or has failed for longer
// than GiveUp, ends in what it is about being dead.
func (l *lane) failed(s step, c store.Claim, now time.Time, err error) outcome {
	o := outcome{step: s, reason: l.judge(s, c.Key.BatchID, err)}
	o.retryAfter = l.plan.Backoff.honoured(o.reason, retryAfter(err))
	o.settlement = store.Settlement{Reason: o.reason, Detail: detail(err)}
	switch {
	case o.reason == store.ReasonCanceled:
		o.settlement.Outcome = store.GivenBack
		return o
	case ofThePlan(o.reason):
		// The task is not at fault: it waits for the configuration, however long that takes.
		o.settlement.Outcome, o.settlement.Due = store.Retry, now.Add(l.plan.Backoff.Cap)
		return o
	case o.reason == store.ReasonRejected, l.givenUp(c, now):
		return o.buried(c)
	}
	return l.later(o, c, now)
}

// givenUp reports whether a task that failed now has failed for too long. One failure proves nothing after a time in
// which nobody tried, or only with a plan that was refused as a whole.
func (l *lane) givenUp(c store.Claim, now time.Time) bool {
	t := c.Batch.Task
	return t.Attempts > 0 && !ofThePlan(t.Reason) && now.Sub(t.Since) >= l.plan.GiveUp
}

// later has the task tried again.
func (l *lane) later(o outcome, c store.Claim, now time.Time) outcome {
	wait := l.plan.Backoff.delay(c.Batch.Task.Attempts, o.retryAfter, l.random())
	o.settlement.Outcome, o.settlement.Due = store.Retry, now.Add(wait)
	return o
}

// buried ends the step for good: a full report that cannot be read is given up alone, since the recipients that are known
// can do without it; any other step takes all that the claim is about with it.
func (o outcome) buried(c store.Claim) outcome {
	o.settlement.Outcome, o.settlement.FullRead = store.Buried, c.Batch.WantFull
	if o.step != stepReadFull {
		o.settlement.Recipients, o.settlement.Everyone = c.Recipients, c.Everyone
	}
	return o
}

// maxDetail bounds a detail, in characters.
const maxDetail = 400

// detail is err for people. What Sinch said is cleaned already.
func detail(err error) string {
	s := err.Error()
	if refused(err) {
		s = "the circuit is open"
	}
	if _, ok := errors.AsType[*sinch.Error](err); ok || utf8.RuneCountInString(s) <= maxDetail {
		return s
	}
	return string([]rune(s)[:maxDetail])
}
