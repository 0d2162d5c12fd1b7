package relay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/dlrloop/dlrloop/metrics"
	"github.com/dlrloop/dlrloop/sinch"
	"github.com/dlrloop/dlrloop/store"
)

// ReconcilerConfig says for which plans missing reports are asked for.
type ReconcilerConfig struct {
	Plans []ReconciledPlan
	// Rand is as in Config.
	Rand func() float64
}

// ReconciledPlan is how missing reports of one plan are asked for. ID and Client are required; zero members get the
// defaults. When a report counts as missing is the store's to know (store.Policy).
type ReconciledPlan struct {
	ID     string
	Client *sinch.Client

	Rate         float64       // most reads a second; default 1. One replica reads at a time
	PollInterval time.Duration // how often the store is asked for batches that lack reports; default 5 s
	Backoff      Backoff       // while Sinch cannot be reached or refuses; as for feedback
}

// Reconciler asks Sinch after batches that lack reports, and has what it says recorded as if it had been called back. What was
// called back while nobody listened, for longer than Sinch repeats it, is found so.
//
// Of the replicas that share a store one does it for all, while it has store.DutyReconcile.
type Reconciler struct {
	rounds []*round
}

// dutyLease is for how long one replica reconciles at a time: when it dies another takes over so much later.
const dutyLease = 30 * time.Second

// NewReconciler makes a reconciler. An error names the plan and the member of its configuration that is wrong.
func NewReconciler(c ReconcilerConfig, s store.Store, m *metrics.Metrics, log *slog.Logger) (*Reconciler, error) {
	random := c.Rand
	if random == nil {
		random = rand.Float64
	}
	r, duty := &Reconciler{}, &store.Duty{Store: s, Name: store.DutyReconcile, Lease: dutyLease}
	for i, p := range c.Plans {
		// What the two have in common is checked by the same rules.
		as := Plan{ID: p.ID, Client: p.Client, Rate: p.Rate, PollInterval: p.PollInterval, Backoff: p.Backoff}
		if err := as.check(); err != nil {
			return nil, fmt.Errorf("reconciler: plan %q (number %d): %w", p.ID, i+1, err)
		}
		p.Rate = cmp.Or(p.Rate, 1)
		p.PollInterval = cmp.Or(p.PollInterval, 5*time.Second)
		p.Backoff = as.withDefaults().Backoff
		r.rounds = append(r.rounds, &round{
			plan: p, store: s, duty: duty, metrics: m, log: log.With("plan", p.ID), random: random,
			limiter: rate.NewLimiter(rate.Limit(p.Rate), 1), proof: &proof{client: p.Client},
		})
	}
	return r, nil
}

// Run reconciles until ctx ends, and returns nil then. A store that was closed ends it with store.ErrClosed.
func (r *Reconciler) Run(ctx context.Context) error {
	rounds, ctx := errgroup.WithContext(ctx)
	for _, o := range r.rounds {
		rounds.Go(func() error { return o.run(ctx) })
	}
	return rounds.Wait()
}

// round asks after the batches of one plan, again and again. Its loop owns everything in it.
type round struct {
	plan    ReconciledPlan
	store   store.Store
	duty    *store.Duty // of all rounds
	metrics *metrics.Metrics
	log     *slog.Logger
	random  func() float64
	limiter *rate.Limiter

	proof     *proof
	forbidden streak

	failures int  // of Sinch or the store, in a row
	blind    bool // the store could not be read when it was tried last, and that was told
	// asked are the checks that were dealt with: the store may still show them for a moment.
	asked map[string]store.Check
	// vain is how often asking after a batch failed: those that fail more often come later, so that one that always fails keeps no
	// other waiting.
	vain map[string]int
}

// pageSize is how many batches are read from the store at a time.
const pageSize = 50

func (r *round) run(ctx context.Context) error {
	for {
		wait, err := r.pass(ctx)
		if errors.Is(err, store.ErrClosed) {
			return fmt.Errorf("reconcile plan %s: %w", r.plan.ID, err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// holds reports whether this replica is the one that reconciles.
func (r *round) holds(ctx context.Context) (bool, error) {
	held, err := r.duty.Held(ctx, now())
	r.fails(ctx, "whether it is this replica that reconciles cannot be known", err)
	return held, err
}

// overdue reads what is to be asked after: nothing where another replica does it.
func (r *round) overdue(ctx context.Context) (overdue []*store.Batch, err error) {
	held, err := r.holds(ctx)
	if held {
		overdue, err = r.store.Overdue(ctx, r.plan.ID, now(), pageSize)
		r.fails(ctx, "batches that lack reports cannot be read", err)
	}
	if err == nil && r.blind {
		r.log.InfoContext(ctx, "batches that lack reports can be asked for again")
		r.blind = false
	}
	return overdue, err
}

// fails tells of the first error of the store until it can be read again.
func (r *round) fails(ctx context.Context, failure string, err error) {
	if err == nil || ctx.Err() != nil || errors.Is(err, store.ErrClosed) {
		return
	}
	if !r.blind {
		r.log.WarnContext(ctx, failure, "error", err)
	}
	r.blind = true
}

// pass asks after the batches that are overdue, and returns how long to wait for the next pass.
func (r *round) pass(ctx context.Context) (wait time.Duration, err error) {
	overdue, err := r.overdue(ctx)
	shown, vain, news := make(map[string]store.Check, len(overdue)), make(map[string]int), 0
	slices.SortStableFunc(overdue, func(a, b *store.Batch) int { return cmp.Compare(r.vain[a.ID], r.vain[b.ID]) })
	for _, b := range overdue {
		if n := r.vain[b.ID]; n > 0 {
			vain[b.ID] = n
		}
	}
	for _, b := range overdue {
		if dealt, found := r.asked[b.ID]; found && dealt == *b.Check {
			shown[b.ID] = dealt
			continue
		}
		if r.limiter.Wait(ctx) != nil {
			return 0, nil
		}
		var held bool
		if held, err = r.holds(ctx); !held { // it may have waited for long
			break
		}
		if wait, err = r.ask(ctx, b); err != nil {
			vain[b.ID]++
			break
		}
		delete(vain, b.ID)
		shown[b.ID] = *b.Check
		news++
	}
	r.asked, r.vain = shown, vain
	switch {
	case ctx.Err() != nil:
		return 0, nil
	case err != nil:
		r.failures++
		return wait + r.plan.Backoff.delay(min(r.failures, 32), 0, r.random()), err
	}
	r.failures = 0
	if news > 0 && len(overdue) == pageSize {
		return 0, nil
	}
	return r.plan.PollInterval, nil
}

// ask asks Sinch after one batch and records what it says. An error means that nothing was learnt: it is asked again, no sooner than
// after wait.
func (r *round) ask(ctx context.Context, b *store.Batch) (wait time.Duration, err error) {
	report, err := r.plan.Client.GetReport(ctx, b.ID, sinch.ReportQuery{Kind: sinch.Full})
	if missing(err) {
		if fault := r.proof.missing(ctx, b.ID, func(call func() error) error { return call() }); fault != nil {
			err = fault
		}
	}
	reason := reasonOf(err)
	if reason == store.ReasonForbidden && r.forbidden.refuse(b.ID) {
		reason = store.ReasonAuth
	}
	r.metrics.ReconcileRead(r.plan.ID, reason)
	if reason != store.ReasonCanceled {
		r.tell(ctx, b, reason, err)
	}
	switch {
	case err == nil:
		r.proof.succeed()
		r.forbidden.succeed()
		said := store.Report{Report: report.Report, Raw: report.Raw, Source: store.FromPoll}
		return 0, r.learn(ctx, b.ID, said, store.Checked{BatchID: b.ID})
	case missing(err):
		return 0, r.learn(ctx, b.ID, store.Facts{BatchID: b.ID, Missing: true, Source: store.FromPoll})
	case reason == store.ReasonForbidden:
		return 0, r.learn(ctx, b.ID, store.Checked{BatchID: b.ID}) // this batch alone is asked after later
	case reason == store.ReasonRejected:
		return 0, r.learn(ctx, b.ID, store.Checked{BatchID: b.ID, Refused: detail(err)})
	case ofThePlan(reason):
		return r.plan.Backoff.Cap, err
	}
	return r.plan.Backoff.honoured(reason, retryAfter(err)), err
}

// learn records what Sinch said, in its order.
func (r *round) learn(ctx context.Context, batchID string, said ...store.News) error {
	for _, news := range said {
		if err := r.store.Record(ctx, store.Arrival{Plan: r.plan.ID, At: now(), News: news}); err != nil {
			if ctx.Err() == nil {
				r.log.WarnContext(ctx, "what was asked for could not be recorded", "batch_id", batchID, "error", err)
			}
			return fmt.Errorf("record what Sinch says of batch %s: %w", batchID, err)
		}
	}
	return nil
}

// tell writes the one line of a read.
func (r *round) tell(ctx context.Context, b *store.Batch, reason store.Reason, err error) {
	attributes := []slog.Attr{
		slog.String("batch_id", b.ID), slog.Int("lacking", b.Lacking()), slog.Int("asked", b.Check.Asked+1),
		slog.Time("due", b.Check.Due), slog.String("reason", string(reason)),
	}
	level := slog.LevelInfo
	if err != nil {
		level = slog.LevelWarn
		attributes = append(attributes, slog.String("detail", detail(err)))
	}
	r.log.LogAttrs(ctx, level, "missing reports asked for", attributes...)
}
