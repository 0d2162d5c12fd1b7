package feedback

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/dlrloop/dlrloop/metrics"
	"github.com/dlrloop/dlrloop/relay"
	"github.com/dlrloop/dlrloop/store"
)

// lane relays the feedback of one plan. One loop claims tasks, as many as workers, rate, circuit and pauses allow, and
// starts a goroutine for each. The goroutines send their outcomes back to the loop. Only the loop uses the fields below
// "Owned by the loop"; the fields above are shared with the workers.
type lane struct {
	plan      Plan
	store     Store
	metrics   *metrics.Metrics
	log       *slog.Logger
	random    func() float64
	share     func() float64
	circuit   *gobreaker.CircuitBreaker[struct{}]
	limiter   *rateLimiter
	planCheck *relay.PlanCheck
	// forbidden holds the batches that Sinch answered with 403, by step.
	forbidden map[step]*relay.Streak

	// outcomes of the workers; its capacity is the number of workers, so sending never blocks
	finished chan outcome
	sendNow  chan struct{} // holds one element after a requeue, until the loop has ended its pause
	workers  sync.WaitGroup

	// Owned by the loop.
	inFlight     int
	holdUntil    time.Time // no claims before this time
	pausedSince  time.Time // when Sinch began to refuse the plan; zero while Sinch accepts it
	claimFailing bool      // the last claim failed
}

func newLane(p Plan, c Config, s Store, m *metrics.Metrics, log *slog.Logger) *lane {
	l := &lane{
		plan: p, store: s, metrics: m, log: log, random: c.Rand, share: c.Share,
		limiter:  newRateLimiter(p.Rate, p.Workers, c.Share()),
		finished: make(chan outcome, p.Workers), sendNow: make(chan struct{}, 1),
		planCheck: &relay.PlanCheck{Client: p.Client}, forbidden: make(map[step]*relay.Streak),
	}
	for _, s := range []step{stepLookUp, stepReadFull, stepSend} {
		l.forbidden[s] = &relay.Streak{}
	}
	l.circuit = gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Timeout:       p.Circuit.Open,
		ReadyToTrip:   func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= uint32(p.Circuit.Failures) },
		IsSuccessful:  func(err error) bool { return !outage(relay.ReasonOf(err)) },
		IsExcluded:    func(err error) bool { return relay.ReasonOf(err) == store.ReasonCanceled },
		OnStateChange: l.logCircuit,
	})
	m.Circuit(p.ID, circuitName(gobreaker.StateClosed))
	l.exportRate()
	return l
}

// circuitName returns the label value of a circuit state.
func circuitName(s gobreaker.State) string { return strings.ReplaceAll(s.String(), "-", "_") }

// logCircuit exports and logs a change of the circuit's state.
func (l *lane) logCircuit(_ string, from, to gobreaker.State) {
	l.metrics.Circuit(l.plan.ID, circuitName(to))
	level := slog.LevelInfo
	if to == gobreaker.StateOpen {
		level = slog.LevelWarn
	}
	l.log.Log(context.Background(), level, "feedback circuit", "from", circuitName(from), "to", circuitName(to))
}

// run claims due tasks and starts workers for them until ctx ends. It then waits for the workers; CallGrace after ctx
// ended it cancels their calls.
func (l *lane) run(ctx context.Context) error {
	calls, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	err := l.loop(ctx, calls)
	grace := time.AfterFunc(l.plan.CallGrace, stop)
	defer grace.Stop()
	l.workers.Wait()
	return err
}

func (l *lane) loop(ctx, calls context.Context) error {
	for {
		wait, err := l.claim(ctx, calls)
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case o := <-l.finished:
			l.applyOutcome(ctx, o)
			l.drainFinished(ctx)
		case <-l.sendNow:
			l.holdUntil = time.Time{}
		case <-time.After(wait):
		}
	}
}

// drainFinished applies all outcomes that are already waiting, so that one claim can fill every free worker.
func (l *lane) drainFinished(ctx context.Context) {
	for {
		select {
		case o := <-l.finished:
			l.applyOutcome(ctx, o)
		default:
			return
		}
	}
}

// claimRetry is how long the loop waits after a failed claim.
const claimRetry = time.Second

// claim claims as many due tasks as capacity allows and starts a worker for each. It returns how long the loop waits
// before the next claim, unless a worker finishes first. A store error is logged and retried; only store.ErrClosed is
// returned.
func (l *lane) claim(ctx, calls context.Context) (wait time.Duration, err error) {
	begin := store.Now()
	room, wait := l.capacity(begin)
	if room == 0 || ctx.Err() != nil {
		return wait, nil
	}
	claims, err := l.store.Claim(ctx, l.plan.ID, begin, l.plan.Lease, room)
	switch {
	case errors.Is(err, store.ErrClosed):
		return 0, fmt.Errorf("claim tasks of plan %s: %w", l.plan.ID, err)
	case err != nil && ctx.Err() != nil:
		return 0, nil
	case err != nil:
		if !l.claimFailing {
			l.log.WarnContext(ctx, "feedback tasks cannot be claimed", "error", err)
		}
		l.claimFailing = true
		return claimRetry, nil
	case l.claimFailing:
		l.log.InfoContext(ctx, "feedback tasks can be claimed again")
		l.claimFailing = false
	}
	for _, c := range claims {
		l.limiter.spend(begin)
		l.inFlight++
		l.workers.Go(func() { l.finished <- l.work(ctx, calls, c, begin) })
	}
	if len(claims) == room {
		return 0, nil
	}
	return l.plan.PollInterval, nil
}

// capacity returns how many tasks may be claimed at the given time and, if that is zero, how long to wait.
func (l *lane) capacity(at time.Time) (int, time.Duration) {
	share := l.share()
	if l.limiter.setShare(share, at) {
		l.exportRate()
	}
	if share == 0 {
		return 0, l.plan.PollInterval
	}
	room := l.plan.Workers - l.inFlight
	if left := l.holdLeft(at); left > 0 {
		return 0, left
	}
	switch l.circuit.State() {
	case gobreaker.StateOpen:
		return 0, l.plan.PollInterval
	case gobreaker.StateHalfOpen:
		room = min(room, 1-l.inFlight) // one call probes whether Sinch is back
	case gobreaker.StateClosed:
	}
	if !l.pausedSince.IsZero() {
		room = min(room, 1-l.inFlight) // one call probes whether Sinch accepts the plan again
	}
	if room <= 0 {
		return 0, l.plan.PollInterval
	}
	if room = min(room, l.limiter.available(at)); room == 0 {
		return 0, l.limiter.untilNext(at)
	}
	return room, 0
}

// applyOutcome updates the state of the whole plan from the outcome of one claim: pause, hold, rate and resume.
func (l *lane) applyOutcome(ctx context.Context, o outcome) {
	l.inFlight--
	at := store.Now()
	switch {
	case o.reason == store.ReasonCanceled, o.reason == "":
	case relay.PausesPlan(o.reason):
		l.pause(ctx, at, o)
	case o.reason == store.ReasonRateLimited, outage(o.reason):
		if o.reason != store.ReasonNetwork && l.limiter.decrease(at) {
			l.exportRate()
		}
		l.hold(at, o.retryAfter)
	default:
		if l.limiter.increase(at) {
			l.exportRate()
		}
		l.resume(ctx, at)
	}
}

// exportRate sets the gauges of this replica's rate and ceiling.
func (l *lane) exportRate() {
	l.metrics.FeedbackRate(l.plan.ID, l.limiter.rate*l.limiter.share, l.limiter.ceiling*l.limiter.share)
}

// hold stops claims for d after at. It never shortens an earlier hold.
func (l *lane) hold(at time.Time, d time.Duration) {
	if d > l.holdLeft(at) {
		l.holdUntil = at.Add(d)
	}
}

// holdLeft returns how much of the hold remains at the given time. A remainder longer than any hold means that the
// clock was set back; it counts as zero.
func (l *lane) holdLeft(at time.Time) time.Duration {
	left := l.holdUntil.Sub(at)
	if left > max(l.plan.Backoff.Cap, store.MaxRetryAfter) {
		return 0
	}
	return max(left, 0)
}

// Log messages for a paused plan.
const (
	refusesPlan   = "plan paused: Sinch refuses all calls; correct the plan's token, or ask Sinch about the account"
	unknownToPlan = "plan paused: Sinch does not know any batch of it; correct its id, region or base_url and restart"
)

// pause pauses the plan for Backoff.Cap after Sinch refused it as a whole. Refusals of calls that were in flight
// together cause one pause and one log line.
func (l *lane) pause(ctx context.Context, at time.Time, o outcome) {
	switch {
	case l.pausedSince.IsZero():
		l.pausedSince = at
	case l.holdLeft(at) > 0:
		return
	}
	l.hold(at, l.plan.Backoff.Cap)
	message := refusesPlan
	if o.reason == store.ReasonUnknownPlan {
		message = unknownToPlan
	}
	l.log.ErrorContext(ctx, message, "since", l.pausedSince, "until", l.holdUntil, "detail", o.settlement.Detail)
}

// resume ends the pause. It ignores answers that arrive before the pause is over, because those calls began before it.
func (l *lane) resume(ctx context.Context, at time.Time) {
	if l.pausedSince.IsZero() || l.holdLeft(at) > 0 {
		return
	}
	l.log.InfoContext(ctx, "plan resumed: Sinch accepts it again", "after", at.Sub(l.pausedSince))
	l.pausedSince = time.Time{}
}
