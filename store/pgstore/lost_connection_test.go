package pgstore_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/pgstore"
)

// folded sums up what an observer was told.
type folded struct {
	mu    sync.Mutex
	stats store.PlanStats // guarded by mu
}

func (f *folded) observer() store.Observer {
	return store.Observer{Folded: func(changes []store.Changes) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.stats.Plan = "plan"
		for _, c := range changes {
			f.stats.Apply(c)
		}
	}}
}

// requireTold requires that what was told is what is in the database.
func (f *folded) requireTold(t *testing.T, s *pgstore.Store) store.PlanStats {
	t.Helper()
	stats, err := s.Stats(t.Context())
	require.NoError(t, err)
	require.Len(t, stats, 1)
	f.mu.Lock()
	defer f.mu.Unlock()
	require.Equal(t, f.stats, stats[0])
	return stats[0]
}

// steady has every statement take as many bytes each time.
const steady = "&default_query_exec_mode=exec"

// points are where to cut what has a number of bytes: everywhere around its end, where the commit is, and here and there before.
func points(total int) (at []int) {
	for k := range total + 4 {
		if k%97 == 0 || k > total-40 {
			at = append(at, k)
		}
	}
	return at
}

// TestAConnectionLostAnywhere cuts the connection at points of recording a report. Each is recorded once, is told of as recorded, and is
// there: also when the answer to its commit was lost. It does not run beside tests that drop databases: each makes the server take a
// checkpoint, after which the store does not trust what the server says of the commit.
func TestAConnectionLostAnywhere(t *testing.T) {
	p, address := newProxy(t, postgres.Database(t))
	var told folded
	s := newStore(t, pgstore.Config{URL: address + steady, Lanes: 1, Observer: told.observer()})
	recorded := 0
	record := func() {
		recorded++
		require.NoError(t, s.Record(t.Context(), delivered("batch", number(recorded))))
	}
	record()
	bytes := p.measure(record)
	for direction, total := range bytes {
		require.Greater(t, total, 100)
		for _, k := range points(total) {
			p.cutAfter(direction, k)
			cuts := p.timesCut()
			for p.timesCut() == cuts { // the points after the end are within the next one
				record()
			}
		}
	}
	stats := told.requireTold(t, s)
	require.Equal(t, recorded, stats.Recipients)
	require.Equal(t, recorded, stats.Feedback.Owed)
	require.Zero(t, stats.Duplicates)
}

// TestASettlementWithoutAnswer loses the connection around the commit of settlements. Each counts once. As the test above it runs alone.
func TestASettlementWithoutAnswer(t *testing.T) {
	p, address := newProxy(t, postgres.Database(t))
	var told folded
	s := newStore(t, pgstore.Config{URL: address + steady, Lanes: 1, Observer: told.observer()})
	sent := 0
	settle := func(cut func()) {
		sent++
		require.NoError(t, s.Record(t.Context(), delivered("batch", number(sent))))
		claims, err := s.Claim(t.Context(), "plan", epoch.Add(time.Hour), time.Minute, 1)
		require.NoError(t, err)
		require.Len(t, claims, 1)
		require.Equal(t, []string{number(sent)}, claims[0].Recipients)
		cut()
		settled := store.Settlement{BatchID: "batch", Lease: claims[0].Lease, Recipients: claims[0].Recipients, Outcome: store.Accepted}
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
		for k := total - 20; k < total; k++ {
			settle(func() { p.cutAfter(direction, k) })
		}
	}
	stats := told.requireTold(t, s)
	require.Equal(t, sent, stats.Feedback.Sent)
	require.Zero(t, stats.Feedback.Owed)
	require.Greater(t, p.timesCut(), 30)
}
