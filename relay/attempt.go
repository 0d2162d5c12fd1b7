package relay

import (
	"context"
	"fmt"
	"time"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/sinch"
	"github.com/dlrloop/dlrloop/store"
)

// attempt takes the next step that the claim's batch needs. ctx bounds its calls.
func (l *lane) attempt(ctx context.Context, c store.Claim) outcome {
	switch b := c.Batch; {
	case b.Flag == store.FlagUnknown && !l.plan.AllWanted:
		return l.lookUp(ctx, c)
	case b.Flag == store.FlagUnwanted:
		return l.nothing(c, unwanted)
	case b.WantFull:
		return l.readFull(ctx, c)
	case len(c.Recipients) == 0 && !c.Everyone:
		return l.nothing(c, nobody)
	}
	if numbers, others := dialable(c.Recipients); len(others) > 0 {
		return l.leaveOut(others, len(numbers))
	}
	if limit := c.Batch.Task.Limit; limit > 0 && limit < len(c.Recipients) {
		c.Recipients = c.Recipients[:limit]
	}
	return l.send(ctx, c)
}

// dialable divides recipients into those that Sinch can take and those that are not numbers, as they came.
func dialable(recipients []string) (numbers, others []string) {
	for _, r := range recipients {
		if _, ok := dlr.MSISDN(r); ok {
			numbers = append(numbers, r)
		} else {
			others = append(others, r)
		}
	}
	return numbers, others
}

// leaveOut makes recipients dead that are not numbers: Sinch would refuse every call that names one of them. It makes no
// call; the numbers left are due at once.
func (l *lane) leaveOut(others []string, numbers int) outcome {
	l.metrics.FeedbackLeftOut(l.plan.ID)
	return outcome{step: stepLeaveOut, asked: len(others), settlement: store.Settlement{
		Outcome: store.Buried, Recipients: others, Reason: store.ReasonNotANumber,
		Detail: fmt.Sprintf("%d of %d recipients are not numbers, and Sinch takes only numbers", len(others), len(others)+numbers),
	}}
}

// What is said to people where no answer says it.
const (
	unwanted = "the batch wants no feedback"
	nobody   = "nobody is owed feedback"
	unheard  = "Sinch does not know the batch"
	enabled  = "Sinch answers 404 although it says that the batch wants feedback"
)

// nothing is the outcome of a claim that there is nothing to do for. The fold ends such a task by itself; should a claim
// show one all the same, it comes back later rather than at once.
func (l *lane) nothing(c store.Claim, why string) outcome {
	o := outcome{step: stepNone, settlement: store.Settlement{Detail: why}}
	return l.later(o, c, now())
}

// lookUp asks Sinch whether the batch wants feedback, and goes on at once if it does: otherwise all look-ups that wait would
// go before the first feedback. The answer is kept with the batch, so that Sinch is asked once.
func (l *lane) lookUp(ctx context.Context, c store.Claim) outcome {
	facts, err := l.facts(ctx, c.Key.BatchID)
	switch {
	case err == nil:
		l.succeeded(stepLookUp)
		if !facts.FeedbackEnabled {
			return progressed(stepLookUp, facts)
		}
		l.pace.spend(time.Now())
		known := *c.Batch
		known.Flag = store.FlagWanted
		c.Batch = &known
		o := l.attempt(ctx, c)
		o.lookedUp, o.learnt = true, append([]store.News{facts}, o.learnt...)
		return o
	case missing(err):
		return l.unknown(stepLookUp, c)
	}
	return l.failed(stepLookUp, c, now(), err)
}

// readFull reads who was delivered, which a summary does not say. It comes when all messages are final, so the report is
// complete.
func (l *lane) readFull(ctx context.Context, c store.Claim) outcome {
	var report sinch.Report
	err := l.call(func() (err error) {
		report, err = l.plan.Client.GetReport(ctx, c.Key.BatchID, sinch.ReportQuery{Kind: sinch.Full})
		return err
	})
	switch {
	case missing(err):
		return l.notFound(ctx, stepReadFull, c)
	case err != nil:
		return l.failed(stepReadFull, c, now(), err)
	}
	l.succeeded(stepReadFull)
	o := progressed(stepReadFull, store.Report{Report: report.Report, Raw: report.Raw, Source: store.FromPoll})
	o.settlement.FullRead = true
	return o
}

// send tells Sinch who received the batch.
func (l *lane) send(ctx context.Context, c store.Claim) (o outcome) {
	began := time.Now()
	err := l.call(func() error {
		if c.Everyone {
			return l.plan.Client.FeedbackEveryone(ctx, c.Key.BatchID)
		}
		return l.plan.Client.Feedback(ctx, c.Key.BatchID, c.Recipients)
	})
	if !refused(err) {
		l.metrics.FeedbackCall(l.plan.ID, l.judge(stepSend, c.Key.BatchID, err), time.Since(began))
	}
	defer func() { o.asked = len(c.Recipients) }()
	switch {
	case missing(err):
		return l.notFound(ctx, stepSend, c)
	case divisible(err) && len(c.Recipients) > 1:
		return outcome{step: stepSend, reason: store.ReasonRejected, settlement: store.Settlement{
			Outcome: store.Split, Reason: store.ReasonRejected, Detail: detail(err), Recipients: c.Recipients,
		}}
	case err != nil:
		return l.failed(stepSend, c, now(), err)
	}
	l.succeeded(stepSend)
	return outcome{step: stepSend, reason: store.ReasonAccepted, settlement: store.Settlement{
		Outcome: store.Accepted, Reason: store.ReasonAccepted, Recipients: c.Recipients, Everyone: c.Everyone,
	}}
}

// notFound finds out what a 404 meant: that the batch wants no feedback, that there is no such batch, or neither.
func (l *lane) notFound(ctx context.Context, s step, c store.Claim) outcome {
	l.pace.spend(time.Now())
	facts, err := l.facts(ctx, c.Key.BatchID)
	switch {
	case missing(err):
		return l.unknown(s, c)
	case err != nil:
		return l.failed(s, c, now(), err)
	}
	o := outcome{step: s, learnt: []store.News{facts}, reason: store.ReasonNotEnabledOrUnknown}
	o.settlement = store.Settlement{Reason: o.reason, Detail: enabled}
	if !facts.FeedbackEnabled {
		// The fold drops the task. Should it know something newer, the task is tried again instead.
		o.settlement.Detail = unwanted
		return l.later(o, c, now())
	}
	if l.givenUp(c, now()) {
		return o.buried(c)
	}
	return l.later(o, c, now())
}

// unknown buries what is owed to a batch that Sinch does not know. Nothing caches that: a person who has it sent again wants
// Sinch to be asked again.
func (l *lane) unknown(s step, c store.Claim) outcome {
	o := outcome{step: s, reason: store.ReasonNotEnabledOrUnknown}
	o.learnt = []store.News{store.Facts{BatchID: c.Key.BatchID, Missing: true, Source: store.FromPoll}}
	o.settlement = store.Settlement{
		Outcome: store.Buried, Reason: o.reason, Detail: unheard,
		Recipients: c.Recipients, Everyone: c.Everyone, FullRead: c.Batch.WantFull,
	}
	return o
}

// succeeded notes that Sinch accepted a step.
func (l *lane) succeeded(s step) {
	l.proof.succeed()
	l.forbidden[s].succeed()
}

// facts looks a batch up. A 404 is returned as such only if Sinch knows the plan.
func (l *lane) facts(ctx context.Context, batchID string) (store.Facts, error) {
	var batch *sinch.Batch
	err := l.call(func() (err error) {
		batch, err = l.plan.Client.GetBatch(ctx, batchID)
		return err
	})
	if missing(err) {
		if fault := l.proof.missing(ctx, batchID, l.call); fault != nil {
			err = fault
		}
	}
	switch {
	case err == nil:
		l.proof.succeed()
		l.metrics.BatchLookup(l.plan.ID, "found")
	case missing(err):
		l.metrics.BatchLookup(l.plan.ID, "missing")
	case unproven(err):
		l.metrics.BatchLookup(l.plan.ID, "unknown_plan")
	case !refused(err):
		l.metrics.BatchLookup(l.plan.ID, "failed")
	}
	if err != nil {
		return store.Facts{}, err
	}
	numbers, groups := batch.Numbers(), batch.Groups()
	return store.Facts{
		BatchID:         batchID,
		FeedbackEnabled: batch.FeedbackEnabled,
		ReportKind:      string(batch.DeliveryReport),
		ClientReference: batch.ClientReference,
		Recipients:      len(numbers) + groups,
		Groups:          groups,
		Numbers:         numbers,
		Canceled:        batch.Canceled,
		CreatedAt:       batch.CreatedAt,
		ModifiedAt:      batch.ModifiedAt,
		SendAt:          batch.SendAt,
		ExpireAt:        batch.ExpireAt,
		Source:          store.FromPoll,
	}, nil
}

// call makes a call through the circuit.
func (l *lane) call(do func() error) error {
	_, err := l.circuit.Execute(func() (struct{}, error) { return struct{}{}, do() })
	return err
}

// now is the time as stores keep it.
func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }
