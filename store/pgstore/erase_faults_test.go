package pgstore_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/pgstore"
)

// TestEraseAfterLostConnections cuts the connection at many points of Erase, also around its commits. The next call
// must find what is left, and the destination must notice that its events were erased.
func TestEraseAfterLostConnections(t *testing.T) {
	t.Parallel()
	direct := postgres.Database(t)
	p, address := newProxy(t, direct)
	s := newStore(t, pgstore.Config{URL: address + steady, Lanes: 1, Policies: withCallbacks})
	other := newStore(t, pgstore.Config{URL: direct, Policies: withCallbacks})
	recorded := 0
	prepare := func() (string, store.Destination) {
		recorded++
		id, of := fmt.Sprint(recorded), number(recorded)
		require.NoError(t, other.Record(t.Context(), delivered(id, of)))
		require.NoError(t, other.Record(t.Context(), says(t, id, of, 1)))
		destinations, err := other.Destinations(t.Context())
		require.NoError(t, err)
		var app store.Destination
		if len(destinations) > 0 {
			app = destinations[0]
		}
		put := store.DeferredEvent{ID: app.LastID + 1, Since: epoch}
		put.Event = store.Event{Type: store.RecipientStatus, At: epoch, Plan: "plan", BatchID: id, Number: of}
		c := store.DestinationChange{Epoch: app.Epoch, Cursor: app.Cursor, Put: []store.DeferredEvent{put}}
		app.Epoch, err = other.SaveDestination(t.Context(), "app", c)
		require.NoError(t, err)
		return of, app
	}
	finished := 0
	check := func(of string, before store.Destination) {
		_, err := s.Erase(t.Context(), of)
		if err == nil {
			finished++
		} else {
			require.NotContains(t, err.Error(), of)
			_, err = other.Erase(t.Context(), of)
			require.NoError(t, err)
		}
		require.Empty(t, columnsWith(t, direct, of))
		destinations, err := other.Destinations(t.Context())
		require.NoError(t, err)
		require.GreaterOrEqual(t, destinations[0].Epoch, before.Epoch+2, "once for the log, once for the deferred event")
		require.GreaterOrEqual(t, destinations[0].LastID, before.LastID+2)
	}
	stride := 4 // every call searches all tables
	if long() {
		stride = 1
	}
	erase := func() { check(prepare()) }
	erase()
	for direction, total := range p.measure(erase) {
		cuts := cutPoints(total)
		for i := 0; i < len(cuts); i += stride {
			k := cuts[i]
			of, app := prepare()
			p.closeWithNextCut() // otherwise Erase would connect again and continue
			p.cutAfter(direction, k)
			check(of, app)
			p.refuse(false)
		}
	}
	t.Logf("%d of %d calls returned no error", finished, recorded)
	require.Less(t, finished, recorded)
	stats, err := other.Stats(t.Context())
	require.NoError(t, err)
	require.Zero(t, stats[0].Feedback)
	require.Equal(t, recorded, stats[0].Recipients)
}

// TestErasesOfTwoNumbers erases two numbers, which occur in the same rows, on two replicas at the same time. Neither
// call may write back what the other has erased.
func TestErasesOfTwoNumbers(t *testing.T) {
	t.Parallel()
	eachDialect(t, func(t *testing.T, d pgstore.Dialect, address string) {
		c := pgstore.Config{URL: address, Dialect: d, Policies: withCallbacks}
		all := []*pgstore.Store{newStore(t, c), newStore(t, c)}
		for n := range 40 {
			both := fmt.Sprintf(`{"%s": "%s", "n": %d}`, number(1), number(2), n)
			id := fmt.Sprint(n % 4)
			for _, e := range []store.Entry{
				delivered(id, number(1)).Entry, delivered(id, number(2)).Entry,
				store.Quarantined{Reason: dlr.NotJSON, Raw: []byte(both)},
			} {
				require.NoError(t, all[n%2].Record(t.Context(), arrives(e)))
			}
			report := says(t, id, number(100+n), 1)
			r := report.Entry.(store.Report)
			r.Raw = []byte(both)
			report.Entry = r
			require.NoError(t, all[n%2].Record(t.Context(), report))
		}
		var put []store.DeferredEvent
		for n := range 40 {
			e := store.Event{
				Type: store.FeedbackGivenUp, At: epoch, Plan: "plan", BatchID: "1", Recipients: []string{number(1), number(2)},
			}
			put = append(put, store.DeferredEvent{ID: int64(n + 1), Since: epoch, Event: e})
		}
		_, err := all[0].SaveDestination(t.Context(), "app", store.DestinationChange{Put: put})
		require.NoError(t, err)
		var g errgroup.Group
		counts := make([]store.Erased, 2)
		for i, s := range all {
			g.Go(func() (err error) {
				counts[i], err = s.Erase(t.Context(), number(i+1))
				return err
			})
		}
		require.NoError(t, g.Wait())
		require.Empty(t, columnsWith(t, address, number(1)))
		require.Empty(t, columnsWith(t, address, number(2)))
		require.Equal(t, counts[0], counts[1])
		require.Equal(t, 4, counts[0].Recipients)
		require.Equal(t, 40, counts[0].Quarantined)
		require.Equal(t, 4+40, counts[0].Reports)
	})
}

// TestErasesOfTwoNumbersInOneRow makes both calls read a row before one of them writes it.
func TestErasesOfTwoNumbersInOneRow(t *testing.T) {
	t.Parallel()
	both := fmt.Appendf(nil, `["%s", "%s"]`, number(1), number(2))
	given := store.Event{
		Type: store.FeedbackGivenUp, At: epoch, Plan: "plan", BatchID: "1", Recipients: []string{number(1), number(2)},
	}
	full := delivered("1", number(1))
	report := full.Entry.(store.Report)
	report.Entries[0].Recipients, report.Raw = given.Recipients, both
	report.Type = dlr.BatchSMS
	full.Entry = report
	for table, arrival := range map[string]store.Arrival{
		"report_log": full, "event_log": full, "quarantine": arrives(store.Quarantined{Reason: dlr.NotJSON, Raw: both}),
		"deferred_event": full,
	} {
		t.Run(table, func(t *testing.T) {
			t.Parallel()
			address := postgres.Database(t)
			c := pgstore.Config{URL: address, Policies: withEvents}
			all := []*pgstore.Store{newStore(t, c), newStore(t, c)}
			require.NoError(t, all[0].Record(t.Context(), arrival))
			put := store.DestinationChange{Put: []store.DeferredEvent{{ID: 1, Since: epoch, Event: given}}}
			_, err := all[0].SaveDestination(t.Context(), "app", put)
			require.NoError(t, err)

			locking, err := pgx.Connect(t.Context(), address)
			require.NoError(t, err)
			defer func() { require.NoError(t, locking.Close(context.WithoutCancel(t.Context()))) }()
			_, err = locking.Exec(t.Context(), `BEGIN; SELECT * FROM `+table+` FOR UPDATE`)
			require.NoError(t, err)
			var g errgroup.Group
			for i, s := range all {
				g.Go(func() error {
					_, err := s.Erase(t.Context(), number(i+1))
					return err
				})
			}
			require.Eventually(t, func() bool {
				return queryOne[int](t, address, `SELECT count(*) FROM pg_stat_activity
					WHERE datname = current_database() AND wait_event_type = 'Lock'`) == 2
			}, timeout, 10*time.Millisecond)
			_, err = locking.Exec(t.Context(), `ROLLBACK`)
			require.NoError(t, err)
			require.NoError(t, g.Wait())
			require.Empty(t, columnsWith(t, address, number(1)))
			require.Empty(t, columnsWith(t, address, number(2)))
		})
	}
}

// TestEraseDuringReports erases a number while its reports arrive. The last call must find all that the calls before it
// have left: no report may remain in the log of a batch whose recipient has a name already.
func TestEraseDuringReports(t *testing.T) {
	t.Parallel()
	eachDialect(t, func(t *testing.T, d pgstore.Dialect, address string) {
		c := pgstore.Config{URL: address, Dialect: d, Policies: withCallbacks}
		s, other := newStore(t, c), newStore(t, c)
		var reports, erases errgroup.Group
		recorded := make(chan struct{})
		for worker := range 4 {
			reports.Go(func() error {
				for i := range 60 {
					if err := s.Record(t.Context(), says(t, fmt.Sprint(i), number(1), worker%3)); err != nil {
						return err
					}
				}
				return nil
			})
		}
		erases.Go(func() error {
			for {
				if _, err := other.Erase(t.Context(), number(1)); err != nil {
					return err
				}
				select {
				case <-recorded:
					return nil
				default:
				}
			}
		})
		require.NoError(t, reports.Wait())
		close(recorded)
		require.NoError(t, erases.Wait())
		erase(t, other, address, number(1))
	})
}

// TestReadersDuringErase follows the event log while Erase rewrites its rows.
func TestReadersDuringErase(t *testing.T) {
	t.Parallel()
	s := newStore(t, pgstore.Config{URL: postgres.Database(t), Policies: withEvents})
	const n = 60
	recordFrom(t, s, 0, n)
	ctx, stop := context.WithCancel(t.Context())
	var g errgroup.Group
	for range 4 {
		g.Go(func() error {
			for ctx.Err() == nil {
				page, err := s.Events(context.WithoutCancel(ctx), "", n)
				if err == nil && len(page.Events) != n {
					err = fmt.Errorf("%d events", len(page.Events))
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	for i := range n {
		erased, err := s.Erase(t.Context(), number(i))
		require.NoError(t, err)
		require.Equal(t, store.Erased{Recipients: 1, Reports: 1, Events: 1}, erased)
	}
	stop()
	require.NoError(t, g.Wait())
}

// TestEraseDuringRetention erases a number of batches that are recorded and deleted all the time.
func TestEraseDuringRetention(t *testing.T) {
	t.Parallel()
	address := postgres.Database(t)
	policy := func(string) store.Policy { return store.Policy{On: store.OnOff, Events: true} }
	c := pgstore.Config{URL: address, Policies: policy}
	s, other := newStore(t, c), newStore(t, c)
	var g errgroup.Group
	for worker := range 4 {
		g.Go(func() error {
			for i := range 20 {
				_, _, expireErr := s.DeleteOlder(t.Context(), epoch.Add(time.Hour), 3)
				_, eraseErr := other.Erase(t.Context(), number(worker%2))
				err := errors.Join(s.Record(t.Context(), delivered(fmt.Sprint(i%3), number(worker%2))), expireErr, eraseErr)
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, g.Wait())
	erase(t, s, address, number(0))
	erase(t, s, address, number(1))
}

// TestEraseDeletesHiddenBatches finds a batch whose deletion was interrupted, after that of its recipient.
func TestEraseDeletesHiddenBatches(t *testing.T) {
	t.Parallel()
	address := postgres.Database(t)
	s := newStore(t, pgstore.Config{URL: address})
	require.NoError(t, s.Record(t.Context(), delivered("deleted", number(1))))
	require.NoError(t, s.Record(t.Context(), delivered("hidden", number(1))))
	execute(t, address, `UPDATE batch SET gone = true, first_at = NULL, row = NULL`)
	execute(t, address, `DELETE FROM recipient WHERE batch_id = 'deleted'`)
	require.Zero(t, erase(t, s, address, number(1)))
	require.Zero(t, queryOne[int](t, address, `SELECT count(*) FROM batch`))
}

func TestEraseThatFails(t *testing.T) {
	t.Parallel()
	address := postgres.Database(t)
	var observed failureLog
	s := newStore(t, pgstore.Config{URL: address, Observer: observed.observer(), Policies: withEvents})
	require.NoError(t, s.Record(t.Context(), delivered("batch", number(1))))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	erased, err := s.Erase(ctx, number(1))
	require.ErrorIs(t, err, context.Canceled)
	require.Zero(t, erased)
	require.Empty(t, observed.all("erase"))

	execute(t, address, `ALTER TABLE event_log ADD CHECK (size < 0) NOT VALID`)
	erased, err = s.Erase(t.Context(), number(1))
	require.ErrorContains(t, err, "23514")
	require.NotContains(t, err.Error(), number(1))
	require.Equal(t, store.Erased{Recipients: 1, Reports: 1}, erased, "what was done")
	require.Len(t, observed.all("erase"), 1)
	require.Empty(t, observed.all("read"))

	execute(t, address, `ALTER TABLE event_log DROP CONSTRAINT event_log_size_check`)
	require.Equal(t, store.Erased{Events: 1}, erase(t, s, address, number(1)))
	require.NoError(t, s.Close())
	_, err = s.Erase(t.Context(), number(1))
	require.ErrorIs(t, err, store.ErrClosed)
}
