package feedback

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/dlrloop/dlrloop/store"
)

// runTask attempts a claimed task, records the outcome and returns it. claimed is the time of the claim, when the lease
// of the task began. If ctx has ended, runTask makes no call to Sinch, and the outcome is the same as after a canceled
// call. The second context is for the calls to Sinch; it ends Plan.CallGrace after ctx.
func (l *lane) runTask(ctx, calls context.Context, c store.Claim, claimed time.Time) outcome {
	calls, cancel := context.WithDeadline(calls, claimed.Add(l.plan.Lease*3/4))
	defer cancel()
	began := time.Now()
	var o outcome
	if ctx.Err() != nil {
		o = l.failed(stepNone, c, store.Now(), context.Canceled) // the relay stops, so no call begins
	} else {
		o = l.attempt(calls, c)
	}
	o.took = time.Since(began)
	err := l.settle(ctx, c, o, claimed.Add(l.plan.Lease))
	l.logAttempt(ctx, c, o, err)
	return o
}

// settle records an outcome in the store: first its entries, which are what was fetched from Sinch, and then its
// settlement, which is the result of the attempt and ends the claim. If the store fails, settle retries until leaseEnd
// and returns the last error.
func (l *lane) settle(ctx context.Context, c store.Claim, o outcome, leaseEnd time.Time) error {
	for _, entry := range o.entries {
		err := l.recordWithRetry(ctx, leaseEnd, func(ctx context.Context) error {
			return l.store.Record(ctx, store.Arrival{Plan: l.plan.ID, At: store.Now(), Entry: entry})
		})
		if err != nil {
			return err
		}
	}
	s := o.settlement
	s.BatchID, s.Lease = c.Key.BatchID, c.Lease
	return l.recordWithRetry(ctx, leaseEnd, func(ctx context.Context) error {
		return l.store.Settle(ctx, l.plan.ID, store.Now(), s)
	})
}

// The first and the longest delay between two attempts to record a result in the store. The delay doubles each time.
const (
	firstRecordRetry = 50 * time.Millisecond
	lastRecordRetry  = 2 * time.Second
)

// recordWithRetry calls record until it succeeds, the store is closed or the lease ends, and returns the last error. It
// does not stop when ctx ends, because a call to Sinch whose result is not recorded will be repeated.
func (l *lane) recordWithRetry(ctx context.Context, leaseEnd time.Time, record func(context.Context) error) error {
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), leaseEnd)
	defer cancel()
	for wait := firstRecordRetry; ; wait = min(2*wait, lastRecordRetry) {
		err := record(ctx)
		if err == nil || errors.Is(err, store.ErrClosed) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait):
		}
	}
}

// logAttempt writes the log line of one attempt at a task, with its outcome. err is the error of recording the outcome
// in the store, or nil.
func (l *lane) logAttempt(ctx context.Context, c store.Claim, o outcome, err error) {
	s := o.settlement
	attributes := []slog.Attr{
		slog.String("batch_id", c.Key.BatchID),
		slog.String("step", string(o.step)),
		slog.Bool("looked_up", o.lookedUp),
		slog.Int("recipients", o.named),
		slog.Int("attempt", c.Batch.Task.Attempts+1),
		slog.String("outcome", s.Outcome.String()),
		slog.String("reason", string(cmp.Or(o.reason, s.Reason))),
		slog.Duration("took", o.took),
	}
	if s.Detail != "" {
		attributes = append(attributes, slog.String("detail", s.Detail))
	}
	if !s.Due.IsZero() {
		attributes = append(attributes, slog.Time("due", s.Due))
	}
	message, level := "feedback attempt", levelOf(s.Outcome)
	if err != nil {
		// After the lease the task is claimed again and the step is repeated.
		message, level = "feedback attempt could not be recorded", slog.LevelError
		attributes = append(attributes, slog.Any("error", err))
	}
	l.log.LogAttrs(ctx, level, message, attributes...)
}

// levelOf returns the level of the log line about an outcome: Error if a person must act, Warn if the task will be
// retried after a failure, Info if the call was canceled, else Debug.
func levelOf(o store.Outcome) slog.Level {
	switch o {
	case store.OutcomeRetry, store.OutcomeSplit:
		return slog.LevelWarn
	case store.OutcomeDead:
		return slog.LevelError
	case store.OutcomeReleased:
		return slog.LevelInfo
	case store.OutcomeProgress, store.OutcomeAccepted:
	}
	return slog.LevelDebug
}
