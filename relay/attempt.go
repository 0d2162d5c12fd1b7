package relay

import (
	"context"
	"time"

	"github.com/dlrloop/dlrloop/sinch"
	"github.com/dlrloop/dlrloop/store"
)

// attempt takes the next step that the claim's batch needs. ctx bounds its calls.
func (l *lane) attempt(ctx context.Context, c store.Claim) outcome {
	switch b := c.Batch; {
	case b.Flag == store.FlagUnknown:
		return l.lookUp(ctx, c)
	case b.Flag != store.FlagWanted:
		return l.nothing(c, unwanted)
	case b.WantFull:
		return l.readFull(ctx, c)
	case len(c.Recipients) == 0 && !c.Everyone:
		return l.nothing(c, nobody)
	}
	return l.send(ctx, c)
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

// lookUp asks Sinch whether the batch wants feedback. Its answer is kept with the batch, so that it is asked once.
func (l *lane) lookUp(ctx context.Context, c store.Claim) outcome {
	facts, err := l.facts(ctx, c.Key.BatchID)
	switch {
	case err == nil:
		return progressed(stepLookUp, facts)
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
		l.metrics.FeedbackCall(l.plan.ID, reasonOf(err), time.Since(began))
	}
	defer func() { o.asked = len(c.Recipients) }()
	switch {
	case missing(err):
		return l.notFound(ctx, stepSend, c)
	case err != nil:
		return l.failed(stepSend, c, now(), err)
	}
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

// facts looks a batch up.
func (l *lane) facts(ctx context.Context, batchID string) (store.Facts, error) {
	var batch *sinch.Batch
	err := l.call(func() (err error) {
		batch, err = l.plan.Client.GetBatch(ctx, batchID)
		return err
	})
	switch {
	case err == nil:
		l.metrics.BatchLookup(l.plan.ID, "found")
	case missing(err):
		l.metrics.BatchLookup(l.plan.ID, "missing")
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
