package pgstore_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/pgstore"
	"github.com/dlrloop/dlrloop/store/pgstore/pgtest"
)

// soon is a time limit for what a replica does every second.
const soon = time.Minute

func newReplicas(t *testing.T, url string, ids ...string) []*pgstore.Store {
	t.Helper()
	all := make([]*pgstore.Store, len(ids))
	for i, id := range ids {
		all[i] = newStore(t, pgstore.Config{URL: url, Replica: id})
	}
	return all
}

// waitForReplicas waits until each of the stores reports these replicas.
func waitForReplicas(t *testing.T, all []*pgstore.Store, ids ...string) {
	t.Helper()
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		for _, s := range all {
			require.Equal(t, ids, s.Gauges().Replicas)
		}
	}, soon, 10*time.Millisecond)
}

func TestQuotaShareOfReplicas(t *testing.T) {
	t.Parallel()
	url := postgres.Database(t)
	all := newReplicas(t, url, "a")
	require.Equal(t, 1.0, all[0].QuotaShare())
	all = append(all, newReplicas(t, url, "c", "b")...)
	require.Zero(t, all[1].QuotaShare(), "the first replica may not have read the row of the new one yet")
	waitForReplicas(t, all, "a", "b", "c")
	require.Equal(t, "b", all[2].Gauges().Replica)
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		for _, s := range all {
			require.Equal(t, 1.0/3, s.QuotaShare())
		}
	}, soon, 100*time.Millisecond)

	require.NoError(t, all[1].Close())
	require.Zero(t, all[1].QuotaShare())
	require.Equal(t, 2, queryOne[int](t, url, `SELECT count(*) FROM replica`))
	waitForReplicas(t, []*pgstore.Store{all[0], all[2]}, "a", "b")
	require.Equal(t, .5, all[0].QuotaShare())
}

// The row of a killed replica remains, and others must assume that it may still be alive.
func TestSameIDStartsAfterKill(t *testing.T) {
	t.Parallel()
	url := postgres.Database(t)
	execute(t, url, `INSERT INTO replica (token, id, beat) VALUES ('of the one killed', 'web-1', 7)`)
	var observed failureLog
	s := newStore(t, pgstore.Config{URL: url, Replica: "web-1", Observer: observed.observer()})
	require.NoError(t, s.Record(t.Context(), delivered("batch", number(1))))
	require.Equal(t, []string{"web-1", "web-1"}, s.Gauges().Replicas)
	require.Zero(t, s.QuotaShare(), "the replica of the old row may be alive")
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		require.Equal(t, 1.0, s.QuotaShare())
		require.Equal(t, []string{"web-1"}, s.Gauges().Replicas)
	}, soon, 100*time.Millisecond)
	require.Empty(t, observed.all("replica"))
}

func TestDuplicateIDIsReported(t *testing.T) {
	t.Parallel()
	url := postgres.Database(t)
	var observed failureLog
	one := newStore(t, pgstore.Config{URL: url, Replica: "web-1", Observer: observed.observer()})
	other := newStore(t, pgstore.Config{URL: url, Replica: "web-1"})
	require.Eventually(t, func() bool { return len(observed.all("replica")) > 0 }, soon, 10*time.Millisecond)
	require.ErrorContains(t, observed.all("replica")[0], "web-1")
	require.Equal(t, []string{"web-1", "web-1"}, one.Gauges().Replicas)

	held, err := one.AcquireLease(t.Context(), store.LeaseRetention, epoch, epoch.Add(time.Minute))
	require.NoError(t, err)
	require.True(t, held)
	held, err = other.AcquireLease(t.Context(), store.LeaseRetention, epoch, epoch.Add(time.Minute))
	require.NoError(t, err)
	require.False(t, held, "a leader lease belongs to one process")
}

func TestOneReplicaHoldsLeaderLease(t *testing.T) {
	t.Parallel()
	url := postgres.Database(t)
	all := newReplicas(t, url, "a", "b", "c")
	holders := func(at time.Time) (ids []string) {
		t.Helper()
		var g errgroup.Group
		has := make([]bool, len(all))
		for i, s := range all {
			g.Go(func() (err error) {
				has[i], err = s.AcquireLease(t.Context(), store.LeaseReconcile, at, at.Add(30*time.Second))
				if errors.Is(err, store.ErrClosed) {
					return nil
				}
				return err
			})
		}
		require.NoError(t, g.Wait())
		for i, s := range all {
			if has[i] {
				ids = append(ids, s.Gauges().Replica)
			}
		}
		return ids
	}
	held, err := all[1].AcquireLease(t.Context(), store.LeaseReconcile, epoch, epoch.Add(30*time.Second))
	require.NoError(t, err)
	require.True(t, held)
	for after := range 10 {
		require.Equal(t, []string{"b"}, holders(epoch.Add(time.Duration(after)*20*time.Second)))
	}
	last := epoch.Add(9 * 20 * time.Second)
	execute(t, url, `UPDATE duty SET token = 'of a killed process'`)
	require.Empty(t, holders(last.Add(30*time.Second-time.Millisecond)))
	require.Len(t, holders(last.Add(30*time.Second)), 1, "one replica must acquire the ended lease")

	held, err = all[0].AcquireLease(t.Context(), store.LeaseRetention, epoch, epoch.Add(time.Hour))
	require.NoError(t, err)
	require.True(t, held, "leader leases are independent")
	require.NoError(t, all[0].Close())
	held, err = all[2].AcquireLease(t.Context(), store.LeaseRetention, epoch, epoch.Add(time.Hour))
	require.NoError(t, err)
	require.True(t, held, "Close must release the leader leases")
}

// Several replicas start, stop and acquire the same leader lease concurrently. No two may hold it at a time.
func TestLeaderLeaseIsExclusive(t *testing.T) {
	t.Parallel()
	url := postgres.Database(t)
	var (
		holding atomic.Pointer[pgstore.Store]
		held    atomic.Int32
	)
	life := func() (err error) {
		s, err := pgstore.Open(t.Context(), pgstore.Config{URL: url})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.Close()) }()
		for range 20 {
			ok, err := s.AcquireLease(t.Context(), store.LeaseRetention, epoch, epoch.Add(time.Hour))
			switch {
			case err != nil:
				return err
			case ok && holding.CompareAndSwap(nil, s):
				defer holding.Store(nil) // before Close, which releases the lease
				held.Add(1)
			case ok != (holding.Load() == s):
				return errors.New("two replicas hold the leader lease, or the holder lost it")
			}
		}
		return nil
	}
	var g errgroup.Group
	for range 4 {
		g.Go(func() error { return errors.Join(life(), life(), life()) })
	}
	require.NoError(t, g.Wait())
	require.Positive(t, held.Load())
}

func TestReplicaThatCameBackKeepsLeaderLease(t *testing.T) {
	t.Parallel()
	url := postgres.Database(t)
	s := newStore(t, pgstore.Config{URL: url})
	held, err := s.AcquireLease(t.Context(), store.LeaseRetention, epoch, epoch.Add(time.Hour))
	require.NoError(t, err)
	require.True(t, held)
	require.NoError(t, s.DeleteStoppedReplica(t.Context(), s.Token(), -1))
	require.Equal(t, 1, queryOne[int](t, url, `SELECT count(*) FROM replica`))
	require.Equal(t, 1, queryOne[int](t, url, `SELECT count(*) FROM duty`))

	execute(t, url, `INSERT INTO replica (token, id, beat) VALUES ('killed', 'b', -1)`)
	execute(t, url, `INSERT INTO duty (name, token, replica, held_until) VALUES ('other', 'killed', 'b', now())`)
	require.NoError(t, s.DeleteStoppedReplica(t.Context(), "killed", -1))
	require.Equal(t, 1, queryOne[int](t, url, `SELECT count(*) FROM replica`))
	require.Equal(t, 1, queryOne[int](t, url, `SELECT count(*) FROM duty`))
}

func TestGaugesOmitEndedLeaderLease(t *testing.T) {
	t.Parallel()
	url := postgres.Database(t)
	s := newStore(t, pgstore.Config{URL: url, Replica: "a"})
	now := time.Now()
	for lease, until := range map[string]time.Time{
		store.LeaseRetention: now.Add(time.Hour), store.LeaseReconcile: now.Add(-time.Hour),
	} {
		held, err := s.AcquireLease(t.Context(), lease, now, until)
		require.NoError(t, err)
		require.True(t, held)
	}
	require.Eventually(t, func() bool { return len(s.Gauges().Leaders) > 0 }, soon, 10*time.Millisecond)
	require.Equal(t, map[string]string{store.LeaseRetention: "a"}, s.Gauges().Leaders)
}

// failureLog collects the errors that an observer received.
type failureLog struct {
	mu   sync.Mutex
	errs map[string][]error // by operation; guarded by mu
}

func (r *failureLog) observer() store.Observer {
	return store.Observer{Failed: func(operation string, err error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.errs == nil {
			r.errs = make(map[string][]error)
		}
		r.errs[operation] = append(r.errs[operation], err)
	}}
}

func (r *failureLog) all(operation string) []error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.errs[operation]
}

// A replica that cannot write heartbeats must not use a quota that other replicas may use by then.
func TestNoQuotaShareWithoutDatabase(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t, pgtest.Config{})
	var observed failureLog
	s := newStore(t, pgstore.Config{URL: server.Database(t), Observer: observed.observer()})
	require.Equal(t, 1.0, s.QuotaShare())
	server.Kill(t)
	require.Eventually(t, func() bool { return s.QuotaShare() == 0 }, soon, 10*time.Millisecond)
	require.NotEmpty(t, observed.all("replica"))
	_, err := s.AcquireLease(t.Context(), store.LeaseRetention, epoch, epoch.Add(time.Minute))
	require.Error(t, err)
	server.Restart(t)
	require.Eventually(t, func() bool { return s.QuotaShare() == 1 }, soon, 10*time.Millisecond)
}
