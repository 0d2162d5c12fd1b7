package reconcile

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
	"github.com/dlrloop/dlrloop/relay"
	"github.com/dlrloop/dlrloop/sinch"
	"github.com/dlrloop/dlrloop/store"
)

// Config configures a Reconciler: the service plans whose missing reports it fetches from Sinch, and whether this
// process is the one that fetches.
type Config struct {
	Plans []Plan
	// Rand returns random numbers in [0, 1) for the retry jitter. It must be safe for concurrent use. Nil means
	// math/rand/v2.
	Rand func() float64
	// Held reports whether this replica holds the leader lease for reconciling at now. Nil means always, for a single
	// process. Held must be safe for concurrent use.
	Held func(ctx context.Context, now time.Time) (bool, error)
}

// Plan configures how missing reports of one service plan are fetched from Sinch. ID and Client are required; any other
// zero field means its default. The store decides when reports count as missing (store.Policy).
type Plan struct {
	ID     string
	Client *sinch.Client

	Rate         float64       // most reads per second; default 1. Only one replica reads at a time
	PollInterval time.Duration // how often the store is polled for batches with missing reports; default 5 s
	Backoff      relay.Backoff // delay while Sinch is unreachable or refuses
}

// check returns an error that names the first invalid field, or nil if all fields are valid. Zero is valid except for
// ID and Client.
func (p Plan) check() error {
	if err := relay.CheckPlan(p.ID, p.Client, p.Rate, p.Backoff); err != nil {
		return err
	}
	return relay.CheckDurations(relay.Duration{Name: "poll interval", Value: p.PollInterval})
}

// Reconciler finds batches whose reports did not arrive, fetches the reports from Sinch and records them like
// callbacks. This recovers reports that Sinch gave up sending while dlrloop was down. If several processes share a
// store, only the holder of the leader lease (Config.Held) fetches.
type Reconciler struct {
	plans []*planReconciler
}

// Store is the part of store.Store that a Reconciler uses: MissingReports lists the batches whose reports are due to be
// fetched, and Record stores what was fetched.
type Store interface {
	MissingReports(ctx context.Context, plan string, now time.Time, limit int) ([]*store.Batch, error)
	Record(ctx context.Context, a store.Arrival) error
}

// New returns a Reconciler that fetches the reports that the batches in the store s still miss. It starts no goroutine.
// If a service plan is configured wrongly, the error names the plan and the field.
func New(c Config, s Store, m *metrics.Metrics, log *slog.Logger) (*Reconciler, error) {
	if c.Rand == nil {
		c.Rand = rand.Float64
	}
	if c.Held == nil {
		c.Held = func(context.Context, time.Time) (bool, error) { return true, nil }
	}
	r := &Reconciler{}
	for i, p := range c.Plans {
		if err := p.check(); err != nil {
			return nil, fmt.Errorf("reconciler: plan %q (number %d): %w", p.ID, i+1, err)
		}
		p.Rate = cmp.Or(p.Rate, 1)
		p.PollInterval = cmp.Or(p.PollInterval, 5*time.Second)
		p.Backoff = p.Backoff.WithDefaults()
		r.plans = append(r.plans, &planReconciler{
			plan: p, store: s, held: c.Held, metrics: m, log: log.With("plan", p.ID), random: c.Rand,
			limiter: rate.NewLimiter(rate.Limit(p.Rate), 1), planCheck: &relay.PlanCheck{Client: p.Client},
		})
	}
	return r, nil
}

// Run fetches missing reports until ctx ends and then returns nil. If the store is closed, it returns an error that
// wraps store.ErrClosed.
func (r *Reconciler) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, p := range r.plans {
		group.Go(func() error { return p.run(ctx) })
	}
	return group.Wait()
}

// planReconciler fetches the missing reports of one service plan. Only the goroutine that calls its method run uses it.
type planReconciler struct {
	plan    Plan
	store   Store
	held    func(ctx context.Context, now time.Time) (bool, error)
	metrics *metrics.Metrics
	log     *slog.Logger
	random  func() float64
	limiter *rate.Limiter

	planCheck *relay.PlanCheck
	forbidden relay.Streak

	failures     int  // consecutive failures of Sinch or the store
	storeFailing bool // the last access to the store failed, which is already logged
	// recorded holds the fetches whose results are already recorded, by batch id: the store may list their batches for
	// a moment longer.
	recorded map[string]store.ReportFetch
	// failed counts how often the read of a batch failed, by batch id. Batches with fewer failures are read first, so
	// that a batch that always fails does not block the others.
	failed map[string]int
}

// pageSize limits how many batches with missing reports are read from the store, and fetched from Sinch, in one round.
const pageSize = 50

// run fetches the missing reports of the plan, in rounds with a wait between them, until ctx ends and then returns nil.
// It returns an error only if the store is closed.
func (r *planReconciler) run(ctx context.Context) error {
	for {
		wait, err := r.fetchDue(ctx)
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

// holdsLease reports whether this process holds the leader lease, so that it may fetch reports. An error means that the
// store could not be asked; holdsLease has logged it.
func (r *planReconciler) holdsLease(ctx context.Context) (bool, error) {
	held, err := r.held(ctx, store.Now())
	r.logStoreError(ctx, "the leader lease of the reconciler cannot be read", err)
	return held, err
}

// due returns up to pageSize batches whose reports must be fetched now. It returns none if another process holds the
// leader lease. An error of the store is logged before it is returned.
func (r *planReconciler) due(ctx context.Context) (due []*store.Batch, err error) {
	held, err := r.holdsLease(ctx)
	if held {
		due, err = r.store.MissingReports(ctx, r.plan.ID, store.Now(), pageSize)
		r.logStoreError(ctx, "batches with missing reports cannot be read", err)
	}
	if err == nil && r.storeFailing {
		r.log.InfoContext(ctx, "batches with missing reports can be read again")
		r.storeFailing = false
	}
	return due, err
}

// logStoreError logs an error of the store with the given message. After the first error it logs no more until method
// due succeeds. It ignores nil, store.ErrClosed, and errors after ctx has ended.
func (r *planReconciler) logStoreError(ctx context.Context, message string, err error) {
	if err == nil || ctx.Err() != nil || errors.Is(err, store.ErrClosed) {
		return
	}
	if !r.storeFailing {
		r.log.WarnContext(ctx, message, "error", err)
	}
	r.storeFailing = true
}

// fetchDue fetches the full report of each batch that is due, and stops at the first error. It returns how long the
// caller must wait before it calls fetchDue again. After an error, this wait includes a random delay that grows with
// each failure.
func (r *planReconciler) fetchDue(ctx context.Context) (wait time.Duration, err error) {
	due, err := r.due(ctx)
	stillListed, failed, read := make(map[string]store.ReportFetch, len(due)), make(map[string]int), 0
	slices.SortStableFunc(due, func(a, b *store.Batch) int { return cmp.Compare(r.failed[a.ID], r.failed[b.ID]) })
	for _, b := range due {
		if n := r.failed[b.ID]; n > 0 {
			failed[b.ID] = n
		}
	}
	for _, b := range due {
		if fetch, found := r.recorded[b.ID]; found && fetch == *b.Fetch {
			stillListed[b.ID] = fetch
			continue
		}
		if r.limiter.Wait(ctx) != nil {
			return 0, nil
		}
		var held bool
		if held, err = r.holdsLease(ctx); !held { // the limiter may have waited longer than the lease
			break
		}
		if wait, err = r.fetch(ctx, b); err != nil {
			failed[b.ID]++
			break
		}
		delete(failed, b.ID)
		stillListed[b.ID] = *b.Fetch
		read++
	}
	r.recorded, r.failed = stillListed, failed
	switch {
	case ctx.Err() != nil:
		return 0, nil
	case err != nil:
		delay := r.plan.Backoff.Delay(min(r.failures, 32), 0, r.random())
		r.failures++
		return wait + delay, err
	}
	r.failures = 0
	if read > 0 && len(due) == pageSize {
		return 0, nil
	}
	return r.plan.PollInterval, nil
}

// fetch reads the full report of one batch from Sinch and records it in the store. If Sinch does not know the batch, or
// refuses the call for a reason that concerns only this batch, fetch records the refusal and returns nil. After an
// error, the first result is how long the caller must wait at least before it calls Sinch again; it may be 0.
func (r *planReconciler) fetch(ctx context.Context, b *store.Batch) (wait time.Duration, err error) {
	report, err := r.plan.Client.GetReport(ctx, b.ID, sinch.ReportQuery{Kind: sinch.Full})
	if relay.IsNotFound(err) {
		if fault := r.planCheck.Check404(ctx, b.ID, func(call func() error) error { return call() }); fault != nil {
			err = fault
		}
	}
	reason := relay.ReasonOf(err)
	if reason == store.ReasonForbidden && r.forbidden.Refuse(b.ID) {
		reason = store.ReasonAuth
	}
	r.metrics.ReconcileRead(r.plan.ID, reason)
	if reason != store.ReasonCanceled {
		r.logRead(ctx, b, reason, err)
	}
	switch {
	case err == nil:
		r.planCheck.Succeeded()
		r.forbidden.Succeed()
		full := store.Report{Report: report.Report, Raw: report.Raw, Source: store.FromPoll}
		return 0, r.record(ctx, b.ID, full, store.ReportFetched{BatchID: b.ID})
	case relay.IsNotFound(err):
		return 0, r.record(ctx, b.ID, store.BatchInfo{BatchID: b.ID, Unknown: true, Source: store.FromPoll})
	case reason == store.ReasonForbidden:
		return 0, r.record(ctx, b.ID, store.ReportFetched{BatchID: b.ID}) // only this batch is postponed
	case reason == store.ReasonRejected:
		return 0, r.record(ctx, b.ID, store.ReportFetched{BatchID: b.ID, Refused: relay.Detail(err)})
	case relay.PausesPlan(reason):
		return r.plan.Backoff.Cap, err
	}
	return r.plan.Backoff.CapRetryAfter(reason, relay.RetryAfter(err)), err
}

// record stores entries about a batch, such as a report, in order, and blocks until they are durable. It stops at the
// first error, which it logs and returns.
func (r *planReconciler) record(ctx context.Context, batchID string, entries ...store.Entry) error {
	for _, entry := range entries {
		if err := r.store.Record(ctx, store.Arrival{Plan: r.plan.ID, At: store.Now(), Entry: entry}); err != nil {
			if ctx.Err() == nil {
				r.log.WarnContext(ctx, "fetched report could not be recorded", "batch_id", batchID, "error", err)
			}
			return fmt.Errorf("record the answer for batch %s: %w", batchID, err)
		}
	}
	return nil
}

// logRead logs one attempt to fetch the full report of a batch from Sinch. The level is Warn if the attempt failed,
// else Info.
func (r *planReconciler) logRead(ctx context.Context, b *store.Batch, reason store.Reason, err error) {
	attributes := []slog.Attr{
		slog.String("batch_id", b.ID), slog.Int("missing", b.Missing()), slog.Int("reads", b.Fetch.Attempts+1),
		slog.Time("due", b.Fetch.Due), slog.String("reason", string(reason)),
	}
	level := slog.LevelInfo
	if err != nil {
		level = slog.LevelWarn
		attributes = append(attributes, slog.String("detail", relay.Detail(err)))
	}
	r.log.LogAttrs(ctx, level, "reconcile attempt", attributes...)
}
