package pgstore_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/pgstore"
)

func TestALeaseHoldsForEveryReplica(t *testing.T) {
	url := postgres.Database(t)
	one, other := newStore(t, pgstore.Config{URL: url}), newStore(t, pgstore.Config{URL: url})
	require.NoError(t, one.Record(t.Context(), delivered("batch", number(1))))
	claim := func(s *pgstore.Store, at time.Time) []store.Claim {
		t.Helper()
		claims, err := s.Claim(t.Context(), "plan", at, time.Minute, 10)
		require.NoError(t, err)
		return claims
	}
	require.Len(t, claim(one, epoch), 1)
	require.Empty(t, claim(other, epoch.Add(time.Minute-time.Millisecond)))
	late := epoch.Add(2 * time.Minute)
	require.Len(t, claim(other, late), 1, "the first did not settle in time")

	require.NoError(t, one.Close())
	require.Empty(t, claim(other, late), "a close gives back only what is its own")
	require.NoError(t, other.Close())
	third := newStore(t, pgstore.Config{URL: url})
	require.Len(t, claim(third, late), 1, "a close gives back what was claimed")
}
