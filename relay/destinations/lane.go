package destinations

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/time/rate"

	"github.com/dlrloop/dlrloop/metrics"
	"github.com/dlrloop/dlrloop/relay"
	"github.com/dlrloop/dlrloop/store"
)

// lane delivers the events of one destination. Its loop, one goroutine, reads the event log and starts a goroutine (a
// worker) for each HTTP request, within the limits of workers, rate, circuit breaker and pauses. Workers and saves send
// their results back to the loop. Only the loop uses the fields below "Owned by the loop".
type lane struct {
	destination Destination
	store       Store
	held        func(ctx context.Context, now time.Time) (bool, error)
	metrics     *metrics.Metrics
	log         *slog.Logger
	random      func() float64
	sender      *sender
	circuit     *relay.CircuitBreaker
	refusals    relay.Streak // events that the destination refused
	limiter     *rate.Limiter

	results chan result // of the workers; its capacity is their number, so sending never blocks
	saves   chan saved  // the result of the save in progress; capacity 1

	// Owned by the loop.
	progress
	inFlight int         // requests
	paused   relay.Pause // no requests, since the destination asked for that
	limited  int         // consecutive answers 429
	leading  bool        // this replica held the leader lease at the last check
	failing  bool        // the last access to the store failed, which is already logged
	excess   int         // how many of the oldest events must become dead, because too many wait

	readAt, saveAt, checkAt, countAt time.Time // the earliest times of the next read, save, check and count
	steppedAt                        time.Time // the time of the last step
}

func newLane(d Destination, c Config, s Store, m *metrics.Metrics, log *slog.Logger) (*lane, error) {
	l := &lane{
		destination: d, store: s, held: c.Held, metrics: m, log: log, random: c.Rand,
		results: make(chan result, d.Workers), saves: make(chan saved, 1),
		limiter: rate.NewLimiter(rate.Inf, 1),
	}
	if d.Rate > 0 {
		l.limiter = rate.NewLimiter(rate.Limit(d.Rate), max(1, min(int(d.Rate/10), d.Workers)))
	}
	var err error
	if l.sender, err = newSender(d, c.UserAgent); err != nil {
		return nil, err
	}
	l.circuit = relay.Breaker{
		Failed:  func(err error) bool { return errors.Is(err, errOutage) },
		Ignored: func(err error) bool { return errors.Is(err, errNoEvidence) },
		Export:  func(state string) { m.DestinationCircuit(d.Name, state) },
		Log:     log, Message: "destination circuit",
	}.New(d.Circuit)
	return l, nil
}

// run delivers the events of one destination until ctx ends. It then waits up to CallGrace for the requests in flight,
// cancels the others, and saves the progress. It returns an error only if the store is closed.
func (l *lane) run(ctx context.Context) error {
	calls, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	err := l.loop(ctx, calls)
	grace := time.AfterFunc(l.destination.CallGrace, cancel)
	defer grace.Stop()
	ctx = context.WithoutCancel(ctx)
	for l.inFlight > 0 {
		l.finish(ctx, <-l.results)
	}
	l.sender.client.CloseIdleConnections()
	return errors.Join(err, l.saveLast(ctx))
}

// loop calls step, and applies the results of requests and saves, until ctx ends. calls is the context of the requests.
// It outlives ctx, so that they can finish. loop returns an error only if the store is closed.
func (l *lane) loop(ctx, calls context.Context) error {
	for ctx.Err() == nil {
		next, err := l.step(ctx, calls, store.Now())
		if err != nil && ctx.Err() == nil {
			if errors.Is(err, store.ErrClosed) {
				return fmt.Errorf("destination %s: %w", l.destination.Name, err)
			}
			l.storeFailed(ctx, err)
			next = l.destination.limits.retry
		}
		select {
		case <-ctx.Done():
		case r := <-l.results:
			l.finish(ctx, r)
			l.drainResults(ctx)
		case s := <-l.saves:
			l.saveEnded(ctx, s)
		case <-time.After(next):
		}
	}
	return nil
}

// drainResults applies the results of all requests that have already ended, so that the next step can use every free
// worker. It does not block.
func (l *lane) drainResults(ctx context.Context) {
	for {
		select {
		case r := <-l.results:
			l.finish(ctx, r)
		default:
			return
		}
	}
}

// step does everything that is possible at the given time, now: it loads the stored progress, reads events, starts
// requests and saves. It does not wait for requests or saves. It returns how long to wait until the next step; if a
// request or save ends before, the next step comes at once. Its errors are those of the store.
func (l *lane) step(ctx, calls context.Context, now time.Time) (time.Duration, error) {
	limits := l.destination.limits
	if now.Before(l.steppedAt) {
		l.clockSetBack(now)
	}
	l.steppedAt = now
	if held, err := l.held(ctx, now); !held || err != nil {
		l.release(ctx, now)
		return limits.retry, err
	}
	if !l.leading {
		l.leading, l.checkAt, l.countAt = true, time.Time{}, time.Time{}
	}
	if !l.loaded {
		if l.inFlight > 0 || l.saving != nil {
			return limits.retry, nil // the results of earlier requests must not be missed
		}
		if err := l.load(ctx, now); err != nil {
			return 0, err
		}
	}
	for _, do := range []func(context.Context, time.Time) error{l.check, l.loadMore, l.count, l.shed, l.read} {
		if err := do(ctx, now); err != nil || !l.loaded {
			return 0, err
		}
	}
	l.storeWorks(ctx)
	wait := l.dispatch(ctx, calls, now)
	l.save(ctx, now)
	return min(wait, l.untilTimers(now)), nil
}

// clockSetBack repairs the timers after the system clock was set back; now is the new time. A timer that would
// otherwise wait until the clock has caught up becomes due at once.
func (l *lane) clockSetBack(now time.Time) {
	for _, at := range []*time.Time{&l.readAt, &l.saveAt, &l.checkAt, &l.countAt} {
		if at.After(now) {
			*at = now
		}
	}
	l.queues.clockSetBack(now, l.latestDue(now))
}

// untilTimers returns how long to wait until the next read of the event log, save, or check of the stored state is due.
// It is never negative. dispatch says when the next request is due.
func (l *lane) untilTimers(now time.Time) time.Duration {
	next := l.checkAt
	if l.saving != nil {
		next = now.Add(l.destination.limits.check) // check waits until the save ends
	}
	if l.dirty() && l.saving == nil && l.saveAt.Before(next) {
		next = l.saveAt
	}
	if l.readable() && l.readAt.Before(next) {
		next = l.readAt
	}
	return max(next.Sub(now), 0)
}

// storeFailed logs an error of the store as a warning. After the first one it is silent until storeWorks has logged
// that the store works again.
func (l *lane) storeFailed(ctx context.Context, err error) {
	if !l.failing {
		l.log.WarnContext(ctx, "events cannot be read or their delivery not be stored; will retry", "error", err)
	}
	l.failing = true
}

func (l *lane) storeWorks(ctx context.Context) {
	if l.failing && l.saveFailures == 0 {
		l.log.InfoContext(ctx, "events can be read and their delivery be stored again")
		l.failing = false
	}
}

// release is called in place of the delivery steps while this replica does not hold the leader lease. It starts no
// request. Once no request is in flight and the progress is saved, it drops the progress from memory, because another
// replica may change the stored progress.
func (l *lane) release(ctx context.Context, now time.Time) {
	if l.leading {
		l.leading = false
		l.metrics.DestinationState(l.destination.Name, metrics.DestinationState{})
	}
	if !l.loaded || l.inFlight > 0 || l.saving != nil {
		return
	}
	if l.checkAt.IsZero() && (l.check(ctx, now) != nil || !l.loaded) {
		return // somebody else changed the destination
	}
	l.deferUnfinished(now)
	if l.save(ctx, now); l.saving == nil && !l.dirty() {
		l.progress = progress{}
	}
}
