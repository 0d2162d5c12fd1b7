package feedback

import (
	"errors"
	"net/http"
	"time"

	"github.com/dlrloop/dlrloop/relay"
	"github.com/dlrloop/dlrloop/sinch"
	"github.com/dlrloop/dlrloop/store"
)

// step names what an attempt at a task did last, such as sending feedback. The log line of the attempt contains it.
type step string

const (
	stepNone       step = "none"
	stepLookUp     step = "look up batch"
	stepReadFull   step = "read full report"
	stepNonNumbers step = "make non-numbers dead"
	stepSend       step = "send feedback"
)

// outcome is the result of an attempt at one task: what to record in the store, and whether calls to Sinch must become
// slower or stop.
type outcome struct {
	step       step
	lookedUp   bool             // the batch was looked up before this step
	entries    []store.Entry    // recorded before the settlement, in order
	settlement store.Settlement // BatchID and Lease are set from the claim later
	reason     store.Reason     // result of the last call; empty if no call was made
	retryAfter time.Duration    // Retry-After of the answer, after CapRetryAfter
	named      int              // number of recipients that the feedback call named
	took       time.Duration
}

// progressed returns the outcome after step s fetched something but sent no feedback: the task is due again at once.
// entries are what step s fetched; the store must record them before it settles the task.
func progressed(s step, entries ...store.Entry) outcome {
	return outcome{
		step: s, entries: entries, reason: store.ReasonAccepted,
		settlement: store.Settlement{Outcome: store.OutcomeProgress},
	}
}

// reasonFor classifies err, the error of a call in step s; nil means success. A 403 normally concerns only this batch
// (store.ReasonForbidden). But after 403s for several different batches without a success between them (see
// relay.Streak), a 403 means that Sinch refuses the whole service plan (store.ReasonAuth).
func (l *lane) reasonFor(s step, batchID string, err error) store.Reason {
	reason := relay.ReasonOf(err)
	if reason == store.ReasonForbidden && l.forbidden[s].Refuse(batchID) {
		return store.ReasonAuth
	}
	return reason
}

// failed returns the outcome after a call to Sinch failed with err in step s. If Sinch refuses the whole service plan,
// the task is retried after a delay, however old it is. After other errors, the feedback is given up if Sinch would
// always refuse the call or if givenUp returns true; else the task is retried. A canceled call is not counted as an
// attempt.
func (l *lane) failed(s step, c store.Claim, now time.Time, err error) outcome {
	o := outcome{step: s, reason: l.reasonFor(s, c.Key.BatchID, err)}
	o.retryAfter = l.plan.Backoff.CapRetryAfter(o.reason, relay.RetryAfter(err))
	o.settlement = store.Settlement{Reason: o.reason, Detail: relay.Detail(err)}
	switch {
	case o.reason == store.ReasonCanceled:
		o.settlement.Outcome = store.OutcomeReleased
		return o
	case relay.PausesPlan(o.reason):
		// The plan is at fault, not the task: the task waits until the configuration is corrected, without a limit.
		o.settlement.Outcome, o.settlement.Due = store.OutcomeRetry, now.Add(l.plan.Backoff.Cap)
		return o
	case o.reason == store.ReasonRejected, l.givenUp(c, now):
		return o.dead(c)
	}
	return l.retryLater(o, c, now)
}

// givenUp reports whether to give up a task that has just failed, because its oldest pending work is at least
// Plan.GiveUp old. It returns false for the first failure of a task, and for a failure that follows a refusal of the
// whole service plan: such a task may be old only because dlrloop was down or the plan was paused.
func (l *lane) givenUp(c store.Claim, now time.Time) bool {
	t := c.Batch.Task
	return t.Attempts > 0 && !relay.PausesPlan(t.Reason) && now.Sub(t.Since) >= l.plan.GiveUp
}

// retryLater returns o as an outcome that retries the task after the backoff delay or Sinch's Retry-After, whichever is
// longer.
func (l *lane) retryLater(o outcome, c store.Claim, now time.Time) outcome {
	wait := l.plan.Backoff.Delay(c.Batch.Task.Attempts, o.retryAfter, l.random())
	o.settlement.Outcome, o.settlement.Due = store.OutcomeRetry, now.Add(wait)
	return o
}

// dead returns a copy of o that gives up all claimed feedback. But if o is the outcome of a failed fetch of the full
// report, the copy gives up only the fetch: the feedback for the recipients that are already known is still sent.
func (o outcome) dead(c store.Claim) outcome {
	o.settlement.Outcome, o.settlement.FullReportFetched = store.OutcomeDead, c.Batch.NeedsFullReport
	if o.step != stepReadFull {
		o.settlement.Recipients, o.settlement.WholeBatch = c.Recipients, c.WholeBatch
	}
	return o
}

// splittable reports whether err means that Sinch refused a feedback call because of its recipients (400, 413 or 422).
// A call with fewer of them may then succeed.
func splittable(err error) bool {
	answer, ok := errors.AsType[*sinch.Error](err)
	if !ok || relay.ReasonOf(err) != store.ReasonRejected {
		return false
	}
	switch answer.HTTPStatus {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return true
	}
	return false
}

// outage reports whether a call with result r failed because Sinch could not be reached, timed out or answered 5xx. It
// returns false if Sinch refused the call.
func outage(r store.Reason) bool {
	return r == store.ReasonServer || r == store.ReasonTimeout || r == store.ReasonNetwork
}
