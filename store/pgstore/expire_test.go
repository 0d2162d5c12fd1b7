package pgstore_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/pgstore"
)

func off(string) store.Policy { return store.Policy{On: store.OnOff} }

// TestExpiryAndNewsAtOnce has news come of batches that retention is deleting: each is either kept with its batch or
// starts it anew.
func TestExpiryAndNewsAtOnce(t *testing.T) {
	s := newStore(t, pgstore.Config{URL: postgres.Database(t), Policies: off})
	var g errgroup.Group
	for worker := range 8 {
		g.Go(func() error {
			for i := range 60 {
				if err := s.Record(t.Context(), delivered(fmt.Sprint(i%3), number(worker))); err != nil {
					return err
				}
				if _, _, err := s.Expire(t.Context(), epoch.Add(time.Hour), 3); err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, g.Wait())
	for more := true; more; {
		var err error
		_, more, err = s.Expire(t.Context(), epoch.Add(time.Hour), 3)
		require.NoError(t, err)
	}
	page, err := s.Batches(t.Context(), store.BatchQuery{})
	require.NoError(t, err)
	require.Empty(t, page.Items)
	stats, err := s.Stats(t.Context())
	require.NoError(t, err)
	require.Zero(t, stats[0].Feedback)
	require.Equal(t, 480, stats[0].Recipients+stats[0].Duplicates, "each counted once: as new or as a repeat")
}

// TestNewsKeepsABatchThatWasFoundOld: whether the news comes before the deletion or after it, the batch is there then.
func TestNewsKeepsABatchThatWasFoundOld(t *testing.T) {
	const batches = 200
	s := newStore(t, pgstore.Config{URL: postgres.Database(t), Policies: off})
	recordAll := func(when time.Time) error {
		var g errgroup.Group
		for i := range batches {
			a := delivered(fmt.Sprint(i), number(i))
			a.At = when
			g.Go(func() error { return s.Record(t.Context(), a) })
		}
		return g.Wait()
	}
	for round := range 5 {
		now := epoch.Add(time.Duration(round) * 24 * time.Hour)
		require.NoError(t, recordAll(now))
		var g errgroup.Group
		g.Go(func() error { return recordAll(now.Add(2 * time.Hour)) })
		g.Go(func() error {
			_, _, err := s.Expire(t.Context(), now.Add(time.Hour), batches)
			return err
		})
		require.NoError(t, g.Wait())
		for i := range batches {
			_, err := s.Batch(t.Context(), key(fmt.Sprint(i)))
			require.NoError(t, err, "batch %d", i)
		}
	}
}
