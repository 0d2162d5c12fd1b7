package backlog

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
	"github.com/dlrloop/dlrloop/store/journal"
)

// ofRecipients returns a report with n recipients.
func ofRecipients(n int) store.Arrival {
	entries := []dlr.Entry{{}, {Recipients: make([]string, n)}}
	return store.Arrival{Entry: store.Report{Report: &dlr.Report{Entries: entries}}}
}

// noReadBack returns a read function for a test in which no frame may be read back from the journal.
func noReadBack(t *testing.T) func(journal.Ref) ([]store.Arrival, error) {
	t.Helper()
	return func(p journal.Ref) ([]store.Arrival, error) {
		require.Fail(t, "unexpected read from the journal", "frame %d", p.Seq)
		return nil, nil
	}
}

// roomForRows returns a room that is limited only by the number of rows.
func roomForRows(rows int) Room { return Room{Rows: rows, Bytes: rows, Row: 1, Frames: 1 << 20} }

// addTo adds a frame with one arrival.
func addTo(b *Queue, seq uint64, a store.Arrival) {
	b.Add(journal.Ref{Seq: seq, Arrivals: 1, Body: 100}, []store.Arrival{a}, 1)
}

func take(t *testing.T, b *Queue, r Room) Work {
	t.Helper()
	w, err := b.Take(r)
	require.NoError(t, err)
	return w
}

func seqs(w Work) (seqs []uint64) {
	for _, p := range w.Parts {
		seqs = append(seqs, p.Seq)
	}
	return seqs
}

func TestStepIsLimitedByRows(t *testing.T) {
	b := New(1<<20, noReadBack(t))
	require.Empty(t, seqs(take(t, b, roomForRows(10))))
	for i, recipients := range []int{0, 4, 4, 100, 1, 9} {
		addTo(b, uint64(i+1), ofRecipients(recipients))
	}
	require.Equal(t, []uint64{1, 2}, seqs(take(t, b, roomForRows(10))),
		"1 and 5 rows: one for the batch and one for each recipient")
	require.Equal(t, []uint64{3}, seqs(take(t, b, roomForRows(10))))
	require.Equal(t, []uint64{4}, seqs(take(t, b, roomForRows(10))), "an arrival that is too large is folded alone")
	require.Equal(t, []uint64{5}, seqs(take(t, b, roomForRows(10))))
	require.Equal(t, []uint64{6}, seqs(take(t, b, roomForRows(10))))
	require.Empty(t, seqs(take(t, b, roomForRows(10))))
	require.Equal(t, 6, b.Unfolded(), "arrivals that are taken are not folded yet")
}

func TestStepIsLimitedByBytesOfReports(t *testing.T) {
	b := New(1<<20, noReadBack(t))
	of := func(bytes int) store.Arrival {
		return store.Arrival{Entry: store.Quarantined{Raw: make([]byte, bytes)}}
	}
	for i, bytes := range []int{10, 10, 500, 10} {
		addTo(b, uint64(i+1), of(bytes))
	}
	r := Room{Rows: 1000, Bytes: 2 * (1 + rawCopies*10), Row: 1}
	require.Equal(t, []uint64{1, 2}, seqs(take(t, b, r)))
	require.Equal(t, []uint64{3}, seqs(take(t, b, r)))
	require.Equal(t, []uint64{4}, seqs(take(t, b, r)))
}

func TestRowsOfEachArrivalType(t *testing.T) {
	three := []string{"1", "2", "3"}
	for want, entries := range map[int][]store.Entry{
		1: {
			store.BatchInfo{},
			store.Quarantined{},
			store.Report{Report: &dlr.Report{}},
			store.ReportFetched{},
			store.Confirmation{WholeBatch: true},
		},
		4: {
			store.BatchInfo{Numbers: three},
			store.Confirmation{Recipients: three},
			store.Settlement{Recipients: three},
			store.Requeue{Recipients: three},
			ofRecipients(3).Entry,
		},
	} {
		for _, n := range entries {
			require.Equal(t, want, rowsOf(store.Arrival{Entry: n}), "%T", n)
		}
	}
}

// A step reads only a limited number of bytes back from the journal.
func TestBacklogReadsBackArrivalsBeyondItsMemory(t *testing.T) {
	var read []uint64
	broken := errors.New("broken")
	fails := false
	b := New(2, func(p journal.Ref) ([]store.Arrival, error) {
		if fails {
			return nil, broken
		}
		read = append(read, p.Seq)
		return []store.Arrival{ofRecipients(1)}, nil
	})
	for seq := range uint64(6) {
		addTo(b, seq+1, ofRecipients(1))
	}
	r := roomForRows(100)
	r.Frames = 250
	w := take(t, b, r)
	require.Equal(t, []uint64{1, 2, 3, 4}, seqs(w))
	require.Equal(t, []uint64{3, 4}, read)
	b.Reached(w, 1)
	addTo(b, 7, ofRecipients(1))
	require.Equal(t, []uint64{5, 6, 7}, seqs(take(t, b, r)))
	require.Equal(t, []uint64{3, 4, 5, 6}, read, "the backlog had memory for frame 7")

	addTo(b, 8, ofRecipients(1))
	addTo(b, 9, ofRecipients(1))
	fails = true
	require.Equal(t, []uint64{8}, seqs(take(t, b, r)), "the step ends before a frame that cannot be read")
	_, err := b.Take(r)
	require.ErrorIs(t, err, broken)
	fails = false
	require.Equal(t, []uint64{9}, seqs(take(t, b, r)))
}

func TestReadWaitsForAcknowledgedArrivals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(1<<20, noReadBack(t))
		require.NoError(t, b.Wait(t.Context()))
		addTo(b, 1, ofRecipients(1))
		addTo(b, 2, ofRecipients(1))
		require.NoError(t, b.Wait(t.Context()), "nothing is acknowledged yet, so wait returns at once")
		require.NoError(t, b.Acknowledge(t.Context()))
		read := make(chan error, 1)
		go func() { read <- b.Wait(t.Context()) }()
		synctest.Wait()
		urgent, _ := b.State(WhileFolding)
		require.True(t, urgent)
		addTo(b, 3, ofRecipients(1))
		b.Reached(take(t, b, roomForRows(2)), 10)
		synctest.Wait()
		require.Empty(t, read)
		b.Reached(take(t, b, roomForRows(2)), 10)
		require.NoError(t, <-read, "the read does not wait for frame 3, which was added later")
		require.Equal(t, 1, b.Unfolded())
		urgent, _ = b.State(WhileFolding)
		require.False(t, urgent)

		require.NoError(t, b.Acknowledge(t.Context()))
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() { read <- b.Wait(ctx) }()
		synctest.Wait()
		cancel(errors.New("the caller canceled"))
		require.EqualError(t, <-read, "the caller canceled")

		go func() { read <- b.Wait(t.Context()) }()
		synctest.Wait()
		b.End()
		require.ErrorIs(t, <-read, store.ErrClosed)
	})
}

// Up to allowance rows may be acknowledged before they are folded. Beyond that, acknowledge waits for the fold unless
// the fold fails.
func TestAcknowledgeWaitsForTheFold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(1<<20, noReadBack(t))
		b.allowance = 10
		acknowledged := make(chan error, 1)
		acknowledge := func(ctx context.Context) { acknowledged <- b.Acknowledge(ctx) }
		addTo(b, 1, ofRecipients(8))
		acknowledge(t.Context())
		require.NoError(t, <-acknowledged)
		addTo(b, 2, ofRecipients(8))
		go acknowledge(t.Context())
		synctest.Wait()
		require.Empty(t, acknowledged)
		urgent, _ := b.State(WhileFolding)
		require.True(t, urgent)
		b.Reached(take(t, b, roomForRows(9)), 8)
		synctest.Wait()
		require.Empty(t, acknowledged, "9 rows are unfolded, and the allowance fell to 8")
		b.Reached(Work{end: 9}, 9)
		require.NoError(t, <-acknowledged)

		addTo(b, 3, ofRecipients(8))
		ctx, cancel := context.WithCancelCause(t.Context())
		go acknowledge(ctx)
		synctest.Wait()
		cancel(errors.New("the caller canceled"))
		require.EqualError(t, <-acknowledged, "the caller canceled")

		go acknowledge(t.Context())
		synctest.Wait()
		require.Empty(t, acknowledged)
		b.Stall()
		require.NoError(t, <-acknowledged, "while the fold fails, only the journal's size is the limit")
		acknowledge(t.Context())
		require.NoError(t, <-acknowledged)
		b.Reached(Work{end: 9}, 9)
		go acknowledge(t.Context())
		synctest.Wait()
		require.Empty(t, acknowledged, "the fold works again, so acknowledge waits")
		b.End()
		require.NoError(t, <-acknowledged, "the arrival is in the journal, so it is acknowledged")
	})
}

func TestFoldDoesNotPauseDuringOpen(t *testing.T) {
	b := New(1<<20, nil)
	b.Resume(nil, schema.Progress{})
	urgent, _ := b.State(WhileFolding)
	require.False(t, urgent, "nothing to fold")

	b.Resume([]journal.Ref{{Seq: 1, Arrivals: 1}}, schema.Progress{})
	urgent, _ = b.State(WhileFolding)
	require.True(t, urgent, "the caller of Open waits")
}
