package boltstore

import (
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/commit"
)

// requireEnded requires that every method of s returns ErrClosed and the cause.
func requireEnded(t *testing.T, s *Store, cause string) {
	t.Helper()
	ctx, key := t.Context(), store.BatchKey{Plan: "plan", BatchID: "batch"}
	refused := make(map[string]error)
	refused["Record"] = s.Record(ctx, delivered("batch", "447700900001"))
	refused["Ready"] = s.Ready(ctx)
	_, refused["Claim"] = s.Claim(ctx, "plan", noon, time.Hour, 1)
	_, refused["MissingReports"] = s.MissingReports(ctx, "plan", noon, 1)
	_, refused["Batch"] = s.Batch(ctx, key)
	_, refused["Batches"] = s.Batches(ctx, store.BatchQuery{})
	_, refused["Recipient"] = s.Recipient(ctx, key, "447700900001")
	_, refused["Recipients"] = s.Recipients(ctx, key, store.RecipientQuery{})
	_, refused["RecipientBatches"] = s.RecipientBatches(ctx, "447700900001", store.Paging{})
	_, refused["Reports"] = s.Reports(ctx, key, store.Paging{})
	_, refused["Tasks"] = s.Tasks(ctx, store.TaskQuery{})
	_, refused["Quarantine"] = s.Quarantine(ctx, store.Paging{})
	_, refused["Stats"] = s.Stats(ctx)
	_, refused["Timeseries"] = s.Timeseries(ctx, "", noon, noon)
	_, refused["Requeue"] = s.Requeue(ctx, key, noon)
	_, _, refused["DeleteOlder"] = s.DeleteOlder(ctx, noon, 1)
	for method, err := range refused {
		require.ErrorIs(t, err, store.ErrClosed, method)
		require.ErrorContains(t, err, cause, method)
	}
	_ = s.Gauges()
}

func TestClosedStoreReturnsErrClosed(t *testing.T) {
	s := opened(t, Config{Path: t.TempDir()})
	require.NoError(t, s.Ready(t.Context()))
	require.NoError(t, s.Close())
	requireEnded(t, s, "")
	require.NoError(t, s.Err(), "Err is nil after Close")
	require.NoError(t, s.Close())
	select {
	case <-s.Done():
		t.Fatal("Done must be closed only if the store shuts itself down")
	default:
	}
	gauges := s.Gauges()
	require.Empty(t, gauges.Replica)
	require.Nil(t, gauges.Replicas)
	require.Nil(t, gauges.Leaders)
}

func TestStoreEndsWhenTheJournalFails(t *testing.T) {
	var failed []string
	observer := store.Observer{Failed: func(operation string, _ error) { failed = append(failed, operation) }}
	s := opened(t, Config{Path: t.TempDir(), Observer: observer})
	require.NoError(t, s.Record(t.Context(), delivered("batch", "447700900001")))
	require.NoError(t, s.journal.Close())

	err := s.Record(t.Context(), delivered("batch", "447700900002"))
	require.ErrorContains(t, err, "write journal: ")
	<-s.Done()
	require.ErrorContains(t, s.Err(), "write journal: ")
	require.Equal(t, []string{"commit"}, failed)
	requireEnded(t, s, "write journal: ")
}

func TestStoreEndsWhenTheDatabaseFails(t *testing.T) {
	s := opened(t, Config{Path: t.TempDir()})
	require.NoError(t, s.db.Close())
	require.NoError(t, s.Record(t.Context(), delivered("batch", "447700900001")), "the journal works")
	<-s.Done()
	require.ErrorContains(t, s.Err(), "database not open")
	requireEnded(t, s, "database not open")
}

// Reads that wait for the fold return when the store ends.
func TestWaitingReadsReturnWhenTheStoreEnds(t *testing.T) {
	s := opened(t, Config{Path: t.TempDir()})
	s.writing.Lock() // stops the fold
	require.NoError(t, s.Record(t.Context(), delivered("batch", "447700900001")))
	var readers sync.WaitGroup
	for range 5 {
		readers.Go(func() {
			_, err := s.Batches(t.Context(), store.BatchQuery{})
			require.ErrorIs(t, err, store.ErrClosed)
			require.ErrorContains(t, s.Err(), "database not open", "Err returns the cause as soon as a read ends")
		})
	}
	require.NoError(t, s.db.Close())
	s.writing.Unlock()
	readers.Wait()
}

// While the fold is blocked, arrivals are accepted until the journal is full. Then Record and Ready return ErrBusy
// after Patience, until the fold continues.
func TestFullJournalReturnsErrBusy(t *testing.T) {
	s := opened(t, Config{
		Path: t.TempDir(), Segment: 4096, JournalLimit: 16384,
		Committer: commit.Config{Patience: 20 * time.Millisecond},
	})
	s.writing.Lock()
	unblock := sync.OnceFunc(s.writing.Unlock)
	defer unblock()
	recorded, busy := 0, false
	for s.Ready(t.Context()) == nil { // ends only when the empty commit of Ready fails, too
		switch err := s.Record(t.Context(), delivered("batch", fmt.Sprint(447700900000+recorded))); {
		case err == nil:
			recorded++
		default:
			require.ErrorIs(t, err, store.ErrBusy)
			busy = true
		}
	}
	require.True(t, busy)
	require.ErrorIs(t, s.Ready(t.Context()), store.ErrBusy)
	require.NoError(t, s.Err())
	require.Equal(t, recorded, s.Gauges().Unfolded)
	unblock()

	require.Eventually(t, func() bool { return s.Ready(t.Context()) == nil }, time.Minute, time.Millisecond)
	require.NoError(t, s.Record(t.Context(), delivered("batch", "441")))
	_, err := s.Stats(t.Context())
	require.NoError(t, err)
	require.Zero(t, s.Gauges().Unfolded)
	require.NoError(t, s.Close())

	again := opened(t, Config{Path: s.config.Path})
	stats, err := again.Stats(t.Context())
	require.NoError(t, err)
	require.Equal(t, recorded+1, stats[0].Recipients, "the empty commits of Ready add nothing")
}

// An arrival that needs a new segment is refused; smaller ones are accepted.
func TestStoreContinuesWhenASegmentCannotBeCreated(t *testing.T) {
	s := opened(t, Config{Path: t.TempDir(), Segment: 256 << 10})
	large := delivered("batch", "447700900001")
	report := large.Entry.(store.Report)
	report.Raw = append(append(report.Raw[:len(report.Raw):len(report.Raw)], make([]byte, 300_000)...), '\n')
	large.Entry = report
	blocked := segmentPath(s.config.Path, 2) + ".new" // the temporary name of the next segment
	require.NoError(t, os.Mkdir(blocked, 0o700))
	require.ErrorContains(t, s.Record(t.Context(), large), "create journal segment: ")
	require.NoError(t, s.Ready(t.Context()), "small arrivals are still accepted")
	require.NoError(t, os.RemoveAll(blocked))
	require.NoError(t, s.Record(t.Context(), large))
	require.NoError(t, s.Record(t.Context(), delivered("batch", "447700900002")))
	require.NoError(t, s.Err())
}

func TestInvalidArrivalIsRefused(t *testing.T) {
	s := opened(t, Config{Path: t.TempDir()})
	for says, a := range map[string]store.Arrival{
		"record: no plan":     {Entry: store.BatchInfo{BatchID: "1"}},
		"record: no report":   {Plan: "plan", Entry: store.Report{Raw: []byte("{}")}},
		"record: no batch id": {Plan: "plan", Entry: store.Confirmation{Recipients: []string{"1"}}},
		"record: no batch":    {Plan: "plan", Entry: store.Report{Report: &dlr.Report{}}},
	} {
		require.ErrorContains(t, s.Record(t.Context(), a), says)
	}
	require.Zero(t, s.Gauges().Unfolded)
}
