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

// unread fails a test in which nothing is to be read back.
func unread(t *testing.T) func(frameRef) ([]store.Arrival, error) {
	t.Helper()
	return func(p frameRef) ([]store.Arrival, error) {
		require.Fail(t, "read back", "frame %d", p.seq)
		return nil, nil
	}
}

// roomFor is room for so many rows.
func roomFor(rows int) room { return room{rows: rows, bytes: rows, row: 1, frames: 1 << 20} }

// addTo adds a frame of one arrival.
func addTo(b *backlog, seq uint64, a store.Arrival) {
	b.add(frameRef{seq: seq, arrivals: 1, body: 100}, []store.Arrival{a}, 1)
}

func taken(t *testing.T, b *backlog, r room) work {
	t.Helper()
	w, err := b.take(r)
	require.NoError(t, err)
	return w
}

func seqs(w work) (seqs []uint64) {
	for _, p := range w.parts {
		seqs = append(seqs, p.seq)
	}
	return seqs
}

func TestStepsAreBoundedByTheirRows(t *testing.T) {
	b := newBacklog(1<<20, unread(t))
	require.Empty(t, seqs(taken(t, b, roomFor(10))))
	for i, recipients := range []int{0, 4, 4, 100, 1, 9} {
		addTo(b, uint64(i+1), ofRecipients(recipients))
	}
	require.Equal(t, []uint64{1, 2}, seqs(taken(t, b, roomFor(10))), "1 and 5 rows, the batch's among them")
	require.Equal(t, []uint64{3}, seqs(taken(t, b, roomFor(10))))
	require.Equal(t, []uint64{4}, seqs(taken(t, b, roomFor(10))), "one that is too large goes alone")
	require.Equal(t, []uint64{5}, seqs(taken(t, b, roomFor(10))))
	require.Equal(t, []uint64{6}, seqs(taken(t, b, roomFor(10))))
	require.Empty(t, seqs(taken(t, b, roomFor(10))))
	require.Equal(t, 6, b.unfolded(), "what is taken is not folded yet")
}

func TestStepsAreBoundedByTheBytesOfReports(t *testing.T) {
	b := newBacklog(1<<20, unread(t))
	of := func(bytes int) store.Arrival { return store.Arrival{News: store.Quarantined{Raw: make([]byte, bytes)}} }
	for i, bytes := range []int{10, 10, 500, 10} {
		addTo(b, uint64(i+1), of(bytes))
	}
	r := room{rows: 1000, bytes: 2 * (1 + rawCopies*10), row: 1}
	require.Equal(t, []uint64{1, 2}, seqs(taken(t, b, r)))
	require.Equal(t, []uint64{3}, seqs(taken(t, b, r)))
	require.Equal(t, []uint64{4}, seqs(taken(t, b, r)))
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

// What does not fit into the backlog's memory is read back when its turn comes, a bounded number of bytes at a time.
func TestBacklogReadsBackWhatItDoesNotHold(t *testing.T) {
	var read []uint64
	broken := errors.New("broken")
	fails := false
	b := newBacklog(2, func(p frameRef) ([]store.Arrival, error) {
		if fails {
			return nil, broken
		}
		read = append(read, p.seq)
		return []store.Arrival{ofRecipients(1)}, nil
	})
	for seq := range uint64(6) {
		addTo(b, seq+1, ofRecipients(1))
	}
	r := roomFor(100)
	r.frames = 250
	w := taken(t, b, r)
	require.Equal(t, []uint64{1, 2, 3, 4}, seqs(w))
	require.Equal(t, []uint64{3, 4}, read)
	b.reached(w, 1)
	addTo(b, 7, ofRecipients(1))
	require.Equal(t, []uint64{5, 6, 7}, seqs(taken(t, b, r)))
	require.Equal(t, []uint64{3, 4, 5, 6}, read, "there was memory for frame 7")

	addTo(b, 8, ofRecipients(1))
	addTo(b, 9, ofRecipients(1))
	fails = true
	require.Equal(t, []uint64{8}, seqs(taken(t, b, r)), "what could be taken before a frame that cannot be read")
	_, err := b.take(r)
	require.ErrorIs(t, err, broken)
	fails = false
	require.Equal(t, []uint64{9}, seqs(taken(t, b, r)))
}

func TestReadersWaitForWhatWasAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBacklog(1<<20, unread(t))
		require.NoError(t, b.wait(t.Context()))
		addTo(b, 1, ofRecipients(1))
		addTo(b, 2, ofRecipients(1))
		require.NoError(t, b.wait(t.Context()), "nothing is acknowledged yet")
		require.NoError(t, b.acknowledge(t.Context()))
		read := make(chan error, 1)
		go func() { read <- b.wait(t.Context()) }()
		synctest.Wait()
		hurry, _ := b.state(whileFolding)
		require.True(t, hurry)
		addTo(b, 3, ofRecipients(1))
		b.reached(taken(t, b, roomFor(2)), 10)
		synctest.Wait()
		require.Empty(t, read)
		b.reached(taken(t, b, roomFor(2)), 10)
		require.NoError(t, <-read, "frame 3 came later")
		require.Equal(t, 1, b.unfolded())
		hurry, _ = b.state(whileFolding)
		require.False(t, hurry)

		require.NoError(t, b.acknowledge(t.Context()))
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

// So much may be acknowledged as a reader waits for a moment; more waits for the fold, but not while that fails.
func TestAcknowledgementsWaitForTheFold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBacklog(1<<20, unread(t))
		b.allowance = 10
		acknowledged := make(chan error, 1)
		acknowledge := func(ctx context.Context) { acknowledged <- b.acknowledge(ctx) }
		addTo(b, 1, ofRecipients(8))
		acknowledge(t.Context())
		require.NoError(t, <-acknowledged)
		addTo(b, 2, ofRecipients(8))
		go acknowledge(t.Context())
		synctest.Wait()
		require.Empty(t, acknowledged)
		hurry, _ := b.state(whileFolding)
		require.True(t, hurry)
		b.reached(taken(t, b, roomFor(9)), 8)
		synctest.Wait()
		require.Empty(t, acknowledged, "9 rows, and the allowance fell to 8")
		b.reached(work{end: 9}, 9)
		require.NoError(t, <-acknowledged)

		addTo(b, 3, ofRecipients(8))
		ctx, cancel := context.WithCancelCause(t.Context())
		go acknowledge(ctx)
		synctest.Wait()
		cancel(errors.New("gone"))
		require.EqualError(t, <-acknowledged, "gone")

		go acknowledge(t.Context())
		synctest.Wait()
		require.Empty(t, acknowledged)
		b.stall()
		require.NoError(t, <-acknowledged, "the fold fails: the journal's size is the limit")
		acknowledge(t.Context())
		require.NoError(t, <-acknowledged)
		b.reached(work{end: 9}, 9)
		go acknowledge(t.Context())
		synctest.Wait()
		require.Empty(t, acknowledged, "the fold works again")
		b.end()
		require.NoError(t, <-acknowledged, "it is in the journal")
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

func TestTheFoldHurriesAtAStart(t *testing.T) {
	b := newBacklog(1<<20, nil)
	b.resume(nil, progress{})
	hurry, _ := b.state(whileFolding)
	require.False(t, hurry, "there is nothing to fold")

	b.resume([]frameRef{{seq: 1, arrivals: 1}}, progress{})
	hurry, _ = b.state(whileFolding)
	require.True(t, hurry, "who opens the store waits")
}
