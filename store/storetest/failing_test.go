package storetest_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/storetest"
)

// counting is a store that only counts its calls.
type counting struct {
	store.Store
	mu    sync.Mutex
	calls map[string]int // guarded by mu
}

func (c *counting) count(operation string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls[operation]++
}

func (c *counting) Record(ctx context.Context, _ store.Arrival) error {
	c.count("record")
	return ctx.Err()
}

func (c *counting) Claim(context.Context, string, time.Time, time.Duration, int) ([]store.Claim, error) {
	c.count("claim")
	return []store.Claim{{Lease: "lease"}}, nil
}

func (c *counting) MissingReports(_ context.Context, plan string, _ time.Time, limit int) ([]*store.Batch, error) {
	c.count("missing reports")
	return []*store.Batch{{Plan: plan, Total: limit}}, nil
}

func (c *counting) Batch(_ context.Context, k store.BatchKey) (*store.Batch, error) {
	c.count("read")
	return &store.Batch{Plan: k.Plan, ID: k.BatchID}, nil
}

func (c *counting) Requeue(context.Context, store.BatchKey, time.Time) (int, error) {
	c.count("requeue")
	return 3, nil
}

func (c *counting) DeleteOlder(context.Context, time.Time, int) (int, bool, error) {
	c.count("delete older")
	return 7, true, nil
}

func (c *counting) Ready(context.Context) error { return nil }

func newFailing() (*storetest.Failing, *counting) {
	c := &counting{calls: make(map[string]int)}
	return storetest.NewFailing(c), c
}

func TestFailingWithoutFaults(t *testing.T) {
	f, c := newFailing()
	ctx := t.Context()
	require.NoError(t, f.Record(ctx, store.Arrival{}))
	claims, err := f.Claim(ctx, "plan", time.Time{}, 0, 1)
	require.NoError(t, err)
	require.Len(t, claims, 1)
	missing, err := f.MissingReports(ctx, "plan", time.Time{}, 7)
	require.NoError(t, err)
	require.Equal(t, []*store.Batch{{Plan: "plan", Total: 7}}, missing)
	b, err := f.Batch(ctx, store.BatchKey{Plan: "plan", BatchID: "batch"})
	require.NoError(t, err)
	require.Equal(t, "batch", b.ID)
	n, err := f.Requeue(ctx, store.BatchKey{}, time.Time{})
	require.NoError(t, err)
	require.Equal(t, 3, n)
	n, more, err := f.DeleteOlder(ctx, time.Time{}, 10)
	require.NoError(t, err)
	require.Equal(t, 7, n)
	require.True(t, more)
	require.NoError(t, f.Ready(ctx))
	require.NoError(t, f.Err())
	require.Equal(t, map[string]int{
		"record": 1, "claim": 1, "missing reports": 1, "read": 1, "requeue": 1, "delete older": 1,
	}, c.calls)
	require.Equal(t, 1, f.Calls(storetest.Record))
}

func TestNotAppliedHasNoEffect(t *testing.T) {
	f, c := newFailing()
	f.FailRecord(storetest.NotApplied, store.ErrBusy, 2)
	require.ErrorIs(t, f.Record(t.Context(), store.Arrival{}), store.ErrBusy)
	require.ErrorIs(t, f.Record(t.Context(), store.Arrival{}), store.ErrBusy)
	require.Zero(t, c.calls["record"])
	require.NoError(t, f.Record(t.Context(), store.Arrival{}), "the fault applies exactly twice")
	require.Equal(t, 3, f.Calls(storetest.Record))
}

func TestAppliedTakesEffect(t *testing.T) {
	f, c := newFailing()
	f.FailRecord(storetest.Applied, nil, 1)
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, f.Record(canceled, store.Arrival{}), storetest.ErrInjected)
	require.Equal(t, 1, c.calls["record"], "the call takes effect although its context has ended")

	f.Fail(storetest.Claim, storetest.Applied, store.ErrClosed, 1)
	claims, err := f.Claim(t.Context(), "plan", time.Time{}, 0, 1)
	require.ErrorIs(t, err, store.ErrClosed)
	require.Empty(t, claims)
	require.Equal(t, 1, c.calls["claim"])

	f.Fail(storetest.DeleteOlder, storetest.Applied, nil, 1)
	n, more, err := f.DeleteOlder(t.Context(), time.Time{}, 10)
	require.ErrorIs(t, err, storetest.ErrInjected)
	require.Zero(t, n)
	require.False(t, more)
	require.Equal(t, 1, c.calls["delete older"])
}

func TestMissingReportsIsARead(t *testing.T) {
	f, c := newFailing()
	f.Fail(storetest.Read, storetest.NotApplied, store.ErrBusy, 1)
	f.Fail(storetest.Read, storetest.Applied, nil, 1)
	for n, want := range []error{store.ErrBusy, storetest.ErrInjected} {
		batches, err := f.MissingReports(t.Context(), "plan", time.Time{}, 7)
		require.ErrorIs(t, err, want)
		require.Empty(t, batches)
		require.Equal(t, n, c.calls["missing reports"])
	}
	require.Equal(t, 2, f.Calls(storetest.Read))
}

func TestFaultsApplyInTurnAndOnlyToTheirOperation(t *testing.T) {
	f, _ := newFailing()
	first, second := errors.New("first"), errors.New("second")
	f.FailRecord(storetest.Works, nil, 1)
	f.FailRecord(storetest.NotApplied, first, 1)
	f.FailRecord(storetest.NotApplied, second, storetest.Always)
	for _, want := range []error{nil, first, second, second, second} {
		require.ErrorIs(t, f.Record(t.Context(), store.Arrival{}), want)
	}
	_, err := f.Batch(t.Context(), store.BatchKey{})
	require.NoError(t, err)
	f.Heal()
	require.NoError(t, f.Record(t.Context(), store.Arrival{}))
}

func TestStuckBlocksUntilReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, c := newFailing()
		f.FailRecord(storetest.Stuck, nil, 2)
		f.FailRecord(storetest.Stuck, store.ErrBusy, 1)
		results := make(chan error, 3)
		for range 3 {
			go func() { results <- f.Record(t.Context(), store.Arrival{}) }()
		}
		f.AwaitWaiting(3)
		f.AwaitCalls(storetest.Record, 3)
		synctest.Wait()
		require.Empty(t, results)
		require.Zero(t, c.calls["record"])
		f.Release()
		var busy int
		for range 3 {
			if err := <-results; err != nil {
				require.ErrorIs(t, err, store.ErrBusy)
				busy++
			}
		}
		require.Equal(t, 1, busy)
		require.Equal(t, 2, c.calls["record"])
	})
}

func TestStuckBlocksUntilItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, c := newFailing()
		f.FailRecord(storetest.Stuck, nil, 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, f.Record(ctx, store.Arrival{}), context.DeadlineExceeded)
		require.Zero(t, c.calls["record"], "the call must have no effect")
	})
}

func TestSlowTakesEffectAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, c := newFailing()
		f.FailRecord(storetest.Slow, nil, 1)
		f.Fail(storetest.Read, storetest.Slow, nil, 1)
		f.Fail(storetest.Requeue, storetest.Slow, store.ErrBusy, 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, f.Record(ctx, store.Arrival{}), context.DeadlineExceeded)
		require.Equal(t, 1, c.calls["record"], "the end of the context undoes nothing")

		go func() {
			f.AwaitWaiting(2)
			f.Heal()
		}()
		failed := make(chan error, 1)
		go func() {
			_, err := f.Requeue(t.Context(), store.BatchKey{}, time.Time{})
			failed <- err
		}()
		b, err := f.Batch(t.Context(), store.BatchKey{BatchID: "batch"})
		require.NoError(t, err)
		require.Equal(t, "batch", b.ID)
		require.ErrorIs(t, <-failed, store.ErrBusy)
		require.Equal(t, 1, c.calls["requeue"])
	})
}

func TestPanics(t *testing.T) {
	f, c := newFailing()
	f.Fail(storetest.Read, storetest.Panics, nil, 1)
	require.Panics(t, func() { _, _ = f.Batch(t.Context(), store.BatchKey{}) })
	require.Zero(t, c.calls["read"])
}

func TestEnd(t *testing.T) {
	f, c := newFailing()
	select {
	case <-f.Done():
		t.Fatal("Done is closed before End")
	default:
	}
	syncFailed := errors.New("sync failed")
	f.End(syncFailed)
	f.End(errors.New("again"))
	<-f.Done()
	require.ErrorIs(t, f.Err(), syncFailed)
	require.ErrorIs(t, f.Record(t.Context(), store.Arrival{}), store.ErrClosed)
	require.ErrorIs(t, f.Ready(t.Context()), store.ErrClosed)
	require.Zero(t, c.calls["record"])
}
