package relay

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
	"github.com/dlrloop/dlrloop/store"
)

// lane relays the feedback of one plan. One loop claims tasks, as many as workers, rate, circuit and pauses leave room for,
// and starts a goroutine for each; what became of them comes back to the loop, which owns all that is not shared.
type lane struct {
	plan    Plan
	store   store.Store
	metrics *metrics.Metrics
	log     *slog.Logger
	random  func() float64
	circuit *gobreaker.CircuitBreaker[struct{}]
	pace    *pace
	proof   *proof
	// forbidden are the batches that Sinch answered 403, by step.
	forbidden map[step]*streak

	finished chan outcome  // of the workers; holds one for each
	sendNow  chan struct{} // holds one element once a person asked for feedback to be sent now
	workers  sync.WaitGroup

	// Of the loop.
	inFlight int
	until    time.Time // no claims before
	paused   time.Time // since when Sinch refuses the plan; zero while it accepts it
	blind    bool      // the last claim failed
}

func newLane(p Plan, s store.Store, m *metrics.Metrics, log *slog.Logger, random func() float64) *lane {
	l := &lane{
		plan: p, store: s, metrics: m, log: log, random: random,
		pace:     newPace(p.Rate, p.Workers, s.Share()),
		finished: make(chan outcome, p.Workers), sendNow: make(chan struct{}, 1), proof: &proof{client: p.Client}, forbidden: make(map[step]*streak),
	}
	for _, s := range []step{stepLookUp, stepReadFull, stepSend} {
		l.forbidden[s] = &streak{}
	}
	l.circuit = gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Timeout:       p.Circuit.Open,
		ReadyToTrip:   func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= uint32(p.Circuit.Failures) },
		IsSuccessful:  func(err error) bool { return !outage(reasonOf(err)) },
		IsExcluded:    func(err error) bool { return reasonOf(err) == store.ReasonCanceled },
		OnStateChange: l.turned,
	})
	m.Circuit(p.ID, circuitName(gobreaker.StateClosed))
	l.tellPace()
	return l
}

// circuitName is the state's label.
func circuitName(s gobreaker.State) string { return strings.ReplaceAll(s.String(), "-", "_") }

// turned tells that the circuit changed its state.
func (l *lane) turned(_ string, from, to gobreaker.State) {
	l.metrics.Circuit(l.plan.ID, circuitName(to))
	level := slog.LevelInfo
	if to == gobreaker.StateOpen {
		level = slog.LevelWarn
	}
	l.log.Log(context.Background(), level, "feedback circuit", "from", circuitName(from), "to", circuitName(to))
}

// run claims and starts what is due until ctx ends, and then waits for what is in flight.
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
			l.take(ctx, o)
			l.takeOthers(ctx)
		case <-l.sendNow:
			l.until = time.Time{}
		case <-time.After(wait):
		}
	}
}

// takeOthers takes what else has finished, so that one claim fills the room of all.
func (l *lane) takeOthers(ctx context.Context) {
	for {
		select {
		case o := <-l.finished:
			l.take(ctx, o)
		default:
			return
		}
	}
}

// claimRetry is how long the lane waits after a claim that failed.
const claimRetry = time.Second

// claim starts what is due and there is room for. It returns how long to wait for more unless a worker finishes before.
func (l *lane) claim(ctx, calls context.Context) (wait time.Duration, err error) {
	begin := now()
	room, wait := l.room(begin)
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
		if !l.blind {
			l.log.WarnContext(ctx, "feedback tasks cannot be claimed", "error", err)
		}
		l.blind = true
		return claimRetry, nil
	case l.blind:
		l.log.InfoContext(ctx, "feedback tasks can be claimed again")
		l.blind = false
	}
	for _, c := range claims {
		l.pace.spend(begin)
		l.inFlight++
		l.workers.Go(func() { l.finished <- l.work(ctx, calls, c, begin) })
	}
	if len(claims) == room {
		return 0, nil
	}
	return l.plan.PollInterval, nil
}

// room is how many tasks may be claimed now, and how long to wait if none may.
func (l *lane) room(at time.Time) (int, time.Duration) {
	share := l.store.Share()
	if l.pace.take(share, at) {
		l.tellPace()
	}
	if share == 0 {
		return 0, l.plan.PollInterval
	}
	room := l.plan.Workers - l.inFlight
	if left := l.held(at); left > 0 {
		return 0, left
	}
	switch l.circuit.State() {
	case gobreaker.StateOpen:
		return 0, l.plan.PollInterval
	case gobreaker.StateHalfOpen:
		room = min(room, 1-l.inFlight) // one call tells whether Sinch is back
	case gobreaker.StateClosed:
	}
	if !l.paused.IsZero() {
		room = min(room, 1-l.inFlight) // one call tells whether Sinch accepts the plan again
	}
	if room <= 0 {
		return 0, l.plan.PollInterval
	}
	if room = min(room, l.pace.room(at)); room == 0 {
		return 0, l.pace.next(at)
	}
	return room, 0
}

// take draws from what became of a claim what concerns the whole plan.
func (l *lane) take(ctx context.Context, o outcome) {
	l.inFlight--
	at := now()
	switch {
	case o.reason == store.ReasonCanceled, o.reason == "":
	case ofThePlan(o.reason):
		l.pause(ctx, at, o)
	case o.reason == store.ReasonRateLimited, outage(o.reason):
		if o.reason != store.ReasonNetwork && l.pace.drop(at) {
			l.tellPace()
		}
		l.hold(at, o.retryAfter)
	default:
		if l.pace.raise(at) {
			l.tellPace()
		}
		l.resume(ctx, at)
	}
}

// tellPace exports the rate.
func (l *lane) tellPace() {
	l.metrics.FeedbackRate(l.plan.ID, l.pace.rate*l.pace.share, l.pace.ceiling*l.pace.share)
}

// hold makes no claims for d.
func (l *lane) hold(at time.Time, d time.Duration) {
	if d > l.held(at) {
		l.until = at.Add(d)
	}
}

// held is how long no claims are made. More than any hold lasts means that the clock was set back: nothing is left of it.
func (l *lane) held(at time.Time) time.Duration {
	left := l.until.Sub(at)
	if left > max(l.plan.Backoff.Cap, store.MaxRetryAfter) {
		return 0
	}
	return max(left, 0)
}

// What pauses a plan, in words.
const (
	refusesPlan   = "plan paused: Sinch refuses all its calls; correct the plan's token, or ask Sinch about the account"
	unknownToPlan = "plan paused: Sinch knows no batch of the plan; check its id, region and base_url, and restart after a change"
)

// pause stops the plan after Sinch refused it as a whole. Refusals of calls that were in flight together are one pause.
func (l *lane) pause(ctx context.Context, at time.Time, o outcome) {
	switch {
	case l.paused.IsZero():
		l.paused = at
	case l.held(at) > 0:
		return
	}
	l.hold(at, l.plan.Backoff.Cap)
	message := refusesPlan
	if o.reason == store.ReasonUnknownPlan {
		message = unknownToPlan
	}
	l.log.ErrorContext(ctx, message, "since", l.paused, "until", l.until, "detail", o.settlement.Detail)
}

// resume ends a pause, but for an answer to a call that was made before it.
func (l *lane) resume(ctx context.Context, at time.Time) {
	if l.paused.IsZero() || l.held(at) > 0 {
		return
	}
	l.log.InfoContext(ctx, "plan resumed: Sinch accepts it again", "after", at.Sub(l.paused))
	l.paused = time.Time{}
}
