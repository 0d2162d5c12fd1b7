package relay

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/dlrloop/dlrloop/store"
)

// work takes a claim to its settlement. ctx ends when the relay is to stop, calls when it has to.
func (l *lane) work(ctx, calls context.Context, c store.Claim, claimed time.Time) outcome {
	calls, cancel := context.WithDeadline(calls, claimed.Add(l.plan.Lease*3/4))
	defer cancel()
	began := time.Now()
	var o outcome
	if ctx.Err() != nil {
		o = l.failed(stepNone, c, now(), context.Canceled) // nothing is begun any more
	} else {
		o = l.attempt(calls, c)
	}
	o.took = time.Since(began)
	err := l.settle(ctx, c, o, claimed.Add(l.plan.Lease))
	l.tell(ctx, c, o, err)
	return o
}

// settle records what an attempt brought. What was learnt comes first: without it the settlement would leave a hole.
func (l *lane) settle(ctx context.Context, c store.Claim, o outcome, until time.Time) error {
	for _, news := range o.learnt {
		if err := l.record(ctx, news, until); err != nil {
			return err
		}
	}
	s := o.settlement
	s.BatchID, s.Lease = c.Key.BatchID, c.Lease
	return l.record(ctx, s, until)
}

const (
	firstRecordRetry = 50 * time.Millisecond
	lastRecordRetry  = 2 * time.Second
)

// record keeps news, trying for as long as the lease lasts: nothing else prevents that a call which succeeded is made again.
// It outlives ctx, since a call that was made must be settled also when the relay stops.
func (l *lane) record(ctx context.Context, news store.News, until time.Time) error {
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), until)
	defer cancel()
	for wait := firstRecordRetry; ; wait = min(2*wait, lastRecordRetry) {
		err := l.store.Record(ctx, store.Arrival{Plan: l.plan.ID, At: now(), News: news})
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

// tell writes the one line of an attempt.
func (l *lane) tell(ctx context.Context, c store.Claim, o outcome, err error) {
	s := o.settlement
	attributes := []slog.Attr{
		slog.String("batch_id", c.Key.BatchID),
		slog.String("step", string(o.step)),
		slog.Bool("looked_up", o.lookedUp),
		slog.Int("recipients", o.asked),
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
		// The lease ends, and the same is done again.
		message, level = "feedback attempt could not be recorded", slog.LevelError
		attributes = append(attributes, slog.Any("error", err))
	}
	l.log.LogAttrs(ctx, level, message, attributes...)
}

// levelOf is how much a person has to care.
func levelOf(o store.Outcome) slog.Level {
	switch o {
	case store.Retry, store.Split:
		return slog.LevelWarn
	case store.Buried:
		return slog.LevelError
	case store.GivenBack:
		return slog.LevelInfo
	case store.Progress, store.Accepted:
	}
	return slog.LevelDebug
}
