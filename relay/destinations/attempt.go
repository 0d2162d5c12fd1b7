package destinations

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/dlrloop/dlrloop/metrics"
	"github.com/dlrloop/dlrloop/relay"
	"github.com/dlrloop/dlrloop/store"
)

// result is what a worker goroutine reports after one HTTP request: the request with its events, and the answer.
type result struct {
	request *request
	answer
	err error // why no request was made; nil if one was
}

// These errors tell the circuit breaker what a request shows about the destination: errOutage counts as a failure,
// errNoEvidence is ignored, and nil counts as a success.
var (
	errOutage     = errors.New("the destination fails")
	errNoEvidence = errors.New("nothing is known about the destination")
)

// dispatch starts a goroutine with an HTTP request for each group of events that are due, as far as the free workers,
// the rate limit, the circuit breaker and pauses allow. It does not block. It returns how long to wait until it should
// be called again if no request ends before.
func (l *lane) dispatch(ctx, calls context.Context, now time.Time) time.Duration {
	idle := l.destination.limits.check
	if !l.state.pausedAt.IsZero() || len(l.state.put) >= putLimit || l.checkAt.IsZero() || ctx.Err() != nil {
		return idle
	}
	if left := l.paused.Left(now, l.destination.Backoff); left > 0 {
		return left
	}
	for {
		state, room := l.circuit.State(), l.destination.Workers-l.inFlight
		switch state {
		case gobreaker.StateOpen:
			return l.destination.limits.poll
		case gobreaker.StateHalfOpen:
			room = min(room, 1-l.inFlight) // one request probes whether the destination is back
		case gobreaker.StateClosed:
		}
		due, waits := l.queues.next()
		switch {
		case room <= 0 || !waits:
			return idle
		case due.After(now):
			return due.Sub(now)
		}
		allowed := l.limiter.ReserveN(now, 1)
		if wait := allowed.DelayFrom(now); wait > 0 {
			allowed.CancelAt(now)
			return wait
		}
		r := l.queues.take(now, l.destination.MaxEvents, l.destination.limits.requestBytes)
		l.inFlight++
		fresh := slices.ContainsFunc(r.items, func(i *item) bool { return i.id == 0 })
		go func() { l.results <- l.attempt(calls, r, fresh || state == gobreaker.StateHalfOpen) }()
	}
}

// attempt makes one HTTP request and passes the answer to the circuit breaker. It blocks, and runs in a goroutine of
// its own. Of each item in r it reads only the field event, because the loop may change the other fields meanwhile. If
// failureCounts is false, the circuit breaker ignores a failure: see evidence.
func (l *lane) attempt(ctx context.Context, r *request, failureCounts bool) result {
	events := make([]*store.Event, len(r.items))
	for n, i := range r.items {
		events[n] = &i.event
	}
	o := result{request: r}
	_, err := l.circuit.Execute(func() (struct{}, error) {
		if o.answer, o.err = l.sender.send(ctx, events); o.err != nil {
			return struct{}{}, errNoEvidence
		}
		return struct{}{}, l.evidence(o.reason, events[0], failureCounts)
	})
	if relay.CircuitRefused(err) {
		o.err = err
	}
	if o.err == nil {
		l.metrics.DestinationAttempt(l.destination.Name, o.reason, o.took)
	}
	return o
}

// evidence returns what an answer with reason r shows about the destination as a whole: nil if the destination works,
// errOutage if it fails, or errNoEvidence. A refusal (4xx) is an outage only once several different events were refused
// in a row (see relay.Streak). failureCounts is false if all events of the request are deferred, unless the request
// probes an open circuit. Deferred events failed before while others were delivered, so one more failure shows nothing.
func (l *lane) evidence(r store.DeliveryReason, first *store.Event, failureCounts bool) error {
	switch {
	case r == store.DeliveryCanceled:
		return errNoEvidence
	case r == store.DeliveryAccepted:
		l.refusals.Succeed()
	case !failureCounts:
		return errNoEvidence
	case outage(r), r == store.DeliveryRejected && l.refusals.Refuse(first.ID()):
		return errOutage
	}
	return nil
}

// finish applies the result of a request to its events, and lets the next events of their batches be sent. It ignores
// the result if the events are no longer in memory, because another replica or an operator changed the stored progress.
func (l *lane) finish(ctx context.Context, r result) {
	l.inFlight--
	if !l.loaded {
		return // somebody else continues from the stored state
	}
	now := store.Now()
	outcome := l.apply(ctx, r, now)
	for _, q := range r.request.queues {
		q.inFlight = 0
		l.queues.changed(q)
	}
	l.logAttempt(ctx, r, outcome)
}

// apply updates the events of a request: they are delivered, retried, deferred (stored, to be retried later) or dead.
// It returns one word for the log line, such as delivered, retry or dead.
func (l *lane) apply(ctx context.Context, r result, now time.Time) (outcome string) {
	items := r.request.items
	switch {
	case relay.CircuitRefused(r.err), r.err == nil && r.reason == store.DeliveryCanceled:
		return "released"
	case r.err != nil && len(items) == 1:
		items[0].detail = r.err.Error()
		l.giveUp(items[0], store.DeliveryRejected, now)
		return "dead"
	case r.err != nil, r.reason == store.DeliveryRejected && len(items) > 1:
		// The next requests are half as large, until a refused event is alone.
		for _, i := range items {
			i.most = max(len(items)/2, 1)
		}
		return "split"
	case r.reason == store.DeliveryAccepted:
		l.limited = 0
		for _, i := range items {
			l.delivered(i)
		}
		l.metrics.DestinationEvents(l.destination.Name, metrics.DestinationDelivered, len(items))
		return "delivered"
	case r.reason == store.DeliveryGone:
		l.pause(ctx, now)
		return "paused"
	}
	return l.failed(r, now)
}

// failed updates the events of a request that failed. Each event is retried after a delay, deferred (stored, to be
// retried later) or, if its attempts have failed for the time GiveUp, dead. A Retry-After in the answer also pauses all
// requests to the destination. failed returns a word for the log line: "retry", "deferred" or "dead".
func (l *lane) failed(r result, now time.Time) (outcome string) {
	backoff := l.destination.Backoff
	limited := r.reason == store.DeliveryRateLimited
	retryAfter := backoff.CapRetryAfter("", r.retryAfter)
	if limited {
		retryAfter = backoff.Delay(l.limited, backoff.CapRetryAfter(store.ReasonRateLimited, r.retryAfter), l.random())
		l.limited++
	}
	l.paused.Extend(now, retryAfter, backoff) // Retry-After addresses the caller, not one event
	outcome = "retry"
	for _, i := range r.request.items {
		if i.attempts == 0 {
			i.since = now
		}
		i.attempts++
		i.reason, i.detail, i.due = r.reason, r.detail, now
		if !limited {
			i.due = now.Add(backoff.Delay(i.attempts-1, 0, l.random()))
		}
		// One failure proves nothing after a time in which dlrloop did not try.
		if i.attempts > 1 && now.Sub(i.since) >= l.destination.GiveUp {
			i.detail = string(i.reason) + ": " + i.detail
			l.giveUp(i, store.DeliveryGaveUp, now)
			outcome = "dead"
		}
	}
	for _, q := range r.request.queues {
		if len(q.items) > 0 && l.mustDefer(q.front(), limited, now) {
			l.deferQueue(q, now)
			outcome = "deferred"
		}
	}
	return outcome
}

const goneMessage = "the destination answers 410 Gone and gets no more events; " +
	"resume it with dlrloop destination requeue"

// pause stops all requests to the destination, which answered 410, until an operator requeues its events. The pause is
// stored, so it survives a restart. pause does nothing if the destination is already paused.
func (l *lane) pause(ctx context.Context, now time.Time) {
	if !l.state.pausedAt.IsZero() {
		return
	}
	l.state.pausedAt, l.saveAt, l.countAt = now, now, now
	l.log.ErrorContext(ctx, goneMessage)
}

// logAttempt writes one log line for a request, with details of its first event. outcome is the word that apply
// returned; it decides the level, from debug (delivered) to error (dead).
func (l *lane) logAttempt(ctx context.Context, r result, outcome string) {
	level := slog.LevelWarn
	switch outcome {
	case "delivered":
		level = slog.LevelDebug
	case "released":
		level = slog.LevelInfo
	case "dead":
		level = slog.LevelError
	}
	if !l.log.Enabled(ctx, level) {
		return
	}
	first := r.request.items[0]
	attributes := []slog.Attr{
		slog.String("event_id", first.event.ID()), slog.String("type", string(first.event.Type)),
		slog.Int("events", len(r.request.items)), slog.Int("attempt", first.attempts),
		slog.String("outcome", outcome), slog.String("reason", string(r.reason)), slog.Duration("took", r.took),
	}
	if first.event.BatchID != "" {
		attributes = append(attributes, slog.String("plan", first.event.Plan), slog.String("batch_id", first.event.BatchID))
	}
	if r.detail != "" {
		attributes = append(attributes, slog.String("detail", r.detail))
	}
	if r.err != nil {
		attributes = append(attributes, slog.Any("error", r.err))
	}
	l.log.LogAttrs(ctx, level, "destination attempt", attributes...)
}
