package storetest

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/fold"
)

// opened is a store under test, with everything that its Observer received.
type opened struct {
	store.Store
	t        testingT
	host     *testing.T // passed to Place
	place    Place
	config   Config
	observed *observed
}

// testingT lists the methods that opened needs, which *testing.T and *rapid.T both have.
type testingT interface {
	require.TestingT
	Helper()
}

// observed collects what a store reported to its Observer, across all reopens.
type observed struct {
	mu        sync.Mutex // guards the fields below
	changes   []store.Changes
	committed int // arrivals
	evicted   int
	failures  []error
}

func open(t *testing.T, place Place, c Config) *opened {
	t.Helper()
	o := &opened{t: t, host: t, place: place, config: c, observed: &observed{}}
	o.config.Observer = o.observed.observer()
	o.Store = place(t, o.config)
	t.Cleanup(func() { require.NoError(t, o.Close()) })
	return o
}

func (o *opened) reopen() {
	o.t.Helper()
	require.NoError(o.t, o.Close())
	o.Store = o.place(o.host, o.config)
}

func (w *observed) observer() store.Observer {
	return store.Observer{
		Committed: func(arrivals, _ int, _ time.Duration, err error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if err == nil {
				w.committed += arrivals
			}
		},
		Folded: func(changes []store.Changes) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.changes = append(w.changes, slices.Clone(changes)...)
		},
		Failed: func(_ string, err error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.failures = append(w.failures, err)
		},
		Evicted: func(entries int) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.evicted += entries
		},
	}
}

// stats returns the totals of each plan as the sum of all observed changes.
func (w *observed) stats() map[string]*store.PlanStats {
	w.mu.Lock()
	defer w.mu.Unlock()
	plans := make(map[string]*store.PlanStats)
	for _, c := range w.changes {
		if plans[c.Plan] == nil {
			plans[c.Plan] = &store.PlanStats{Plan: c.Plan}
		}
		fold.AddChanges(plans[c.Plan], c)
	}
	return plans
}

func (o *opened) record(arrivals ...store.Arrival) {
	o.t.Helper()
	for _, a := range arrivals {
		require.NoError(o.t, o.persist(a))
	}
}

// persist passes a Settlement to Store.Settle and any other arrival to Store.Record.
func (o *opened) persist(a store.Arrival) error {
	if s, ok := a.Entry.(store.Settlement); ok {
		return o.Settle(context.Background(), a.Plan, a.At, s)
	}
	return o.Record(context.Background(), a)
}

func (o *opened) recordAll(arrivals []store.Arrival) {
	o.t.Helper()
	var g errgroup.Group
	g.SetLimit(64)
	for _, a := range arrivals {
		g.Go(func() error { return o.persist(a) })
	}
	require.NoError(o.t, g.Wait())
}

func (o *opened) batch(k store.BatchKey) *store.Batch {
	o.t.Helper()
	b, err := o.Batch(context.Background(), k)
	require.NoError(o.t, err)
	return b
}

func (o *opened) recipient(k store.BatchKey, number string) *store.Recipient {
	o.t.Helper()
	return o.withBodies(k, number).Recipient
}

func (o *opened) withBodies(k store.BatchKey, number string) store.RecipientWithBodies {
	o.t.Helper()
	r, err := o.Recipient(context.Background(), k, number)
	require.NoError(o.t, err)
	require.Len(o.t, r.Bodies, len(r.Reports))
	if len(r.Reports) == 0 {
		r.Reports = nil
	}
	return r
}

// stats returns the totals of one plan. It fails the test if the plan has none.
func (o *opened) stats(plan string) store.PlanStats {
	o.t.Helper()
	all, err := o.Stats(context.Background())
	require.NoError(o.t, err)
	at := slices.IndexFunc(all, func(s store.PlanStats) bool { return s.Plan == plan })
	require.NotEqual(o.t, -1, at, "no totals of plan %s", plan)
	return all[at]
}

// leaseTime is how long leases last in the suite. It is not a whole number of seconds, because the contract does not
// say whether a lease still holds at the instant of its end.
const leaseTime = time.Minute + time.Second/2

// claim calls Store.Claim and fails the test if a claim is wrong. It reads the totals first, because a read waits until
// every earlier arrival is folded, and Claim does not.
func (o *opened) claim(plan string, now time.Time, limit int) []store.Claim {
	o.t.Helper()
	_, err := o.Stats(context.Background())
	require.NoError(o.t, err)
	claims, err := o.Claim(context.Background(), plan, now, leaseTime, limit)
	require.NoError(o.t, err)
	require.LessOrEqual(o.t, len(claims), limit)
	for _, c := range claims {
		require.Equal(o.t, plan, c.Key.Plan)
		require.NotEmpty(o.t, c.Lease)
		require.NotNil(o.t, c.Batch)
		require.Equal(o.t, c.Key, c.Batch.Key())
		require.NotNil(o.t, c.Batch.Task)
		due := c.Batch.Task.Due
		require.False(o.t, due.After(now) && !due.After(o.policy(plan).Horizon(now)), "claimed a task that is not due")
		require.LessOrEqual(o.t, len(c.Recipients), store.MaxRecipients)
		require.Equal(o.t, c.Batch.WholeBatch == store.FeedbackOwed, c.WholeBatch)
		if c.WholeBatch {
			require.Empty(o.t, c.Recipients, "a claim with WholeBatch must not name recipients")
		}
	}
	return claims
}

func (o *opened) policy(plan string) store.Policy {
	if o.config.Policies == nil {
		return store.Policy{}
	}
	return o.config.Policies(plan)
}

// claimOne claims the only due task of the plan. It fails the test if there is no such task or more than one.
func (o *opened) claimOne(plan string, now time.Time) store.Claim {
	o.t.Helper()
	claims := o.claim(plan, now, 10)
	require.Len(o.t, claims, 1)
	return claims[0]
}

// settle records a settlement with this outcome for all recipients of a claim.
func (o *opened) settle(c store.Claim, now time.Time, outcome store.Outcome) {
	o.t.Helper()
	o.record(at(now, c.Key.Plan, settlement(c, outcome)))
}

func settlement(c store.Claim, outcome store.Outcome) store.Settlement {
	return store.Settlement{
		BatchID: c.Key.BatchID, Lease: c.Lease, Recipients: c.Recipients, WholeBatch: c.WholeBatch,
		Outcome: outcome, Reason: store.ReasonServer,
	}
}

// missingReports calls Store.MissingReports and fails the test if a batch is wrong. Like claim, it reads the totals
// first, so that every earlier arrival is folded.
func (o *opened) missingReports(plan string, now time.Time, limit int) []*store.Batch {
	o.t.Helper()
	_, err := o.Stats(context.Background())
	require.NoError(o.t, err)
	batches, err := o.MissingReports(context.Background(), plan, now, limit)
	require.NoError(o.t, err)
	require.LessOrEqual(o.t, len(batches), limit)
	for _, b := range batches {
		require.Equal(o.t, plan, b.Plan)
		require.NotNil(o.t, b.Fetch)
		require.NotZero(o.t, b.Fetch.Due, "returned although no fetch is scheduled")
		require.True(o.t, b.FetchDue(o.policy(plan).MissingReports, now), "returned although the fetch is not due")
	}
	return batches
}

// every reads a whole list in pages of at most limit items.
func every[T any](t testingT, limit int, read func(store.Paging) (store.Page[T], error)) []T {
	t.Helper()
	var all []T
	for p := (store.Paging{Limit: limit}); ; {
		page, err := read(p)
		require.NoError(t, err)
		require.LessOrEqual(t, len(page.Items), p.Size())
		all = append(all, page.Items...)
		if page.Next == "" {
			return all
		}
		require.NotEqual(t, p.Cursor, page.Next, "a page returned its own cursor as Next")
		p.Cursor = page.Next
	}
}

func (o *opened) batches(q store.BatchQuery) []*store.Batch {
	o.t.Helper()
	return every(o.t, 0, func(p store.Paging) (store.Page[*store.Batch], error) {
		q.Paging = p
		return o.Batches(context.Background(), q)
	})
}

func (o *opened) tasks(q store.TaskQuery) []*store.Batch {
	o.t.Helper()
	return every(o.t, 0, func(p store.Paging) (store.Page[*store.Batch], error) {
		q.Paging = p
		return o.Tasks(context.Background(), q)
	})
}

func (o *opened) recipients(k store.BatchKey, q store.RecipientQuery) []*store.Recipient {
	o.t.Helper()
	return every(o.t, 0, func(p store.Paging) (store.Page[*store.Recipient], error) {
		q.Paging = p
		page, err := o.Recipients(context.Background(), k, q)
		for _, r := range page.Items {
			if len(r.Reports) == 0 {
				r.Reports = nil // nil and empty are equal here
			}
		}
		return page, err
	})
}

func (o *opened) reports(k store.BatchKey) []store.Logged {
	o.t.Helper()
	return every(o.t, 0, func(p store.Paging) (store.Page[store.Logged], error) {
		return o.Reports(context.Background(), k, p)
	})
}

func (o *opened) recipientBatches(number string) []store.RecipientInBatch {
	o.t.Helper()
	return every(o.t, 0, func(p store.Paging) (store.Page[store.RecipientInBatch], error) {
		return o.RecipientBatches(context.Background(), number, p)
	})
}

func (o *opened) quarantine() []store.QuarantineEntry {
	o.t.Helper()
	return every(o.t, 0, func(p store.Paging) (store.Page[store.QuarantineEntry], error) {
		return o.Quarantine(context.Background(), p)
	})
}

func (o *opened) timeseries(plan string, from, to time.Time) []store.MinuteCount {
	o.t.Helper()
	counts, err := o.Timeseries(context.Background(), plan, from, to)
	require.NoError(o.t, err)
	return counts
}

func ids(batches []*store.Batch) []string {
	all := make([]string, len(batches))
	for i, b := range batches {
		all[i] = b.ID
	}
	return all
}

// claimed returns the batch id of each claim, in order.
func claimed(claims []store.Claim) []string {
	all := make([]string, len(claims))
	for i, c := range claims {
		all[i] = c.Key.BatchID
	}
	return all
}
