package pgstore_test

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/pgstore"
)

// TestEventsAfterALongGap removes more rows of a stream than a reader reads at once, like a failover to a standby that
// lagged behind.
func TestEventsAfterALongGap(t *testing.T) {
	t.Parallel()
	eachDialect(t, func(t *testing.T, d pgstore.Dialect, address string) {
		s := newStore(t, pgstore.Config{URL: address, Lanes: 1, Dialect: d, Policies: withEvents})
		recordFrom(t, s, 0, 60)
		execute(t, address, `DELETE FROM event_log WHERE seq BETWEEN 4 AND 50`)
		numbers, end := feed(t, s, "")
		require.Equal(t, []string{number(0), number(1), number(2)}, numbers[:3])
		requireNumbers(t, 50, 60, numbers[3:])
		backlog, err := s.EventBacklog(t.Context(), end)
		require.NoError(t, err)
		require.Zero(t, backlog)

		require.NoError(t, s.TrimEvents(t.Context(), epoch.Add(time.Hour)))
		require.Zero(t, queryOne[int](t, address, `SELECT count(*) FROM event_log`))
	})
}

// TestAGapDelaysNoStreamForLong reads a stream with a gap while events of another stream arrive all the time.
func TestAGapDelaysNoStreamForLong(t *testing.T) {
	t.Parallel()
	address := postgres.Database(t)
	c := pgstore.Config{URL: address, Lanes: 1, Policies: withEvents}
	s, other := newStore(t, c), newStore(t, c)
	recordFrom(t, s, 0, 3)
	execute(t, address, `DELETE FROM event_log WHERE seq = 2`)
	var numbers []string
	cursor := ""
	for n := range 5 {
		require.NoError(t, other.Record(t.Context(), delivered("another batch", number(100+n))))
		page, err := other.Events(t.Context(), cursor, 10)
		require.NoError(t, err)
		require.NotEmpty(t, page.Events)
		for _, e := range page.Events {
			numbers = append(numbers, e.Number)
		}
		cursor = page.Next
	}
	require.Contains(t, numbers, number(2))
	require.NotContains(t, numbers, number(1))
	require.Len(t, numbers, 7)
}

// TestStreamIsNotUsedAfterItsDeletion lets a replica come back after the others took it for gone and deleted its
// stream.
func TestStreamIsNotUsedAfterItsDeletion(t *testing.T) {
	t.Parallel()
	address := postgres.Database(t)
	c := pgstore.Config{URL: address, Lanes: 1, Policies: withEvents}
	s, reader := newStore(t, c), newStore(t, c)
	recordFrom(t, s, 0, 30)
	_, end := feed(t, reader, "")
	require.NoError(t, reader.TrimEvents(t.Context(), epoch.Add(time.Hour)))
	execute(t, address, `INSERT INTO event_stream (id, token, home, trimmed, trimmed_total)
		SELECT 0, '', -1, 0, trimmed_total FROM event_stream`)
	execute(t, address, `DELETE FROM event_stream WHERE id <> 0`)
	execute(t, address, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE datname = current_database() AND pid <> pg_backend_pid()`)
	recordFrom(t, s, 30, 33)
	numbers, end := feed(t, s, end)
	requireNumbers(t, 30, 33, numbers)
	backlog, err := s.EventBacklog(t.Context(), end)
	require.NoError(t, err)
	require.Zero(t, backlog)
}

// TestForgedEventCursor gives the store a cursor with a place that no row has.
func TestForgedEventCursor(t *testing.T) {
	t.Parallel()
	s := newStore(t, pgstore.Config{URL: postgres.Database(t), Lanes: 1, Policies: withEvents})
	recordFrom(t, s, 0, 3)
	begin, err := s.Events(t.Context(), "", 0)
	require.NoError(t, err)
	b, err := base64.RawURLEncoding.DecodeString(begin.Next)
	require.NoError(t, err)
	for _, offset := range []uint64{10, math.MaxInt32 + 1, math.MaxInt64, math.MaxUint64} {
		forged := binary.AppendUvarint(b[:len(b)-2:len(b)-2], offset) // before: offset 0 and total 0
		forged = append(forged, 0)
		page, err := s.Events(t.Context(), base64.RawURLEncoding.EncodeToString(forged), 10)
		if err != nil {
			require.ErrorIs(t, err, store.ErrCursor)
			continue
		}
		require.Len(t, page.Events, 2)
	}
}
