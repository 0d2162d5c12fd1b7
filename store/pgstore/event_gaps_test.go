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
