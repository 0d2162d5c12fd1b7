package pgstore_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/copying"
	"github.com/dlrloop/dlrloop/store/pgstore"
)

// feed reads all events after a cursor. It returns the numbers of the recipients, in order, and the last cursor.
func feed(t *testing.T, s *pgstore.Store, cursor string) (numbers []string, next string) {
	t.Helper()
	for {
		page, err := s.Events(t.Context(), cursor, 7)
		require.NoError(t, err)
		if cursor = page.Next; len(page.Events) == 0 {
			return numbers, cursor
		}
		for _, e := range page.Events {
			numbers = append(numbers, e.Number)
		}
	}
}

// recordFrom records a report for each of the numbers from <= n < to, one after the other.
func recordFrom(t *testing.T, s *pgstore.Store, from, to int) {
	t.Helper()
	for n := from; n < to; n++ {
		require.NoError(t, s.Record(t.Context(), delivered("batch", number(n))))
	}
}

// requireNumbers requires the events of the recipients from <= n < to, in this order.
func requireNumbers(t *testing.T, from, to int, got []string) {
	t.Helper()
	var want []string
	for n := from; n < to; n++ {
		want = append(want, number(n))
	}
	require.Equal(t, want, got)
}

// TestEventsAfterLostConnections cuts the connection at many points of a commit, also before the server receives COMMIT
// and after it has answered. Each event must be stored once, and the rows of the stream must have no gap.
func TestEventsAfterLostConnections(t *testing.T) {
	t.Parallel()
	direct := postgres.Database(t)
	p, address := newProxy(t, direct)
	s := newStore(t, pgstore.Config{URL: address + steady, Lanes: 1, Policies: withEvents})
	recorded := 0
	record := func() {
		recordFrom(t, s, recorded, recorded+1)
		recorded++
	}
	record()
	for direction, total := range p.measure(record) {
		for _, k := range cutPoints(total) {
			p.cutAfter(direction, k)
			cuts := p.timesCut()
			for p.timesCut() == cuts {
				record()
			}
		}
	}
	for range 20 {
		p.loseAnswer()
		record()
	}
	reader := newStore(t, pgstore.Config{URL: direct})
	numbers, end := feed(t, reader, "")
	requireNumbers(t, 0, recorded, numbers)
	require.Equal(t, 1, queryOne[int](t, direct, `SELECT count(*) FROM event_stream`))
	require.Equal(t, queryOne[int](t, direct, `SELECT max(seq)::int FROM event_log`),
		queryOne[int](t, direct, `SELECT count(*) FROM event_log`), "the stream has a gap")
	require.Equal(t, recorded, queryOne[int](t, direct, `SELECT sum(events)::int FROM event_log`))
	require.Equal(t, recorded, queryOne[int](t, direct, `SELECT max(total)::int FROM event_log`))
	t.Logf("%d of %d rows are empty",
		queryOne[int](t, direct, `SELECT count(*) FROM event_log WHERE events = 0`), recorded)
	require.Positive(t, queryOne[int](t, direct, `SELECT count(*) FROM event_log WHERE events = 0`))

	require.NoError(t, reader.TrimEvents(t.Context(), epoch.Add(time.Hour)))
	require.Zero(t, queryOne[int](t, direct, `SELECT count(*) FROM event_log`))
	record()
	numbers, _ = feed(t, reader, end)
	requireNumbers(t, recorded-1, recorded, numbers)
}

// TestEventsAfterFailoverWithLoss removes rows like a failover to a standby that had not received them.
func TestEventsAfterFailoverWithLoss(t *testing.T) {
	t.Parallel()
	address := postgres.Database(t)
	s := newStore(t, pgstore.Config{URL: address, Lanes: 1, Policies: withEvents})
	disconnect := func() {
		execute(t, address, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid()`)
	}
	recordFrom(t, s, 0, 6)
	execute(t, address, `DELETE FROM event_log WHERE seq IN (5, 6)`)
	disconnect()
	recordFrom(t, s, 6, 8)
	numbers, _ := feed(t, s, "")
	require.Equal(t, []string{number(0), number(1), number(2), number(3), number(6), number(7)}, numbers)

	execute(t, address, `TRUNCATE event_log, event_stream`)
	disconnect()
	recordFrom(t, s, 8, 10)
	numbers, _ = feed(t, s, "")
	requireNumbers(t, 8, 10, numbers)

	// The row that the lane appends next exists already.
	execute(t, address, `INSERT INTO event_log (slot, stream, seq, newest, events, total, size, row)
		SELECT slot, stream, max(seq) + 1, max(newest), 0, max(total), 0, '' FROM event_log GROUP BY slot, stream`)
	recordFrom(t, s, 10, 12)
	numbers, _ = feed(t, s, "")
	requireNumbers(t, 8, 12, numbers)
	require.Equal(t, 2, queryOne[int](t, address, `SELECT count(*) FROM event_stream`))
	require.Equal(t, 1, queryOne[int](t, address, `SELECT count(*) FROM event_stream WHERE token = ''`))

	require.NoError(t, s.TrimEvents(t.Context(), epoch.Add(time.Hour)))
	require.Zero(t, queryOne[int](t, address, `SELECT count(*) FROM event_log`))
}

// TestInterruptedTrimIsCompleted finds rows that a trim has left, and then trims more rows than one transaction does.
func TestInterruptedTrimIsCompleted(t *testing.T) {
	t.Parallel()
	address := postgres.Database(t)
	s := newStore(t, pgstore.Config{URL: address, Lanes: 1, Policies: withEvents})
	recordFrom(t, s, 0, 5)
	execute(t, address, `UPDATE event_stream SET trimmed = 2, trimmed_total = 2`)
	numbers, _ := feed(t, s, "")
	requireNumbers(t, 2, 5, numbers)
	require.NoError(t, s.TrimEvents(t.Context(), epoch))
	require.Equal(t, 3, queryOne[int](t, address, `SELECT count(*) FROM event_log`))
	numbers, end := feed(t, s, "")
	requireNumbers(t, 2, 5, numbers)

	execute(t, address, `INSERT INTO event_log (slot, stream, seq, newest, events, total, size, row)
		SELECT slot, stream, n, newest, 0, total, 0, '' FROM event_log, generate_series(6, 1000) n WHERE seq = 5`)
	numbers, _ = feed(t, s, end)
	require.Empty(t, numbers)
	require.NoError(t, s.TrimEvents(t.Context(), epoch.Add(time.Second)))
	require.Zero(t, queryOne[int](t, address, `SELECT count(*) FROM event_log`))
	require.Equal(t, 1000, queryOne[int](t, address, `SELECT trimmed::int FROM event_stream`))
	numbers, _ = feed(t, s, end)
	require.Empty(t, numbers, "only empty rows follow, so the cursor is valid")
}

// TestStreamOfStoppedReplicaIsDeleted deletes all events of a replica that was closed, and then its stream.
func TestStreamOfStoppedReplicaIsDeleted(t *testing.T) {
	t.Parallel()
	eachDialect(t, func(t *testing.T, d pgstore.Dialect, address string) {
		c := pgstore.Config{URL: address, Dialect: d, Policies: withEvents}
		stopped, s := newStore(t, c), newStore(t, c)
		recordFrom(t, stopped, 0, 3)
		page, err := s.Events(t.Context(), "", 2)
		require.NoError(t, err)
		_, end := feed(t, s, page.Next)
		trim := func() {
			require.NoError(t, s.TrimEvents(t.Context(), epoch.Add(time.Hour)))
		}
		streams := func() int {
			return queryOne[int](t, address, `SELECT count(*) FROM event_stream WHERE id <> 0`)
		}
		trim()
		s.DropIdleStreamsAfter(time.Nanosecond)
		trim()
		trim()
		require.Equal(t, 1, streams(), "its replica is alive")
		require.NoError(t, stopped.Close())
		s.DropIdleStreamsAfter(time.Hour)
		trim()
		trim()
		require.Equal(t, 1, streams(), "a transaction of the replica may still be running")
		s.DropIdleStreamsAfter(time.Nanosecond)
		trim()
		require.Zero(t, streams())

		numbers, _ := feed(t, s, end)
		require.Empty(t, numbers)
		recordFrom(t, s, 3, 5)
		numbers, after := feed(t, s, end)
		requireNumbers(t, 3, 5, numbers)
		require.Less(t, len(after), len(end)+10, "the cursor must not name the deleted stream")
		var gone *store.CursorGoneError
		_, err = s.Events(t.Context(), page.Next, 10)
		require.ErrorAs(t, err, &gone, "its last event was deleted")
		numbers, _ = feed(t, s, gone.Oldest)
		requireNumbers(t, 3, 5, numbers)
	})
}

// TestEpochRisesAfterADestinationIsDeleted lets a change of a deleted destination come late.
func TestEpochRisesAfterADestinationIsDeleted(t *testing.T) {
	t.Parallel()
	s := newStore(t, pgstore.Config{URL: postgres.Database(t)})
	first, err := s.SaveDestination(t.Context(), "app", store.DestinationChange{})
	require.NoError(t, err)
	require.NoError(t, s.DeleteDestination(t.Context(), "app"))
	_, err = s.SaveDestination(t.Context(), "app", store.DestinationChange{Epoch: first})
	require.ErrorIs(t, err, store.ErrConflict)
	again, err := s.SaveDestination(t.Context(), "app", store.DestinationChange{})
	require.NoError(t, err)
	require.Greater(t, again, first)
	_, err = s.SaveDestination(t.Context(), "app", store.DestinationChange{Epoch: first})
	require.ErrorIs(t, err, store.ErrConflict)
}

// TestSourceRefusesUndeliveredEvents copies a database of which a destination has not received all events.
func TestSourceRefusesUndeliveredEvents(t *testing.T) {
	t.Parallel()
	c := pgstore.Config{URL: postgres.Database(t), Policies: withEvents}
	s := newStore(t, c)
	begin, err := s.EventsEnd(t.Context())
	require.NoError(t, err)
	saved, err := s.SaveDestination(t.Context(), "app", store.DestinationChange{Cursor: begin})
	require.NoError(t, err)
	recordFrom(t, s, 0, 3)
	end, err := s.EventsEnd(t.Context())
	require.NoError(t, err)
	require.NoError(t, s.Close())
	_, err = pgstore.OpenSource(t.Context(), c)
	require.ErrorIs(t, err, copying.ErrWaiting)
	require.ErrorContains(t, err, "app (3 waiting, 0 deferred, 0 dead)")

	s = newStore(t, c)
	_, err = s.SaveDestination(t.Context(), "app", store.DestinationChange{Epoch: saved, Cursor: end})
	require.NoError(t, err)
	require.NoError(t, s.Close())
	source, err := pgstore.OpenSource(t.Context(), c)
	require.NoError(t, err)
	require.NoError(t, source.Close())
}

// TestWithoutEventsNoStatementNamesThem records arrivals with the policy off.
func TestWithoutEventsNoStatementNamesThem(t *testing.T) {
	t.Parallel()
	w := newRecorder()
	s := newStore(t, pgstore.Config{URL: w.intercept(t, postgres.Database(t))})
	record(t, s, "batch")
	claims, err := s.Claim(t.Context(), "plan", epoch.Add(time.Hour), time.Minute, 1)
	require.NoError(t, err)
	require.Len(t, claims, 1)
	require.NoError(t, s.Settle(context.WithoutCancel(t.Context()), "plan", epoch, store.Settlement{
		BatchID: "batch", Lease: claims[0].Lease, Recipients: claims[0].Recipients, Outcome: store.OutcomeAccepted,
	}))
	require.NoError(t, s.Close())
	w.mu.Lock()
	defer w.mu.Unlock()
	require.Greater(t, len(w.sent), 10)
	for statement := range w.sent {
		if !strings.Contains(statement, "pg_class") { // the size of all tables
			require.NotContains(t, statement, "event_")
		}
	}
}
