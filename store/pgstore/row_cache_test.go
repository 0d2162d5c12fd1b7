package pgstore_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/pgstore"
)

// A replica has a batch in its row cache that another replica deleted. The next report must create the batch again.
func TestBatchDeletedByAnotherReplica(t *testing.T) {
	t.Parallel()
	off := func(string) store.Policy { return store.Policy{On: store.OnOff} }
	url := postgres.Database(t)
	c := pgstore.Config{URL: url, Policies: off}
	one, other := newStore(t, c), newStore(t, c)
	for range 2 {
		require.NoError(t, one.Record(t.Context(), delivered("batch", number(1))))
		require.NoError(t, one.Record(t.Context(), delivered("batch", number(2))))
		b, err := one.Batch(t.Context(), key("batch"))
		require.NoError(t, err)
		require.Equal(t, 2, b.States["Delivered"])
		expired, _, err := other.DeleteOlder(t.Context(), epoch.AddDate(0, 0, 1), 10)
		require.NoError(t, err)
		require.Equal(t, 1, expired)
	}
}
