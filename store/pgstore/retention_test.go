package pgstore_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/pgstore"
)

func off(string) store.Policy { return store.Policy{On: store.OnOff} }

// TestArrivalsDuringRetention records arrivals for batches that retention is deleting. Each must either keep its
// batch or start it anew.
func TestArrivalsDuringRetention(t *testing.T) {
	t.Parallel()
	s := newStore(t, pgstore.Config{URL: postgres.Database(t), Policies: off})
	each := 20
	if long() {
		each = 60
	}
	var g errgroup.Group
	for worker := range 8 {
		g.Go(func() error {
			for i := range each {
				if err := s.Record(t.Context(), delivered(fmt.Sprint(i%3), number(worker))); err != nil {
					return err
				}
				if _, _, err := s.DeleteOlder(t.Context(), epoch.Add(time.Hour), 3); err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, g.Wait())
	for more := true; more; {
		var err error
		_, more, err = s.DeleteOlder(t.Context(), epoch.Add(time.Hour), 3)
		require.NoError(t, err)
	}
	page, err := s.Batches(t.Context(), store.BatchQuery{})
	require.NoError(t, err)
	require.Empty(t, page.Items)
	stats, err := s.Stats(t.Context())
	require.NoError(t, err)
	require.Zero(t, stats[0].Feedback)
	require.Equal(
		t,
		8*each,
		stats[0].Recipients+stats[0].Duplicates,
		"each report must count once, as new or as a duplicate",
	)
}

// TestArrivalKeepsOldBatch records an arrival for a batch while retention deletes it. The batch must exist
// afterwards, whichever came first.
func TestArrivalKeepsOldBatch(t *testing.T) {
	t.Parallel()
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
			_, _, err := s.DeleteOlder(t.Context(), now.Add(time.Hour), batches)
			return err
		})
		require.NoError(t, g.Wait())
		for i := range batches {
			_, err := s.Batch(t.Context(), key(fmt.Sprint(i)))
			require.NoError(t, err, "batch %d", i)
		}
	}
}

// TestHiddenBatch makes retention fail after its first transaction, like a crash. The remaining rows of the batches
// must not be visible, and not be mixed up with new arrivals.
func TestHiddenBatch(t *testing.T) {
	t.Parallel()
	for _, d := range []pgstore.Dialect{pgstore.Postgres, pgstore.Portable} {
		t.Run(string(d), func(t *testing.T) {
			url := postgres.Database(t)
			s := newStore(t, pgstore.Config{URL: url, Dialect: d, Policies: off})
			const recipients = 1500 // more than retention deletes in one transaction
			all := make([]string, recipients)
			for i := range all {
				all[i] = number(i)
			}
			for _, id := range []string{"anew", "left"} {
				require.NoError(t, s.Record(t.Context(), arrives(store.BatchInfo{BatchID: id, Numbers: all})))
				require.NoError(t, s.Record(t.Context(), delivered(id, number(1))))
			}
			execute(t, url, `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not now'; END $$`)
			execute(t, url, `CREATE TRIGGER refuse BEFORE DELETE ON report_log EXECUTE FUNCTION refuse()`)
			expired, _, err := s.DeleteOlder(t.Context(), epoch.Add(time.Hour), 10)
			require.ErrorContains(t, err, "not now")
			require.Equal(t, 2, expired)
			require.Equal(t, 2*recipients, queryOne[int](t, url, `SELECT count(*) FROM recipient`))

			for _, id := range []string{"anew", "left"} {
				_, err = s.Batch(t.Context(), key(id))
				require.ErrorIs(t, err, store.ErrNotFound)
				_, err = s.Recipient(t.Context(), key(id), number(1))
				require.ErrorIs(t, err, store.ErrNotFound)
				_, err = s.Recipients(t.Context(), key(id), store.RecipientQuery{})
				require.ErrorIs(t, err, store.ErrNotFound)
				_, err = s.Reports(t.Context(), key(id), store.Paging{})
				require.ErrorIs(t, err, store.ErrNotFound)
			}
			batches, err := s.Batches(t.Context(), store.BatchQuery{})
			require.NoError(t, err)
			require.Empty(t, batches.Items)
			numbers, err := s.RecipientBatches(t.Context(), number(1), store.Paging{})
			require.NoError(t, err)
			require.Empty(t, numbers.Items)
			stats, err := s.Stats(t.Context())
			require.NoError(t, err)
			require.Zero(t, stats[0].Feedback)

			require.Error(t, s.Record(t.Context(), delivered("anew", number(1))), "the report would count as a duplicate")
			execute(t, url, `DROP TRIGGER refuse ON report_log`)
			require.NoError(t, s.Record(t.Context(), delivered("anew", number(1))))
			b, err := s.Batch(t.Context(), key("anew"))
			require.NoError(t, err)
			require.Equal(t, map[dlr.Status]int{dlr.Delivered: 1}, b.States)
			r, err := s.Recipient(t.Context(), key("anew"), number(1))
			require.NoError(t, err)
			require.Zero(t, r.Reports[0].Repeats)
			require.Equal(t, recipients+1, queryOne[int](t, url, `SELECT count(*) FROM recipient`))

			_, _, err = s.DeleteOlder(t.Context(), epoch.Add(-time.Hour), 10)
			require.NoError(t, err)
			require.Equal(t, 1, queryOne[int](t, url, `SELECT count(*) FROM recipient`), "the next call must delete the rest")
			require.Equal(t, 1, queryOne[int](t, url, `SELECT count(*) FROM batch`))
		})
	}
}
