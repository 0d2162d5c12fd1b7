package pgstore_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/fold"
	"github.com/dlrloop/dlrloop/store/pgstore"
)

// foldedStats adds up the changes that the observer received.
type foldedStats struct {
	mu    sync.Mutex
	stats store.PlanStats // guarded by mu
}

func (f *foldedStats) observer() store.Observer {
	return store.Observer{Folded: func(changes []store.Changes) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.stats.Plan = "plan"
		for _, c := range changes {
			fold.AddChanges(&f.stats, c)
		}
	}}
}

// requireEqualStats requires that the observed changes add up to the stored totals, and returns these.
func (f *foldedStats) requireEqualStats(t *testing.T, s *pgstore.Store) store.PlanStats {
	t.Helper()
	var stats []store.PlanStats
	require.Eventually(t, func() (read bool) { // a cut may still be due, or a connection was cut while idle
		var err error
		stats, err = s.Stats(t.Context())
		return err == nil
	}, timeout, 10*time.Millisecond)
	require.Len(t, stats, 1)
	f.mu.Lock()
	defer f.mu.Unlock()
	require.Equal(t, f.stats, stats[0])
	return stats[0]
}

// steady makes every execution of a statement send the same number of bytes.
const steady = "&default_query_exec_mode=exec"

// cutPoints returns the byte counts after which to cut an exchange of total bytes: all around its end, where the
// commit is, and some before; in the long form, more of both.
func cutPoints(total int) (at []int) {
	stride, end := 389, 24
	if long() {
		stride, end = 97, 40
	}
	for k := range total + 4 {
		if k%stride == 0 || k > total-end {
			at = append(at, k)
		}
	}
	return at
}

// TestConnectionLostDuringRecord cuts the connection after various numbers of bytes while reports are recorded, also
// between a commit and its answer. Each report must be stored and observed exactly once.
func TestConnectionLostDuringRecord(t *testing.T) {
	t.Parallel()
	p, address := newProxy(t, postgres.Database(t))
	var observed foldedStats
	s := newStore(t, pgstore.Config{URL: address + steady, Lanes: 1, Observer: observed.observer()})
	recorded := 0
	record := func() {
		recorded++
		require.NoError(t, s.Record(t.Context(), delivered("batch", number(recorded))))
	}
	record()
	bytes := p.measure(record)
	for direction, total := range bytes {
		require.Greater(t, total, 100)
		for _, k := range cutPoints(total) {
			p.cutAfter(direction, k)
			cuts := p.timesCut()
			for p.timesCut() == cuts { // a point after the end of this exchange is reached during the next one
				record()
			}
		}
	}
	stats := observed.requireEqualStats(t, s)
	require.Equal(t, recorded, stats.Recipients)
	require.Equal(t, recorded, stats.Feedback.Owed)
	require.LessOrEqual(t, stats.Duplicates, p.timesCut(), "only an unconfirmed commit may be run again")
}

// TestConnectionLostDuringSettlement cuts the connection around the commits of settlements. Each must count exactly
// once.
func TestConnectionLostDuringSettlement(t *testing.T) {
	t.Parallel()
	p, address := newProxy(t, postgres.Database(t))
	var observed foldedStats
	s := newStore(t, pgstore.Config{URL: address + steady, Lanes: 1, Observer: observed.observer()})
	sent := 0
	settle := func(cut func()) {
		sent++
		require.NoError(t, s.Record(t.Context(), delivered("batch", number(sent))))
		claims, err := s.Claim(t.Context(), "plan", epoch.Add(time.Hour), time.Minute, 1)
		require.NoError(t, err)
		require.Len(t, claims, 1)
		require.Equal(t, []string{number(sent)}, claims[0].Recipients)
		cut()
		settled := store.Settlement{
			BatchID: "batch", Lease: claims[0].Lease, Recipients: claims[0].Recipients, Outcome: store.OutcomeAccepted,
		}
		require.NoError(t, s.Record(t.Context(), arrives(settled)))
	}
	var bytes [2]int
	settle(func() {})
	for range 3 {
		settle(func() { bytes = p.passedNow() })
		now := p.passedNow()
		bytes = [2]int{now[0] - bytes[0], now[1] - bytes[1]}
	}
	for direction, total := range bytes {
		for k := total - 16; k < total; k++ {
			settle(func() { p.cutAfter(direction, k) })
		}
	}
	stats := observed.requireEqualStats(t, s)
	require.Equal(t, sent, stats.Feedback.Sent)
	require.Zero(t, stats.Feedback.Owed)
	require.Greater(t, p.timesCut(), 24)
}
