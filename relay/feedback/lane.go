package feedback

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/dlrloop/dlrloop/metrics"
	"github.com/dlrloop/dlrloop/relay"
	"github.com/dlrloop/dlrloop/store"
)

// lane sends the delivery feedback of one service plan. One goroutine, the loop, claims due tasks from the store and
// starts a goroutine, a worker, for each task; method capacity limits how many. The workers send their outcomes back to
// the loop. Only the loop uses the fields below the comment "Owned by the loop".
type lane struct {
	plan       Plan
	store      Store
	metrics    *metrics.Metrics
	log        *slog.Logger
	random     func() float64
	quotaShare func() float64
	circuit    *relay.CircuitBreaker
	limiter    *rateLimiter
	planCheck  *relay.PlanCheck
	// forbidden holds the batches that Sinch answered with 403, by step.
	forbidden map[step]*relay.Streak

	// outcomes of the workers; its capacity is the number of workers, so sending never blocks
	finished chan outcome
	sendNow  chan struct{} // contains one element after a requeue, until the loop has ended its pause
	workers  sync.WaitGroup

	// Owned by the loop.
	inFlight     int
	paused       relay.Pause // no claims
	pausedSince  time.Time   // when Sinch began to refuse the whole plan; zero while Sinch accepts the plan
	claimFailing bool        // the last claim failed
}

func newLane(p Plan, c Config, s Store, m *metrics.Metrics, log *slog.Logger) *lane {
	l := &lane{
		plan: p, store: s, metrics: m, log: log, random: c.Rand, quotaShare: c.QuotaShare,
		limiter:  newRateLimiter(p.Rate, p.Workers, c.QuotaShare()),
		finished: make(chan outcome, p.Workers), sendNow: make(chan struct{}, 1),
		planCheck: &relay.PlanCheck{Client: p.Client}, forbidden: make(map[step]*relay.Streak),
	}
	for _, s := range []step{stepLookUp, stepReadFull, stepSend} {
		l.forbidden[s] = &relay.Streak{}
	}
	l.circuit = relay.Breaker{
		Failed:  func(err error) bool { return outage(relay.ReasonOf(err)) },
		Ignored: func(err error) bool { return relay.ReasonOf(err) == store.ReasonCanceled },
		Export:  func(state string) { m.Circuit(p.ID, state) },
		Log:     log, Message: "feedback circuit",
	}.New(p.Circuit)
	l.exportRate()
	return l
}

// run sends the feedback of the service plan until ctx ends. Calls to Sinch that are in flight then may go on for
// Plan.CallGrace before they are canceled. run returns after all workers have ended. It returns an error only if the
// store is closed.
func (l *lane) run(ctx context.Context) error {
	calls, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	err := l.loop(ctx, calls)
	grace := time.AfterFunc(l.plan.CallGrace, stop)
	defer grace.Stop()
	l.workers.Wait()
	return err
}

// loop claims the feedback tasks of the service plan, starts a worker (a goroutine) for each, and applies the outcomes,
// until ctx ends. Workers call Sinch with the second context, so a call may go on after ctx has ended. loop returns an
// error only if the store is closed.
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
			l.paused = relay.Pause{}
		case <-time.After(wait):
		}
	}
}

// drainFinished applies all outcomes that workers have already sent, so that the next claim can use every free worker.
// It does not block.
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

// claimRetry is how long to wait before a plan's tasks are claimed again after the store failed to return them.
const claimRetry = time.Second

// claim takes due tasks from the store, as many as capacity allows, and starts a worker (a goroutine) for each. It
// returns how long to wait before the next claim. If the store fails, claim logs that and returns claimRetry; it
// returns an error only if the store is closed.
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
		l.workers.Go(func() { l.finished <- l.runTask(ctx, calls, c, begin) })
	}
	if len(claims) == room {
		return 0, nil
	}
	return l.plan.PollInterval, nil
}

// capacity returns how many tasks may be claimed now. If the number is 0, the second result is how long to wait before
// the next call of capacity; otherwise the second result is 0.
func (l *lane) capacity(now time.Time) (int, time.Duration) {
	share := l.quotaShare()
	if l.limiter.setQuotaShare(share, now) {
		l.exportRate()
	}
	if share == 0 {
		return 0, l.plan.PollInterval
	}
	room := l.plan.Workers - l.inFlight
	if left := l.paused.Left(now, l.plan.Backoff); left > 0 {
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
	if room = min(room, l.limiter.available(now)); room == 0 {
		return 0, l.limiter.untilNext(now)
	}
	return room, 0
}

// applyOutcome adjusts the plan's calls to Sinch to the outcome of one task: they become slower after 429 or an outage,
// faster after a success, and stop for a time if Sinch refuses the whole plan.
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
		l.paused.Extend(at, o.retryAfter, l.plan.Backoff)
	default:
		if l.limiter.increase(at) {
			l.exportRate()
		}
		l.resume(ctx, at)
	}
}

// exportRate sets the metrics of the current and the maximum rate of feedback calls that this process may make for the
// plan.
func (l *lane) exportRate() {
	l.metrics.FeedbackRate(l.plan.ID, l.limiter.rate*l.limiter.quotaShare, l.limiter.ceiling*l.limiter.quotaShare)
}

// The log messages for a service plan for which Sinch refuses all calls. Each says what to correct.
const (
	refusesPlan   = "plan paused: Sinch refuses all calls; correct the plan's token, or ask Sinch about the account"
	unknownToPlan = "plan paused: Sinch does not know any batch of it; correct its id, region or base_url and restart"
)

// pause makes the loop claim no tasks for Plan.Backoff.Cap, because Sinch refuses the whole service plan, and logs the
// reason from o. If such a pause has begun before and is not over, pause does nothing: several calls that fail together
// cause one pause and one log line.
func (l *lane) pause(ctx context.Context, now time.Time, o outcome) {
	switch {
	case l.pausedSince.IsZero():
		l.pausedSince = now
	case l.paused.Left(now, l.plan.Backoff) > 0:
		return
	}
	l.paused.Extend(now, l.plan.Backoff.Cap, l.plan.Backoff)
	message := refusesPlan
	if o.reason == store.ReasonUnknownPlan {
		message = unknownToPlan
	}
	l.log.ErrorContext(ctx, message, "since", l.pausedSince, "until", l.paused.Until, "detail", o.settlement.Detail)
}

// resume records that Sinch accepts the service plan again, after it refused the whole plan: the loop may again make
// several calls at a time. Call resume after each call that Sinch answered, except with 429, 5xx or a refusal of the
// whole plan. During a pause, resume does nothing, because the answered call began before the pause.
func (l *lane) resume(ctx context.Context, now time.Time) {
	if l.pausedSince.IsZero() || l.paused.Left(now, l.plan.Backoff) > 0 {
		return
	}
	l.log.InfoContext(ctx, "plan resumed: Sinch accepts it again", "after", now.Sub(l.pausedSince))
	l.pausedSince = time.Time{}
}
