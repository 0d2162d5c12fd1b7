package boltstore_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore"
	"github.com/dlrloop/dlrloop/store/storetest"
)

func TestStore(t *testing.T) { storetest.Run(t, newPlace) }

func newPlace(t *testing.T) storetest.Place {
	t.Helper()
	path := t.TempDir()
	return func(t *testing.T, c storetest.Config) store.Store {
		t.Helper()
		s, err := boltstore.Open(t.Context(), boltstore.Config{
			Path: path, Policies: c.Policies, Observer: c.Observer, QuarantineEntries: c.QuarantineEntries,
			// Small, because the suite opens hundreds of stores and each Open reads all segments.
			Segment: 128 << 10,
		})
		require.NoError(t, err)
		return s
	}
}
