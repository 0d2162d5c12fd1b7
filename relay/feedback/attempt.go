package feedback

import (
	"context"
	"fmt"
	"time"

	"github.com/dlrloop/dlrloop/batchinfo"
	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/relay"
	"github.com/dlrloop/dlrloop/sinch"
	"github.com/dlrloop/dlrloop/store"
)

// attempt does what the claimed feedback task needs next: it looks up the batch at Sinch, fetches the batch's full
// report, or sends feedback. It blocks until its calls to Sinch have ended; ctx cancels them. The caller must record
// the outcome in the store.
func (l *lane) attempt(ctx context.Context, c store.Claim) outcome {
	switch b := c.Batch; {
	case b.Flag == store.FlagUnknown && !l.plan.AllWanted:
		return l.lookUp(ctx, c)
	case b.Flag == store.FlagUnwanted:
		return l.nothingToDo(c, unwanted)
	case b.NeedsFullReport:
		return l.readFull(ctx, c)
	case len(c.Recipients) == 0 && !c.WholeBatch:
		return l.nothingToDo(c, noRecipients)
	}
	if numbers, others := numbersAndOthers(c.Recipients); len(others) > 0 {
		return l.giveUpNonNumbers(others, len(numbers))
	}
	if limit := c.Batch.Task.Limit; limit > 0 && limit < len(c.Recipients) {
		c.Recipients = c.Recipients[:limit]
	}
	return l.send(ctx, c)
}

// numbersAndOthers splits recipients into phone numbers (dlr.MSISDN) and all others, in two new slices. It keeps their
// spelling and order.
func numbersAndOthers(recipients []string) (numbers, others []string) {
	for _, r := range recipients {
		if _, ok := dlr.MSISDN(r); ok {
			numbers = append(numbers, r)
		} else {
			others = append(others, r)
		}
	}
	return numbers, others
}

// giveUpNonNumbers returns an outcome that gives up the feedback for the recipients in the slice others, which are not
// phone numbers: Sinch refuses every call that names such a recipient. numbers is how many recipients of the task are
// phone numbers; a later attempt sends their feedback.
func (l *lane) giveUpNonNumbers(others []string, numbers int) outcome {
	l.metrics.FeedbackNotANumber(l.plan.ID)
	return outcome{step: stepNonNumbers, named: len(others), settlement: store.Settlement{
		Outcome: store.OutcomeDead, Recipients: others, Reason: store.ReasonNotANumber,
		Detail: fmt.Sprintf("%d of %d recipients are not numbers; Sinch accepts only numbers",
			len(others), len(others)+numbers),
	}}
}

// The explanations that dlrloop itself writes for an outcome (store.Settlement.Detail), if no answer of Sinch explains
// it.
const (
	unwanted        = "the batch does not want feedback"
	noRecipients    = "the batch owes feedback for no recipient"
	unknownToSinch  = "Sinch does not know the batch"
	enabledAfterAll = "Sinch answers 404 although the batch wants feedback"
)

// nothingToDo returns the outcome of a task for which there is nothing to send: the task is retried after a delay. The
// outcome contains the given detail as its explanation. An attempt rarely finds such a task, because the store normally
// deletes it.
func (l *lane) nothingToDo(c store.Claim, detail string) outcome {
	o := outcome{step: stepNone, settlement: store.Settlement{Detail: detail}}
	return l.retryLater(o, c, store.Now())
}

// lookUp fetches the batch from Sinch to find out whether the batch wants feedback. If it does not, the store drops the
// task. If it does, lookUp calls attempt again, which fetches the full report or sends feedback. The outcome contains
// the fetched store.BatchInfo, so that later attempts do not look the batch up again.
func (l *lane) lookUp(ctx context.Context, c store.Claim) outcome {
	info, err := l.fetchBatch(ctx, c.Key.BatchID)
	switch {
	case err == nil:
		l.succeeded(stepLookUp)
		if !info.FeedbackEnabled {
			return progressed(stepLookUp, info)
		}
		l.limiter.spend(time.Now())
		known := *c.Batch
		known.Flag = store.FlagWanted
		c.Batch = &known
		o := l.attempt(ctx, c)
		o.lookedUp, o.entries = true, append([]store.Entry{info}, o.entries...)
		return o
	case relay.IsNotFound(err):
		return l.unknownBatch(stepLookUp, c)
	}
	return l.failed(stepLookUp, c, store.Now(), err)
}

// readFull fetches the full report of the batch from Sinch, because an earlier report counted recipients without naming
// them. The outcome contains the report, for the store to apply.
func (l *lane) readFull(ctx context.Context, c store.Claim) outcome {
	var report sinch.Report
	err := l.call(func() (err error) {
		report, err = l.plan.Client.GetReport(ctx, c.Key.BatchID, sinch.ReportQuery{Kind: sinch.Full})
		return err
	})
	switch {
	case relay.IsNotFound(err):
		return l.notFound(ctx, stepReadFull, c)
	case err != nil:
		return l.failed(stepReadFull, c, store.Now(), err)
	}
	l.succeeded(stepReadFull)
	o := progressed(stepReadFull, store.Report{Report: report.Report, Raw: report.Raw, Source: store.FromPoll})
	o.settlement.FullReportFetched = true
	return o
}

// send makes one feedback call to Sinch for the claimed recipients, or for the whole batch if c.WholeBatch is set. If
// the call names several recipients and Sinch refuses the call because of these recipients, the outcome is
// store.OutcomeSplit: the next call will name half as many recipients.
func (l *lane) send(ctx context.Context, c store.Claim) (o outcome) {
	began := time.Now()
	err := l.call(func() error {
		if c.WholeBatch {
			return l.plan.Client.FeedbackWholeBatch(ctx, c.Key.BatchID)
		}
		return l.plan.Client.Feedback(ctx, c.Key.BatchID, c.Recipients)
	})
	if !relay.CircuitRefused(err) {
		l.metrics.FeedbackCall(l.plan.ID, l.reasonFor(stepSend, c.Key.BatchID, err), time.Since(began))
	}
	defer func() { o.named = len(c.Recipients) }()
	switch {
	case relay.IsNotFound(err):
		return l.notFound(ctx, stepSend, c)
	case splittable(err) && len(c.Recipients) > 1:
		return outcome{step: stepSend, reason: store.ReasonRejected, settlement: store.Settlement{
			Outcome: store.OutcomeSplit, Reason: store.ReasonRejected, Detail: relay.Detail(err), Recipients: c.Recipients,
		}}
	case err != nil:
		return l.failed(stepSend, c, store.Now(), err)
	}
	l.succeeded(stepSend)
	return outcome{step: stepSend, reason: store.ReasonAccepted, settlement: store.Settlement{
		Outcome: store.OutcomeAccepted, Reason: store.ReasonAccepted, Recipients: c.Recipients, WholeBatch: c.WholeBatch,
	}}
}

// notFound returns the outcome after Sinch answered 404 to the call of step s. It fetches the batch to find the reason.
// If Sinch does not know the batch, the feedback is given up. If the batch does not want feedback, the store drops the
// task. In any other case the task is retried or, if givenUp returns true, its feedback is given up.
func (l *lane) notFound(ctx context.Context, s step, c store.Claim) outcome {
	l.limiter.spend(time.Now())
	info, err := l.fetchBatch(ctx, c.Key.BatchID)
	switch {
	case relay.IsNotFound(err):
		return l.unknownBatch(s, c)
	case err != nil:
		return l.failed(s, c, store.Now(), err)
	}
	o := outcome{step: s, entries: []store.Entry{info}, reason: store.ReasonNotEnabledOrUnknown}
	o.settlement = store.Settlement{Reason: o.reason, Detail: enabledAfterAll}
	if !info.FeedbackEnabled {
		// The fold drops the task. If the store has newer batch info that wants feedback, the task is retried instead.
		o.settlement.Detail = unwanted
		return l.retryLater(o, c, store.Now())
	}
	if l.givenUp(c, store.Now()) {
		return o.dead(c)
	}
	return l.retryLater(o, c, store.Now())
}

// unknownBatch returns the outcome of step s for a batch that Sinch does not know: the feedback of the batch is given
// up. If an operator requeues the feedback, the batch is looked up at Sinch again.
func (l *lane) unknownBatch(s step, c store.Claim) outcome {
	o := outcome{step: s, reason: store.ReasonNotEnabledOrUnknown}
	o.entries = []store.Entry{store.BatchInfo{BatchID: c.Key.BatchID, Unknown: true, Source: store.FromPoll}}
	o.settlement = store.Settlement{
		Outcome: store.OutcomeDead, Reason: o.reason, Detail: unknownToSinch,
		Recipients: c.Recipients, WholeBatch: c.WholeBatch, FullReportFetched: c.Batch.NeedsFullReport,
	}
	return o
}

// succeeded records that Sinch accepted a call of step s. This proves to l.planCheck that Sinch knows the service plan.
// l.forbidden[s], which counts the batches that Sinch refused with 403 in step s, starts again at 0.
func (l *lane) succeeded(s step) {
	l.planCheck.Succeeded()
	l.forbidden[s].Succeed()
}

// fetchBatch fetches a batch from Sinch and counts the result in the metrics. If Sinch does not know the batch,
// relay.IsNotFound is true for the returned error. If Sinch may not know the service plan, because the plan is
// configured wrongly, relay.UnknownPlan is true for the returned error.
func (l *lane) fetchBatch(ctx context.Context, batchID string) (store.BatchInfo, error) {
	var batch *sinch.Batch
	err := l.call(func() (err error) {
		batch, err = l.plan.Client.GetBatch(ctx, batchID)
		return err
	})
	if relay.IsNotFound(err) {
		if fault := l.planCheck.Check404(ctx, batchID, l.call); fault != nil {
			err = fault
		}
	}
	switch {
	case err == nil:
		l.planCheck.Succeeded()
		l.metrics.BatchLookup(l.plan.ID, "found")
	case relay.IsNotFound(err):
		l.metrics.BatchLookup(l.plan.ID, "unknown")
	case relay.UnknownPlan(err):
		l.metrics.BatchLookup(l.plan.ID, "unknown_plan")
	case !relay.CircuitRefused(err):
		l.metrics.BatchLookup(l.plan.ID, "failed")
	}
	if err != nil {
		return store.BatchInfo{}, err
	}
	return batchinfo.Convert(batch, store.FromPoll), nil
}

// call executes request, which makes a request to Sinch, and returns its error. If Sinch keeps failing, the circuit
// breaker opens. Then call does not execute request, and relay.CircuitRefused is true for the returned error.
func (l *lane) call(request func() error) error {
	_, err := l.circuit.Execute(func() (struct{}, error) { return struct{}{}, request() })
	return err
}
