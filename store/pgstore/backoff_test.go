package pgstore

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestBackoffDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p backoff
		for _, most := range []time.Duration{50, 100, 200, 400, 800, 1600, 2000, 2000, 2000, 2000, 2000, 2000} {
			most *= time.Millisecond
			p.ended(errors.New("refused"))
			begin := time.Now()
			p.wait(nil)
			assert.GreaterOrEqual(t, time.Since(begin), most/2)
			assert.Less(t, time.Since(begin), most)
		}
		p.ended(nil)
		begin := time.Now()
		p.wait(nil)
		assert.Zero(t, time.Since(begin))

		p.ended(errors.New("refused"))
		done := make(chan struct{})
		close(done)
		p.wait(done)
		assert.Zero(t, time.Since(begin), "wait must return when done is closed")
	})
}

func TestGateAdmitsOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var (
			g          gate
			inside     atomic.Int32
			connecting sync.WaitGroup
		)
		begin := time.Now()
		for range 10 {
			connecting.Go(func() {
				assert.NoError(t, g.enter(t.Context()))
				assert.Equal(t, int32(1), inside.Add(1))
				time.Sleep(10 * time.Millisecond)
				inside.Add(-1)
				g.leave(nil)
			})
		}
		connecting.Wait()
		assert.Equal(t, 100*time.Millisecond, time.Since(begin))
		assert.True(t, g.idle())
	})
}

func TestGateSharesFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var (
			g        gate
			attempts atomic.Int32
			refused  = errors.New("refused")
			flood    sync.WaitGroup
		)
		begin := time.Now()
		for range 100 {
			flood.Go(func() {
				for time.Since(begin) < 10*time.Second {
					if err := g.enter(t.Context()); err != nil {
						assert.ErrorIs(t, err, refused)
						continue
					}
					attempts.Add(1)
					g.leave(refused)
				}
			})
		}
		flood.Wait()
		assert.GreaterOrEqual(t, attempts.Load(), int32(9))
		assert.LessOrEqual(t, attempts.Load(), int32(17))
		assert.False(t, g.idle())

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, g.enter(ctx), context.Canceled)
		require.NoError(t, g.enter(t.Context()), "a canceled call must not block the gate")
		g.leave(nil)
		assert.True(t, g.idle())
	})
}
