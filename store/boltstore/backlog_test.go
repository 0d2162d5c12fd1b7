package boltstore

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

func ofRecipients(n int) store.Arrival {
	return store.Arrival{News: store.Report{Report: &dlr.Report{Entries: []dlr.Entry{{}, {Recipients: make([]string, n)}}}}}
}

func seqs(groups []group) (seqs []uint64) {
	for _, g := range groups {
		seqs = append(seqs, g.seq)
	}
	return seqs
}

func TestStepsAreBoundedByTheirRows(t *testing.T) {
	b := newBacklog()
	require.Empty(t, b.take(10))
	for seq, rows := range []int{0, 4, 4, 100, 1, 9} {
		b.add(uint64(seq), []store.Arrival{ofRecipients(rows)})
	}
	require.Equal(t, []uint64{0, 1}, seqs(b.take(10)), "1 and 5 rows, the batch's among them")
	require.Equal(t, []uint64{2}, seqs(b.take(10)))
	require.Equal(t, []uint64{3}, seqs(b.take(10)), "one that is too large goes alone")
	require.Equal(t, []uint64{4}, seqs(b.take(10)))
	require.Equal(t, []uint64{5}, seqs(b.take(10)))
	require.Empty(t, b.take(10))
	rows, _, _ := b.state()
	require.Zero(t, rows)
	require.Equal(t, 6, b.unfolded(), "what is taken is not folded yet")
}

func TestRowsOfNews(t *testing.T) {
	three := []string{"1", "2", "3"}
	for want, news := range map[int][]store.News{
		1: {store.Facts{}, store.Quarantined{}, store.Report{Report: &dlr.Report{}}, store.Checked{}, store.Confirmation{Everyone: true}},
		4: {store.Facts{Numbers: three}, store.Confirmation{Recipients: three}, store.Settlement{Recipients: three}, store.Requeue{Recipients: three}, ofRecipients(3).News},
	} {
		for _, n := range news {
			require.Equal(t, want, rowsOf(store.Arrival{News: n}), "%T", n)
		}
	}
}

func TestReadersWaitForWhatWasThereBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBacklog()
		require.NoError(t, b.wait(t.Context()))
		b.add(1, []store.Arrival{ofRecipients(1)})
		b.add(2, []store.Arrival{ofRecipients(1)})
		read := make(chan error, 1)
		go func() { read <- b.wait(t.Context()) }()
		synctest.Wait()
		_, wanted, _ := b.state()
		require.True(t, wanted)
		b.add(3, []store.Arrival{ofRecipients(1)})
		groups := b.take(1)
		b.reached(1, groups...)
		synctest.Wait()
		require.Empty(t, read)
		groups = b.take(1)
		b.reached(2, groups...)
		require.NoError(t, <-read, "frame 3 came later")
		require.Equal(t, 1, b.unfolded())

		ctx, cancel := context.WithCancelCause(t.Context())
		go func() { read <- b.wait(ctx) }()
		synctest.Wait()
		cancel(errors.New("gone"))
		require.EqualError(t, <-read, "gone")

		go func() { read <- b.wait(t.Context()) }()
		synctest.Wait()
		b.end()
		require.ErrorIs(t, <-read, store.ErrClosed)
	})
}

// The fold rests between steps under load, and for nobody who waits.
func TestFoldDoesNotRestWhileSomebodyWaits(t *testing.T) {
	s := opened(t, Config{Path: t.TempDir(), FoldEvery: 1 << 62})
	for n := range 3 * busyStep {
		require.NoError(t, s.Record(t.Context(), delivered(fmt.Sprint(n%3), fmt.Sprint(447700900000+n))))
		if n%100 == 0 {
			_, err := s.Batch(t.Context(), store.BatchKey{Plan: "plan", BatchID: fmt.Sprint(n % 3)})
			require.NoError(t, err)
		}
	}
	require.NoError(t, s.Close())
}
