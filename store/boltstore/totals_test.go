package boltstore

import (
	"context"
	"encoding/json"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
)

// infoOf returns the info of a batch that was sent to n numbers.
func infoOf(id string, n int) store.BatchInfo {
	return store.BatchInfo{BatchID: id, ReportKind: "per_recipient", Recipients: n, CreatedAt: noon, ModifiedAt: noon}
}

// removeMissing removes the number of missing reports from the totals of a closed store, as an older version wrote
// them.
func removeMissing(t *testing.T, path string) {
	t.Helper()
	db, err := bolt.Open(filepath.Join(path, "dlrloop.db"), 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bolt.Tx) error {
		var plans map[string]map[string]any
		saved, err := schema.Unseal(schema.BucketMeta, schema.KeyTotals, tx.Bucket(schema.BucketMeta).Get(schema.KeyTotals))
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(saved, &plans))
		for _, p := range plans {
			feedback := p["Feedback"].(map[string]any)
			require.Contains(t, feedback, "Awaited")
			delete(feedback, "Awaited")
		}
		row, err := json.Marshal(plans)
		require.NoError(t, err)
		return tx.Bucket(schema.BucketMeta).Put(schema.KeyTotals, row)
	}))
	require.NoError(t, db.Close())
}

func TestMissingReportsAreRecomputedAfterAnUpgrade(t *testing.T) {
	path, ctx := t.TempDir(), t.Context()
	quiet := `a plan named "Awaited":` // the name is in the totals' row, too
	s := opened(t, Config{Path: path, Policies: testPolicy})
	for _, a := range []store.Arrival{
		{Plan: "plan", At: noon, Entry: infoOf("a", 3)},
		{Plan: "plan", At: noon, Entry: infoOf("b", 4)},
		{Plan: "plan", At: noon, Entry: infoOf("refused", 5)},
		{Plan: "plan", At: noon.AddDate(0, 0, 1), Entry: store.ReportFetched{BatchID: "refused", Refused: "404"}},
		{Plan: "other plan", At: noon, Entry: infoOf("a", 6)},
		{Plan: quiet, At: noon, Entry: infoOf("a", 0)},
		delivered("a", "447700900001"),
	} {
		require.NoError(t, s.Record(ctx, a))
	}
	before, err := s.Stats(ctx)
	require.NoError(t, err)
	require.Equal(t, map[string]int{"plan": 6, "other plan": 6, quiet: 0}, missing(ctx, t, s))
	require.NoError(t, s.Close())

	for range 2 { // the second time without a fold in between
		removeMissing(t, path)
		s = opened(t, Config{Path: path, Policies: testPolicy})
		after, err := s.Stats(ctx)
		require.NoError(t, err)
		require.Equal(t, before, after)
		require.Equal(t, 6, s.Gauges().Plans["plan"].Missing)
		require.NoError(t, s.Record(ctx, delivered("unknown", "447700900002"))) // makes the fold write the totals
		before, err = s.Stats(ctx)
		require.NoError(t, err)
		require.NoError(t, s.Close())
	}

	s = opened(t, Config{Path: path, Policies: testPolicy})
	for _, number := range []string{"447700900002", "447700900003"} {
		require.NoError(t, s.Record(ctx, delivered("a", number)))
	}
	require.Equal(t, 4, missing(ctx, t, s)["plan"])
	require.NoError(t, s.Close())
}

// A batch whose row is lost, and of which nothing else is stored, must not count as a batch with missing reports.
func TestLostBatchHasNoMissingReports(t *testing.T) {
	path := t.TempDir()
	s := opened(t, Config{Path: path, Policies: testPolicy})
	require.NoError(t, s.Record(t.Context(), store.Arrival{
		Plan: "plan", At: noon.Add(time.Second), Entry: infoOf("a", 3),
	}))
	require.Equal(t, map[string]int{"plan": 3}, missing(t.Context(), t, s))
	require.NoError(t, s.Close())
	removeMissing(t, path)
	editDatabase(t, path, func(tx *bolt.Tx) error {
		n, _ := tx.Bucket(schema.BucketBatches).Cursor().First()
		return tx.Bucket(schema.BucketBatches).Delete(n)
	})
	for _, verified := range []int64{0, -1} {
		copied := copied(t, path)
		var o failures
		s = opened(t, Config{Path: copied, Policies: testPolicy, Observer: o.observer(), verify: verified})
		require.Zero(t, missing(t.Context(), t, s)["plan"])
		require.Len(t, o.damage(), 1)
		_, err := s.Batch(t.Context(), store.BatchKey{Plan: "plan", BatchID: "a"})
		require.ErrorIs(t, err, store.ErrNotFound)
		require.NoError(t, s.Close())
		requireSound(t, copied)
	}
}

// missing returns the number of missing reports by plan.
func missing(ctx context.Context, t *testing.T, s *Store) map[string]int {
	t.Helper()
	stats, err := s.Stats(ctx)
	require.NoError(t, err)
	plans := make(map[string]int)
	for _, p := range stats {
		plans[p.Plan] = p.Feedback.Missing
	}
	return plans
}
