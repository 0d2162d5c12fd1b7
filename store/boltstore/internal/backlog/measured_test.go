package backlog

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRoomFollowsMeasuredSteps(t *testing.T) {
	m := NewMeasured()
	require.Equal(t, Room{Rows: int(firstAllowance), Bytes: 1 << 20, Row: maxRow, Frames: 1 << 20}, m.Room(1<<20))
	changed := func(pages int) (memory int) { return pages * 12 << 10 } // a page and its node

	m.Step(minMeasured-1, time.Second, changed(1000))
	require.Equal(t, NewMeasured(), m, "a small step is not measured")
	for range 50 {
		m.Step(10_000, 100*time.Millisecond, changed(1000))
	}
	require.InDelta(t, 100_000, m.rate, 1)
	require.InDelta(t, minRow+12<<10/10, m.row, 20, "one page and its node for every ten rows")
	require.InDelta(t, 80_000, m.Allowance(), 1, "0.8 seconds")
	require.InDelta(t, 80_000, m.Room(1<<20).Rows, 1)

	m.Step(1000, 100*time.Millisecond, changed(2000))
	require.Equal(t, maxRow, m.row, "the estimate rises at once")
	for range 50 {
		m.Step(1000, time.Hour, changed(2000))
	}
	require.InDelta(t, minRate, m.rate, 1)
	for range 50 {
		m.Step(1_000_000, time.Second, changed(1))
	}
	require.Equal(t, maxStep, m.Room(1<<30).Rows)
}
