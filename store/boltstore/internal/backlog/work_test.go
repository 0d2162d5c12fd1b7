package backlog

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
	"github.com/dlrloop/dlrloop/store/fold"
	"github.com/dlrloop/dlrloop/store/journal"
)

func TestLargeReportsAreDivided(t *testing.T) {
	b := New(1<<20, noReadBack(t))
	b.Add(journal.Ref{Seq: 1, Arrivals: 3}, []store.Arrival{ofRecipients(10), ofRecipients(4000), ofRecipients(10)}, 1)
	for _, want := range []struct {
		step            []int // recipients of each arrival
		from, to        schema.Progress
		completed, left int
	}{
		{[]int{10, 1488}, schema.Progress{}, schema.Progress{Arrivals: 1, Recipients: 1488}, 1, 2},
		{[]int{1499}, schema.Progress{Arrivals: 1, Recipients: 1488}, schema.Progress{Arrivals: 1, Recipients: 2987}, 0, 2},
		{[]int{1013, 10}, schema.Progress{Arrivals: 1, Recipients: 2987}, schema.Progress{}, 2, 0},
	} {
		w := take(t, b, roomForRows(1500))
		var step []int
		for _, a := range w.Parts[0].Arrivals {
			step = append(step, a.Entry.Names())
		}
		require.Equal(t, want.step, step)
		require.Equal(t, want.from, w.From.Within)
		require.Equal(t, want.to, w.To.Within)
		require.Equal(t, want.from.Arrivals, w.Parts[0].First)
		require.Equal(t, want.completed, w.completed())
		b.Reached(w, 1)
		require.Equal(t, want.left, b.Unfolded())
	}
	require.Equal(t, b.added, b.folded)
}

// However small the room, each recipient of a frame is taken exactly once and in order, and the row counters match.
func TestDividedFramesAreFoldedCompletely(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := New(rapid.IntRange(0, 3).Draw(rt, "memory"), nil)
		frames := make(map[uint64][]store.Arrival)
		b.read = func(p journal.Ref) ([]store.Arrival, error) { return frames[p.Seq], nil }
		var want []string
		for seq := range uint64(rapid.IntRange(1, 4).Draw(rt, "frames")) {
			size := rapid.SampledFrom([]int{0, 1, 5, 999, 1000, 1001, 2500})
			sizes := rapid.SliceOfN(size, 0, 4).Draw(rt, "recipients")
			for i, recipients := range sizes {
				a := ofRecipients(recipients)
				e := a.Entry.(store.Report).Entries
				for n := range recipients {
					e[1].Recipients[n] = fmt.Sprintf("%d%d%04d", seq+1, i, n)
				}
				want = append(want, e[1].Recipients...)
				frames[seq+1] = append(frames[seq+1], a)
			}
			b.Add(journal.Ref{Seq: seq + 1, Arrivals: len(sizes), Body: 50}, frames[seq+1], 1)
		}
		var got []string
		at := schema.Position{}
		for {
			r := Room{
				Rows:  rapid.IntRange(1, 3000).Draw(rt, "rows"),
				Bytes: rapid.IntRange(1, 3000).Draw(rt, "bytes"),
				Row:   1, Frames: rapid.IntRange(0, 100).Draw(rt, "frame bytes"),
			}
			w, err := b.Take(r)
			require.NoError(rt, err)
			if len(w.Parts) == 0 {
				break
			}
			require.True(rt, at.Follows(w.From), "%v %v", at, w.From)
			require.LessOrEqual(rt, w.Size, max(r.Rows, 1+store.MaxRecipients))
			for _, p := range w.Parts {
				for _, a := range p.Arrivals {
					fold.Touches(a, func(digits string) { got = append(got, digits) })
				}
			}
			at = w.To
			folded := b.folded
			b.Reached(w, 1)
			require.Equal(rt, folded+uint64(w.Size), b.folded+over(w))
		}
		require.Equal(rt, want, got)
		require.Equal(rt, b.added, b.folded)
		require.Zero(rt, b.Unfolded())
		require.Zero(rt, b.bytes)
	})
}

// over returns how many rows a partial step writes in addition: the batch's row, which the next step writes again.
func over(w Work) uint64 {
	if w.To.Within.Recipients > 0 {
		return 1
	}
	return 0
}
