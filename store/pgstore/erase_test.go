package pgstore_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/klauspost/compress/s2"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/pgstore"
	"github.com/dlrloop/dlrloop/store/storetest"
)

// withCallbacks is a policy with which the event log also holds the callbacks.
func withCallbacks(string) store.Policy { return store.Policy{Events: true, KeepCallbacks: true} }

// columnsWith returns the columns, as table.column, that have the text in a row, also inside of compressed events.
func columnsWith(t *testing.T, address, text string) (columns []string) {
	t.Helper()
	ctx := t.Context()
	c, err := pgx.Connect(ctx, address)
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close(ctx)) }()
	rows, err := c.Query(ctx, `SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'`)
	require.NoError(t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Greater(t, len(tables), 12)
	for _, table := range tables {
		rows, err := c.Query(ctx, `SELECT * FROM `+table)
		require.NoError(t, err)
		for rows.Next() {
			values, err := rows.Values()
			require.NoError(t, err)
			for i, v := range values {
				column := table + "." + rows.FieldDescriptions()[i].Name
				content, isBytes := v.([]byte)
				if !isBytes {
					content = []byte(fmt.Sprint(v))
				}
				if column == "event_log.row" && len(content) > 0 {
					content, err = s2.Decode(nil, content)
					require.NoError(t, err)
				}
				if bytes.Contains(content, []byte(text)) && !slices.Contains(columns, column) {
					columns = append(columns, column)
				}
			}
		}
		require.NoError(t, rows.Err())
	}
	slices.Sort(columns)
	return columns
}

// erase erases a number, which must then be in no row.
func erase(t *testing.T, s *pgstore.Store, address, number string) store.Erased {
	t.Helper()
	erased, err := s.Erase(t.Context(), number)
	require.NoError(t, err)
	require.Empty(t, columnsWith(t, address, number))
	return erased
}

// refused returns a settlement that the feedback for these recipients is dead, with an answer that names them.
func refused(id, lease string, numbers ...string) store.Entry {
	return store.Settlement{
		BatchID: id, Lease: lease, Recipients: numbers, Outcome: store.OutcomeDead, Reason: store.ReasonRejected,
		Detail: "400: unknown: " + strings.Join(numbers, ", "),
	}
}

func TestErasedNumberIsInNoRow(t *testing.T) {
	t.Parallel()
	eachDialect(t, func(t *testing.T, d pgstore.Dialect, address string) {
		s := newStore(t, pgstore.Config{URL: address, Dialect: d, Policies: withCallbacks})
		number, want := storetest.Fill(t, s)
		require.NoError(t, s.Record(t.Context(), delivered("dead", number)))
		require.NoError(t, s.Record(t.Context(), arrives(refused("dead", "", number))))
		want.Recipients, want.Reports, want.Events = want.Recipients+1, want.Reports+1, want.Events+3
		_, err := s.RequeueEvents(t.Context(), "app", epoch)
		require.NoError(t, err)
		local := number[2:] // in every spelling
		require.Equal(t, []string{
			"batch.row", "deferred_event.row", "event_log.row", "inbound.raw", "inbound.receiver", "inbound.sender",
			"quarantine.raw", "recipient.digits", "recipient.row", "report_log.raw",
		}, columnsWith(t, address, local))

		erased, err := s.Erase(t.Context(), number)
		require.NoError(t, err)
		require.Equal(t, want, erased)
		require.Empty(t, columnsWith(t, address, local))
		require.NotEmpty(t, columnsWith(t, address, store.ErasedPrefix))
		require.Zero(t, queryOne[int](t, address, `SELECT count(*) FROM quarantine WHERE size <> octet_length(raw)`))
		require.Zero(t, queryOne[int](t, address, `SELECT count(*) FROM destination d WHERE (deferred, dead) <> (
			SELECT count(*) FILTER (WHERE NOT e.dead), count(*) FILTER (WHERE e.dead) FROM deferred_event e WHERE e.name = d.name)`))
	})
}

// TestErasedRowsOfEventsKeepTheirPlaces compares all columns of event_log but size and row. Two replicas have written
// the events of one batch, so that rows depend on each other.
func TestErasedRowsOfEventsKeepTheirPlaces(t *testing.T) {
	t.Parallel()
	eachDialect(t, func(t *testing.T, d pgstore.Dialect, address string) {
		c := pgstore.Config{URL: address, Dialect: d, Policies: withCallbacks}
		one, other := newStore(t, c), newStore(t, c)
		for n := range 20 {
			require.NoError(t, one.Record(t.Context(), says(t, "batch", number(n), 0)))
			require.NoError(t, other.Record(t.Context(), says(t, "batch", number(n), 1)))
		}
		const places = `SELECT string_agg(concat_ws(' ', slot, stream, seq, newest, events, total, deps), E'\n' ORDER BY stream, seq)
			FROM event_log`
		before, end := queryOne[string](t, address, places), eventsEnd(t, one)
		require.Positive(t, queryOne[int](t, address, `SELECT count(*) FROM event_log WHERE deps IS NOT NULL`))
		require.Equal(t, 4, erase(t, other, address, number(7)).Events)
		require.Equal(t, before, queryOne[string](t, address, places))
		require.Equal(t, end, eventsEnd(t, one))
		numbers, _ := feed(t, one, "")
		require.Len(t, numbers, 80)
		require.NoError(t, one.TrimEvents(t.Context(), epoch.Add(time.Hour)))
		require.Zero(t, queryOne[int](t, address, `SELECT count(*) FROM event_log`))
	})
}

func eventsEnd(t *testing.T, s *pgstore.Store) string {
	t.Helper()
	end, err := s.EventsEnd(t.Context())
	require.NoError(t, err)
	return end
}

// TestErasedNumberDoesNotReturnFromAnotherReplica erases a number whose batch another replica has in its row cache and
// has claimed.
func TestErasedNumberDoesNotReturnFromAnotherReplica(t *testing.T) {
	t.Parallel()
	address := postgres.Database(t)
	c := pgstore.Config{URL: address, Policies: withCallbacks}
	one, other := newStore(t, c), newStore(t, c)
	require.NoError(t, one.Record(t.Context(), delivered("batch", number(1))))
	require.NoError(t, one.Record(t.Context(), delivered("batch", number(2))))
	claims, err := one.Claim(t.Context(), "plan", epoch.Add(time.Hour), time.Minute, 1)
	require.NoError(t, err)
	require.Equal(t, []string{number(1), number(2)}, claims[0].Recipients)

	erase(t, other, address, number(1))
	require.NoError(t, one.Record(t.Context(), delivered("batch", number(3))))
	require.Empty(t, columnsWith(t, address, number(1)))
	accepted := store.Settlement{
		BatchID: "batch", Lease: claims[0].Lease, Recipients: claims[0].Recipients, Outcome: store.OutcomeAccepted,
	}
	require.NoError(t, one.Settle(context.WithoutCancel(t.Context()), "plan", epoch, accepted))
	require.Empty(t, columnsWith(t, address, number(1)))
	b, err := other.Batch(t.Context(), key("batch"))
	require.NoError(t, err)
	require.Equal(t, store.FeedbackCounts{Sent: 1, Owed: 1}, b.Feedback)
	require.Equal(t, map[dlr.Status]int{dlr.Delivered: 3}, b.States)
	page, err := one.Recipients(t.Context(), key("batch"), store.RecipientQuery{})
	require.NoError(t, err)
	require.Len(t, page.Items, 3)
	stats, err := one.Stats(t.Context())
	require.NoError(t, err)
	require.Equal(t, store.Tally{PendingTasks: 1, Owed: 1, Sent: 1}, stats[0].Feedback)
}

// TestEraseFromALongLog erases a number from reports at the beginning, in the middle and at the end of a log that Erase
// reads in several pages, because of the number of reports and because of their size.
func TestEraseFromALongLog(t *testing.T) {
	if testing.Short() {
		t.Skip("it erases in one goroutine")
	}
	t.Parallel()
	address := postgres.Database(t)
	s := newStore(t, pgstore.Config{URL: address, Lanes: 1})
	long := func(n int) store.Arrival {
		a := says(t, "batch", number(n), 1)
		r := a.Entry.(store.Report)
		r.Raw = append(bytes.Repeat([]byte(" "), 3<<20), r.Raw...)
		a.Entry = r
		return a
	}
	require.NoError(t, s.Record(t.Context(), delivered("batch", number(0))))
	for n := range 4 {
		require.NoError(t, s.Record(t.Context(), long(n)))
	}
	execute(t, address, `INSERT INTO report_log (slot, plan, batch_id, chunk, place, received_at, type, source, raw)
		SELECT slot, plan, batch_id, chunk, n, received_at, type, source, CASE WHEN n IN (701, 1500) THEN raw ELSE '{}' END
		FROM report_log, generate_series(1, 1500) n WHERE chunk = 1`)
	execute(t, address, `CREATE SCHEMA before`)
	execute(t, address, `CREATE TABLE before.report_log AS SELECT * FROM report_log`)
	require.Equal(t, store.Erased{Recipients: 1, Reports: 4}, erase(t, s, address, number(0)))
	require.Equal(t, 1505, queryOne[int](t, address, `SELECT count(*) FROM report_log`))
	require.Equal(t, []string{"1 0", "1 701", "1 1500", "2 0"}, queryOne[[]string](t, address, `
		SELECT array_agg(concat(l.chunk, ' ', l.place) ORDER BY l.chunk, l.place)
		FROM report_log l JOIN before.report_log b USING (slot, plan, batch_id, chunk, place) WHERE l.raw <> b.raw`))
}
