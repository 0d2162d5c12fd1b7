package pgstore_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/pgstore"
)

// TestABatchThatAnotherReplicaDeleted is taken as new by one that has seen it before.
func TestABatchThatAnotherReplicaDeleted(t *testing.T) {
	t.Parallel()
	off := func(string) store.Policy { return store.Policy{On: store.OnOff} }
	url := postgres.Database(t)
	one, other := newStore(t, pgstore.Config{URL: url, Policies: off}), newStore(t, pgstore.Config{URL: url, Policies: off})
	for range 2 {
		require.NoError(t, one.Record(t.Context(), delivered("batch", number(1))))
		require.NoError(t, one.Record(t.Context(), delivered("batch", number(2))))
		b, err := one.Batch(t.Context(), key("batch"))
		require.NoError(t, err)
		require.Equal(t, 2, b.States["Delivered"])
		expired, _, err := other.Expire(t.Context(), epoch.AddDate(0, 0, 1), 10)
		require.NoError(t, err)
		require.Equal(t, 1, expired)
	}
}
