package boltstore

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"
)

func TestRoomFollowsMeasuredSteps(t *testing.T) {
	m := newMeasured()
	require.Equal(t, room{rows: int(firstAllowance), bytes: 1 << 20, row: maxRow, frames: 1 << 20}, m.room(1<<20))
	stats := func(pages, nodes int64) bolt.TxStats { return bolt.TxStats{PageAlloc: pages << 12, NodeCount: nodes} }

	m.step(minMeasured-1, time.Second, stats(1000, 1000))
	require.Equal(t, newMeasured(), m, "a small step is not measured")
	for range 50 {
		m.step(10_000, 100*time.Millisecond, stats(1000, 1000))
	}
	require.InDelta(t, 100_000, m.rate, 1)
	require.InDelta(t, minRow+12<<10/10, m.row, 20, "one page and its node for every ten rows")
	require.InDelta(t, 80_000, m.allowance(), 1, "0.8 seconds")
	require.InDelta(t, 80_000, m.room(1<<20).rows, 1)

	m.step(1000, 100*time.Millisecond, stats(2000, 2000))
	require.Equal(t, maxRow, m.row, "the estimate rises at once")
	for range 50 {
		m.step(1000, time.Hour, stats(2000, 2000))
	}
	require.InDelta(t, minRate, m.rate, 1)
	for range 50 {
		m.step(1_000_000, time.Second, stats(1, 1))
	}
	require.Equal(t, maxStep, m.room(1<<30).rows)
}
