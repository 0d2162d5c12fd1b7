package commit

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
)

// disk stands for the code that makes groups durable: each commit blocks until the test sends to turn.
type disk struct {
	groups chan []int // the groups whose commit has begun
	turn   chan error // ends one commit; a non-nil error is the result of its odd arrivals
}

func newDisk() *disk { return &disk{groups: make(chan []int, 100), turn: make(chan error)} }

func (d *disk) commit(group []int, results []error) {
	d.groups <- slices.Clone(group)
	err := <-d.turn
	for i, arrival := range group {
		if arrival%2 == 1 {
			results[i] = err
		}
	}
}

func newCommitter(c Config, d *disk) *Committer[int] {
	return New(c, func(arrival int) int { return arrival }, d.commit)
}

func TestCommitterGroupsQueuedArrivals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		m := newCommitter(Config{}, d)
		var waiters sync.WaitGroup
		results := make([]error, 6)
		record := func(i int) {
			waiters.Go(func() { results[i] = m.Record(t.Context(), i) })
			synctest.Wait()
		}
		record(0)
		assert.Equal(t, []int{0}, <-d.groups)
		for i := 1; i <= 5; i++ { // while the commit of the first is in progress
			record(i)
		}
		odd := errors.New("odd")
		d.turn <- nil
		assert.Equal(t, []int{1, 2, 3, 4, 5}, <-d.groups, "one group with all queued arrivals, in order")
		d.turn <- odd
		waiters.Wait()
		assert.Equal(t, []error{nil, odd, nil, odd, nil, odd}, results, "each waiter gets its own result")
		m.Close()
	})
}

func TestCommitterLimitsGroups(t *testing.T) {
	for name, c := range map[string]Config{
		"by arrivals": {Group: 2},
		"by bytes":    {Bytes: 12}, // 10 and 4 reach the limit
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDisk()
				m := newCommitter(c, d)
				var waiters sync.WaitGroup
				for _, size := range []int{2, 10, 4, 6} {
					waiters.Go(func() { assert.NoError(t, m.Record(t.Context(), size)) })
					synctest.Wait()
				}
				assert.Equal(t, []int{2}, <-d.groups)
				d.turn <- nil
				assert.Equal(t, []int{10, 4}, <-d.groups)
				d.turn <- nil
				assert.Equal(t, []int{6}, <-d.groups)
				d.turn <- nil
				waiters.Wait()
				m.Close()
			})
		})
	}
}

func TestCanceledRecordMayStillBeCommitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		m := newCommitter(Config{}, d)
		gone := errors.New("gone")
		ctx, leave := context.WithCancelCause(t.Context())
		result := make(chan error, 1)
		go func() { result <- m.Record(ctx, 7) }()
		assert.Equal(t, []int{7}, <-d.groups)
		leave(gone)
		require.ErrorIs(t, <-result, gone)
		d.turn <- nil // the arrival is committed, and the committer does not block on the canceled waiter
		m.Close()
	})
}

func TestRecordReturnsErrBusyWhileTheQueueIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		m := newCommitter(Config{Queue: 1, Group: 1, Patience: 3 * time.Second}, d)
		var waiters sync.WaitGroup
		for range 2 { // one in commit, one in the queue
			waiters.Go(func() { assert.NoError(t, m.Record(t.Context(), 0)) })
			synctest.Wait()
		}
		begun := time.Now()
		require.ErrorIs(t, m.Record(t.Context(), 0), store.ErrBusy)
		assert.Equal(t, 3*time.Second, time.Since(begun))

		ctx, leave := context.WithTimeout(t.Context(), time.Second)
		defer leave()
		require.ErrorIs(t, m.Record(ctx, 0), context.DeadlineExceeded)

		waiters.Go(func() { assert.NoError(t, m.Record(t.Context(), 0), "space became free within Patience") })
		synctest.Wait()
		for range 3 {
			d.turn <- nil
		}
		waiters.Wait()
		m.Close()
	})
}

// QueueBytes limits the queue even if Queue would allow more arrivals. A larger arrival waits alone.
func TestCommitterLimitsQueuedBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		m := newCommitter(Config{QueueBytes: 100, Bytes: 1}, d)
		var waiters sync.WaitGroup
		for _, size := range []int{0, 60, 40} { // one in commit, two in the queue
			waiters.Go(func() { assert.NoError(t, m.Record(t.Context(), size)) })
			synctest.Wait()
		}
		require.ErrorIs(t, m.Record(t.Context(), 2), store.ErrBusy)
		waiters.Go(func() { assert.NoError(t, m.Record(t.Context(), 1000)) })
		synctest.Wait()
		for _, size := range []int{0, 60, 40, 1000} {
			assert.Equal(t, []int{size}, <-d.groups)
			d.turn <- nil
			synctest.Wait()
		}
		waiters.Wait()
		m.Close()
	})
}

// A canceled arrival frees its bytes and is not committed.
func TestCanceledArrivalsInTheQueueAreNotCommitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		m := newCommitter(Config{}, d)
		var waiters sync.WaitGroup
		waiters.Go(func() { assert.NoError(t, m.Record(t.Context(), 2)) })
		synctest.Wait()
		ctx, leave := context.WithCancel(t.Context())
		waiters.Go(func() { assert.ErrorIs(t, m.Record(ctx, 4), context.Canceled) })
		synctest.Wait()
		waiters.Go(func() { assert.NoError(t, m.Record(t.Context(), 6)) })
		synctest.Wait()
		leave()
		synctest.Wait()
		assert.Equal(t, []int{2}, <-d.groups)
		d.turn <- nil
		assert.Equal(t, []int{6}, <-d.groups)

		ctx, leave = context.WithCancel(t.Context())
		waiters.Go(func() { assert.ErrorIs(t, m.Record(ctx, 8), context.Canceled) })
		synctest.Wait()
		leave()
		synctest.Wait()
		d.turn <- nil
		waiters.Wait()
		m.Close()
		assert.Empty(t, d.groups, "an empty group is not committed")
	})
}

func TestCloseRefusesNewArrivalsAndCommitsQueuedOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		m := newCommitter(Config{Queue: 1, Group: 1}, d)
		var waiters sync.WaitGroup
		results := make(chan error, 3)
		for range 3 { // one in commit, one in the queue, one waiting for space
			waiters.Go(func() { results <- m.Record(t.Context(), 0) })
			synctest.Wait()
		}
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			m.Close()
		}()
		require.ErrorIs(t, <-results, store.ErrClosed, "an arrival waiting for space is refused at once")
		require.ErrorIs(t, m.Record(t.Context(), 0), store.ErrClosed)
		d.turn <- nil
		d.turn <- nil
		require.NoError(t, <-results)
		require.NoError(t, <-results)
		<-closed
		waiters.Wait()
		m.Close() // a second Close does nothing
	})
}

func TestCloseCommitsTheLastGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		m := newCommitter(Config{}, d)
		var waiters sync.WaitGroup
		for arrival := range 3 {
			waiters.Go(func() { assert.NoError(t, m.Record(t.Context(), arrival)) })
			synctest.Wait()
		}
		assert.Equal(t, []int{0}, <-d.groups)
		waiters.Go(m.Close)
		synctest.Wait()
		d.turn <- nil
		assert.Equal(t, []int{1, 2}, <-d.groups)
		d.turn <- nil
		waiters.Wait()
	})
}
