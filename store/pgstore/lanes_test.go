package pgstore_test

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/pgstore"
)

// large returns a number of recipients that takes three transactions; in the long form, that of the largest groups.
func large() int {
	if long() {
		return 400_000
	}
	return 12_000
}

// allDelivered returns an arrival with a full report that n numbers were delivered.
func allDelivered(t *testing.T, id string, n int) store.Arrival {
	t.Helper()
	numbers := make([]string, n)
	for i := range numbers {
		numbers[i] = number(i)
	}
	raw, err := json.Marshal(map[string]any{
		"type": dlr.BatchSMS, "batch_id": id, "total_message_count": n,
		"statuses": []map[string]any{{"status": dlr.Delivered, "code": 0, "count": n, "recipients": numbers}},
	})
	require.NoError(t, err)
	c, err := dlr.Parse(raw)
	require.NoError(t, err)
	return arrives(store.Report{Report: c.Report, Raw: raw})
}

// requireFolded requires that a full report of n recipients is folded completely and once.
func requireFolded(t *testing.T, s *pgstore.Store, address, id string, n int) {
	t.Helper()
	b, err := s.Batch(t.Context(), key(id))
	require.NoError(t, err)
	require.Equal(t, map[dlr.Status]int{dlr.Delivered: n}, b.States)
	require.Equal(t, []store.Reported{{Status: dlr.Delivered, Named: n, Claimed: n}}, b.Reported)
	require.Equal(t, store.FeedbackCounts{Owed: n}, b.Feedback)
	require.Len(t, b.Reports, 1)
	require.Zero(t, b.Reports[0].Folded)
	require.Equal(t, n, queryOne[int](t, address,
		`SELECT count(*) FROM recipient WHERE batch_id = '`+id+`' AND feedback = 1 AND status = 'Delivered'`))
	require.Equal(t, 1, queryOne[int](t, address, `SELECT count(*) FROM report_log WHERE batch_id = '`+id+`'`))
}

// TestLargeReportIsFoldedInParts checks that each transaction of a large report writes a limited number of rows.
func TestLargeReportIsFoldedInParts(t *testing.T) {
	address := postgres.Database(t)
	var observed foldedStats
	s := newStore(t, pgstore.Config{URL: address, Observer: observed.observer()})
	report := allDelivered(t, "large", large())
	begin := time.Now()
	require.NoError(t, s.Record(t.Context(), report))
	t.Logf("%d recipients took %s", large(), time.Since(begin))
	require.LessOrEqual(t, queryOne[int](t, address,
		`SELECT max(n)::int FROM (SELECT count(*) AS n FROM recipient GROUP BY xmin::text) t`), 4000)
	requireFolded(t, s, address, "large", large())
	require.Equal(t, large(), observed.requireEqualStats(t, s).Recipients)

	begin = time.Now()
	require.NoError(t, s.Record(t.Context(), report))
	t.Logf("its repeat took %s", time.Since(begin))
	require.Equal(t, 1, observed.requireEqualStats(t, s).Duplicates)
}

// TestSmallReportsDoNotWaitForLargeOne makes a large report wait for its batch. Meanwhile every lane must answer.
func TestSmallReportsDoNotWaitForLargeOne(t *testing.T) {
	t.Parallel()
	address := postgres.Database(t)
	s := newStore(t, pgstore.Config{URL: address, StatementTimeout: time.Hour})
	require.NoError(t, s.Record(t.Context(), delivered("large", number(1))))
	unlock := lock(t, address, `SELECT FROM batch WHERE batch_id = 'large' FOR UPDATE`)
	var g errgroup.Group
	g.Go(func() error { return s.Record(context.WithoutCancel(t.Context()), allDelivered(t, "large", 12_000)) })
	waiting := func() bool {
		return queryOne[bool](t, address,
			`SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')`)
	}
	require.Eventually(t, waiting, timeout, time.Millisecond)
	for i := range 16 {
		require.NoError(t, s.Record(t.Context(), delivered("small "+number(i), number(i))))
	}
	require.True(t, waiting())
	unlock()
	require.NoError(t, g.Wait())
}

// TestArrivalsForHiddenBatchDelayNoOthers locks the rows of a hidden batch. Arrivals for it must wait, and others
// must not.
func TestArrivalsForHiddenBatchDelayNoOthers(t *testing.T) {
	t.Parallel()
	for _, d := range []pgstore.Dialect{pgstore.Postgres, pgstore.Portable} {
		t.Run(string(d), func(t *testing.T) {
			address := postgres.Database(t)
			s := newStore(t, pgstore.Config{URL: address, Dialect: d, StatementTimeout: time.Hour, Policies: off, Lanes: 1})
			require.NoError(t, s.Record(t.Context(), delivered("old", number(1))))
			execute(t, address, `UPDATE batch SET gone = true`)
			unlock := lock(t, address, `SELECT FROM report_log FOR UPDATE`)
			var g errgroup.Group
			record := func(i int) {
				g.Go(func() error { return s.Record(context.WithoutCancel(t.Context()), delivered("old", number(i))) })
			}
			record(0)
			waiting := func() bool {
				return queryOne[bool](t, address, `SELECT EXISTS (SELECT FROM pg_stat_activity
					WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%DELETE FROM report_log%')`)
			}
			require.Eventually(t, waiting, timeout, time.Millisecond)
			for i := 1; i < 8; i++ {
				record(i)
			}
			ctx, cancel := context.WithTimeout(t.Context(), timeout)
			defer cancel()
			for i := range 8 {
				require.NoError(t, s.Record(ctx, delivered("other", number(i))))
			}
			require.True(t, waiting())
			unlock()
			require.NoError(t, g.Wait())
			b, err := s.Batch(t.Context(), key("old"))
			require.NoError(t, err)
			require.Equal(t, map[dlr.Status]int{dlr.Delivered: 8}, b.States)
		})
	}
}

// TestReplicasFoldSameLargeReport records the same large report on several replicas concurrently.
func TestReplicasFoldSameLargeReport(t *testing.T) {
	t.Parallel()
	address := postgres.Database(t)
	var g errgroup.Group
	var all []*pgstore.Store
	for range 3 {
		s := newStore(t, pgstore.Config{URL: address})
		all = append(all, s)
		g.Go(func() error { return s.Record(context.WithoutCancel(t.Context()), allDelivered(t, "large", 12_000)) })
	}
	require.NoError(t, g.Wait())
	requireFolded(t, all[0], address, "large", 12_000)
	stats := totalsOf(t, all[0])
	require.Equal(t, 12_000, stats.Recipients)
	delivered := store.StatusTotal{Status: dlr.Delivered, Class: dlr.LookupCode(0).Class, Messages: 12_000}
	require.Equal(t, []store.StatusTotal{delivered}, stats.Messages)
}

// TestReplicaKilledDuringLargeReport cuts a replica off in the middle of a large report. A new replica must continue
// the report, and a third must complete it.
func TestReplicaKilledDuringLargeReport(t *testing.T) {
	t.Parallel()
	address := postgres.Database(t)
	p, through := newProxy(t, address)
	report := allDelivered(t, "large", 12_000)
	before := p.passedNow()
	measured := newStore(t, pgstore.Config{URL: through})
	require.NoError(t, measured.Record(t.Context(), allDelivered(t, "measured", 12_000)))
	whole := p.passedNow()[toServer] - before[toServer]
	for range 2 { // a replica commits at most one of three parts before the cut
		killed := newStore(t, pgstore.Config{URL: through})
		var g errgroup.Group
		cuts := p.timesCut()
		p.cutAfter(toServer, whole/2)
		p.closeWithNextCut()
		g.Go(func() error { return killed.Record(context.WithoutCancel(t.Context()), report) })
		require.Eventually(t, func() bool { return p.timesCut() > cuts }, timeout, time.Millisecond)
		require.Error(t, g.Wait())
		folded := queryOne[int](t, address, `SELECT count(*) FROM recipient WHERE batch_id = 'large'`)
		t.Logf("%d recipients were folded", folded)
		require.Positive(t, folded)
		require.Less(t, folded, 12_000)
		p.refuse(false)
	}
	other := newStore(t, pgstore.Config{URL: address})
	require.NoError(t, other.Record(t.Context(), report))
	requireFolded(t, other, address, "large", 12_000)
	require.Equal(t, 24_000, totalsOf(t, other).Recipients)
}

// TestLargeReportContinuesWithoutCaller cancels the context of Record. The report must be folded completely, and a
// repeat must find it or continue it.
func TestLargeReportContinuesWithoutCaller(t *testing.T) {
	t.Parallel()
	address := postgres.Database(t)
	s := newStore(t, pgstore.Config{URL: address})
	ctx, leave := context.WithCancel(t.Context())
	var recording sync.WaitGroup
	recording.Go(func() { _ = s.Record(ctx, allDelivered(t, "large", large())) })
	require.Eventually(t, func() bool {
		return queryOne[bool](t, address, `SELECT EXISTS (SELECT FROM recipient)`)
	}, timeout, time.Millisecond)
	leave()
	recording.Wait()
	require.Eventually(t, func() bool {
		return queryOne[int](t, address, `SELECT count(*) FROM recipient`) == large()
	}, timeout, 10*time.Millisecond)
	require.NoError(t, s.Record(t.Context(), allDelivered(t, "large", large())))
	requireFolded(t, s, address, "large", large())
}
