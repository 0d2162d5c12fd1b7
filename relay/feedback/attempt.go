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

// attempt takes the next step that the claimed batch needs. ctx bounds the calls of the step.
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
		return l.nonNumbersDead(others, len(numbers))
	}
	if limit := c.Batch.Task.Limit; limit > 0 && limit < len(c.Recipients) {
		c.Recipients = c.Recipients[:limit]
	}
	return l.send(ctx, c)
}

// numbersAndOthers splits recipients into those that are numbers (dlr.MSISDN) and all others. Both keep their spelling
// and order.
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

// nonNumbersDead makes the recipients in others dead, because Sinch would refuse every call that names one of them. It
// makes no call. The remaining numbers, whose count is numbers, are due at once.
func (l *lane) nonNumbersDead(others []string, numbers int) outcome {
	l.metrics.FeedbackNotANumber(l.plan.ID)
	return outcome{step: stepNonNumbers, named: len(others), settlement: store.Settlement{
		Outcome: store.OutcomeDead, Recipients: others, Reason: store.ReasonNotANumber,
		Detail: fmt.Sprintf("%d of %d recipients are not numbers; Sinch accepts only numbers",
			len(others), len(others)+numbers),
	}}
}

// Details of settlements that no answer of Sinch provides.
const (
	unwanted        = "the batch does not want feedback"
	noRecipients    = "the batch owes feedback for no recipient"
	unknownToSinch  = "Sinch does not know the batch"
	enabledAfterAll = "Sinch answers 404 although the batch wants feedback"
)

// nothingToDo returns the outcome of a claim that has nothing to send, with why as its detail. The fold ends such a
// task by itself, so a claim normally does not contain one. If it does, the task is retried after the backoff, not at
// once.
func (l *lane) nothingToDo(c store.Claim, why string) outcome {
	o := outcome{step: stepNone, settlement: store.Settlement{Detail: why}}
	return l.retryLater(o, c, store.Now())
}

// lookUp fetches the batch from Sinch to find out whether it wants feedback. If it does, lookUp continues with the next
// step in the same claim; otherwise all pending look-ups would run before the first feedback. The store keeps the
// answer with the batch, so that each batch is looked up once.
func (l *lane) lookUp(ctx context.Context, c store.Claim) outcome {
	facts, err := l.fetchBatch(ctx, c.Key.BatchID)
	switch {
	case err == nil:
		l.succeeded(stepLookUp)
		if !facts.FeedbackEnabled {
			return progressed(stepLookUp, facts)
		}
		l.limiter.spend(time.Now())
		known := *c.Batch
		known.Flag = store.FlagWanted
		c.Batch = &known
		o := l.attempt(ctx, c)
		o.lookedUp, o.entries = true, append([]store.Entry{facts}, o.entries...)
		return o
	case relay.IsNotFound(err):
		return l.unknownBatch(stepLookUp, c)
	}
	return l.failed(stepLookUp, c, store.Now(), err)
}

// readFull fetches the full report, which names the recipients that a summary only counts. The store asks for it once
// all messages are final, so the report is complete.
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

// send posts the feedback for the claimed recipients, or for the whole batch if c.WholeBatch is set.
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

// notFound handles a 404 by fetching the batch again: the batch does not want feedback, Sinch does not know the batch,
// or neither, in which case the step is retried until it is given up.
func (l *lane) notFound(ctx context.Context, s step, c store.Claim) outcome {
	l.limiter.spend(time.Now())
	facts, err := l.fetchBatch(ctx, c.Key.BatchID)
	switch {
	case relay.IsNotFound(err):
		return l.unknownBatch(s, c)
	case err != nil:
		return l.failed(s, c, store.Now(), err)
	}
	o := outcome{step: s, entries: []store.Entry{facts}, reason: store.ReasonNotEnabledOrUnknown}
	o.settlement = store.Settlement{Reason: o.reason, Detail: enabledAfterAll}
	if !facts.FeedbackEnabled {
		// The fold drops the task. If the store has newer batch info that wants feedback, the task is retried instead.
		o.settlement.Detail = unwanted
		return l.retryLater(o, c, store.Now())
	}
	if l.givenUp(c, store.Now()) {
		return o.dead(c)
	}
	return l.retryLater(o, c, store.Now())
}

// unknownBatch makes everything dead that is owed to a batch that Sinch does not know. The answer is not cached: after
// an operator requeues the task, Sinch is asked again.
func (l *lane) unknownBatch(s step, c store.Claim) outcome {
	o := outcome{step: s, reason: store.ReasonNotEnabledOrUnknown}
	o.entries = []store.Entry{store.BatchInfo{BatchID: c.Key.BatchID, Unknown: true, Source: store.FromPoll}}
	o.settlement = store.Settlement{
		Outcome: store.OutcomeDead, Reason: o.reason, Detail: unknownToSinch,
		Recipients: c.Recipients, WholeBatch: c.WholeBatch, FullReportFetched: c.Batch.NeedsFullReport,
	}
	return o
}

// succeeded records that Sinch accepted a step: the plan is known and a streak of 403 answers ends.
func (l *lane) succeeded(s step) {
	l.planCheck.Succeeded()
	l.forbidden[s].Succeed()
}

// fetchBatch gets the batch from Sinch. It returns a 404 as such only if Sinch knows the plan; otherwise it returns the
// error of Check404.
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
	return batchinfo.Of(batch, store.FromPoll), nil
}

// call runs do through the circuit breaker. If the circuit is open it returns an error without calling do.
func (l *lane) call(do func() error) error {
	_, err := l.circuit.Execute(func() (struct{}, error) { return struct{}{}, do() })
	return err
}
