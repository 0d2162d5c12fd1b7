package pgstore_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

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
