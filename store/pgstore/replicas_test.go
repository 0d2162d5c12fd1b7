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

// soon is time enough for what a replica does every second.
const soon = time.Minute

func newReplicas(t *testing.T, url string, ids ...string) []*pgstore.Store {
	t.Helper()
	all := make([]*pgstore.Store, len(ids))
	for i, id := range ids {
		all[i] = newStore(t, pgstore.Config{URL: url, Replica: id})
	}
	return all
}

// knowEachOther waits until all say that these share the database.
func knowEachOther(t *testing.T, all []*pgstore.Store, ids ...string) {
	t.Helper()
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		for _, s := range all {
			require.Equal(t, ids, s.Gauges().Replicas)
		}
	}, soon, 10*time.Millisecond)
}

func TestReplicasShareWhatOneMayDo(t *testing.T) {
	t.Parallel()
	url := postgres.Database(t)
	all := newReplicas(t, url, "a")
	require.Equal(t, 1.0, all[0].Share())
	all = append(all, newReplicas(t, url, "c", "b")...)
	require.Zero(t, all[1].Share(), "the first may not have seen it yet")
	knowEachOther(t, all, "a", "b", "c")
	require.Equal(t, "b", all[2].Gauges().Replica)
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		for _, s := range all {
			require.Equal(t, 1.0/3, s.Share())
		}
	}, soon, 100*time.Millisecond)

	require.NoError(t, all[1].Close())
	require.Zero(t, all[1].Share())
	require.Equal(t, 2, ask[int](t, url, `SELECT count(*) FROM replica`))
	knowEachOther(t, []*pgstore.Store{all[0], all[2]}, "a", "b")
	require.Equal(t, .5, all[0].Share())
}

// The row of a replica that was killed stays, and with it what it may still do.
func TestAfterAKillTheSameIDStartsAtOnce(t *testing.T) {
	t.Parallel()
	url := postgres.Database(t)
	execute(t, url, `INSERT INTO replica (token, id, beat) VALUES ('of the one killed', 'web-1', 7)`)
	var told trouble
	s := newStore(t, pgstore.Config{URL: url, Replica: "web-1", Observer: told.observer()})
	require.NoError(t, s.Record(t.Context(), delivered("batch", number(1))))
	require.Equal(t, []string{"web-1", "web-1"}, s.Gauges().Replicas)
	require.Zero(t, s.Share(), "it may be alive")
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		require.Equal(t, 1.0, s.Share())
		require.Equal(t, []string{"web-1"}, s.Gauges().Replicas)
	}, soon, 100*time.Millisecond)
	require.Empty(t, told.all("replica"))
}

func TestTwoOfOneIDAreToldLoudlyAndWork(t *testing.T) {
	t.Parallel()
	url := postgres.Database(t)
	var told trouble
	one := newStore(t, pgstore.Config{URL: url, Replica: "web-1", Observer: told.observer()})
	other := newStore(t, pgstore.Config{URL: url, Replica: "web-1"})
	require.Eventually(t, func() bool { return len(told.all("replica")) > 0 }, soon, 10*time.Millisecond)
	require.ErrorContains(t, told.all("replica")[0], "web-1")
	require.Equal(t, []string{"web-1", "web-1"}, one.Gauges().Replicas)

	held, err := one.Hold(t.Context(), store.DutyRetire, epoch, epoch.Add(time.Minute))
	require.NoError(t, err)
	require.True(t, held)
	held, err = other.Hold(t.Context(), store.DutyRetire, epoch, epoch.Add(time.Minute))
	require.NoError(t, err)
	require.False(t, held, "a duty is of one process")
}

func TestOneReplicaHasADuty(t *testing.T) {
	t.Parallel()
	url := postgres.Database(t)
	all := newReplicas(t, url, "a", "b", "c")
	holders := func(at time.Time) (ids []string) {
		t.Helper()
		var g errgroup.Group
		has := make([]bool, len(all))
		for i, s := range all {
			g.Go(func() (err error) {
				has[i], err = s.Hold(t.Context(), store.DutyReconcile, at, at.Add(30*time.Second))
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
	held, err := all[1].Hold(t.Context(), store.DutyReconcile, epoch, epoch.Add(30*time.Second))
	require.NoError(t, err)
	require.True(t, held)
	for after := range 10 {
		require.Equal(t, []string{"b"}, holders(epoch.Add(time.Duration(after)*20*time.Second)))
	}
	last := epoch.Add(9 * 20 * time.Second)
	execute(t, url, `UPDATE duty SET token = 'of one killed'`)
	require.Empty(t, holders(last.Add(30*time.Second-time.Millisecond)))
	require.Len(t, holders(last.Add(30*time.Second)), 1, "it is taken over by one")

	held, err = all[0].Hold(t.Context(), store.DutyRetire, epoch, epoch.Add(time.Hour))
	require.NoError(t, err)
	require.True(t, held, "another duty is another's")
	require.NoError(t, all[0].Close())
	held, err = all[2].Hold(t.Context(), store.DutyRetire, epoch, epoch.Add(time.Hour))
	require.NoError(t, err)
	require.True(t, held, "who closes gives its duties back")
}

// Many replicas start and end at once, and ask for the same duty all the time: never do two have it.
func TestADutyIsHeldOnce(t *testing.T) {
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
			ok, err := s.Hold(t.Context(), store.DutyRetire, epoch, epoch.Add(time.Hour))
			switch {
			case err != nil:
				return err
			case ok && holding.CompareAndSwap(nil, s):
				defer holding.Store(nil) // before the close, which gives it back
				held.Add(1)
			case ok != (holding.Load() == s):
				return errors.New("two have the duty, or nobody who had it")
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

func TestTheFiguresForgetADutyThatEnded(t *testing.T) {
	t.Parallel()
	url := postgres.Database(t)
	s := newStore(t, pgstore.Config{URL: url, Replica: "a"})
	now := time.Now()
	for duty, until := range map[string]time.Time{store.DutyRetire: now.Add(time.Hour), store.DutyReconcile: now.Add(-time.Hour)} {
		held, err := s.Hold(t.Context(), duty, now, until)
		require.NoError(t, err)
		require.True(t, held)
	}
	require.Eventually(t, func() bool { return len(s.Gauges().Duties) > 0 }, soon, 10*time.Millisecond)
	require.Equal(t, map[string]string{store.DutyRetire: "a"}, s.Gauges().Duties)
}

// trouble is what an observer was told of failures.
type trouble struct {
	mu   sync.Mutex
	errs map[string][]error // by operation; guarded by mu
}

func (r *trouble) observer() store.Observer {
	return store.Observer{Failed: func(operation string, err error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.errs == nil {
			r.errs = make(map[string][]error)
		}
		r.errs[operation] = append(r.errs[operation], err)
	}}
}

func (r *trouble) all(operation string) []error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.errs[operation]
}

// Who cannot say that it lives does nothing that others may do by now.
func TestWithoutTheDatabaseThereIsNoShare(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t, pgtest.Config{})
	var told trouble
	s := newStore(t, pgstore.Config{URL: server.Database(t), Observer: told.observer()})
	require.Equal(t, 1.0, s.Share())
	server.Kill(t)
	require.Eventually(t, func() bool { return s.Share() == 0 }, soon, 10*time.Millisecond)
	require.NotEmpty(t, told.all("replica"))
	_, err := s.Hold(t.Context(), store.DutyRetire, epoch, epoch.Add(time.Minute))
	require.Error(t, err)
	server.Restart(t)
	require.Eventually(t, func() bool { return s.Share() == 1 }, soon, 10*time.Millisecond)
}
