package pgstore_test

import (
	"context"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/pgstore"
	"github.com/dlrloop/dlrloop/store/pgstore/pgtest"
	"github.com/dlrloop/dlrloop/store/storetest"
)

var postgres = pgtest.Shared{Config: pgtest.Config{Prepare: makeSchema}}

func TestMain(m *testing.M) { os.Exit(postgres.Run(m)) }

func makeSchema(ctx context.Context, url string) error {
	s, err := pgstore.Open(ctx, pgstore.Config{URL: url})
	if err != nil {
		return err
	}
	return s.Close()
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Place {
		url := postgres.Database(t)
		return func(t *testing.T, c storetest.Config) store.Store {
			t.Helper()
			s, err := pgstore.Open(t.Context(), pgstore.Config{
				URL: url, Policies: c.Policies, Observer: c.Observer, QuarantineEntries: c.QuarantineEntries,
			})
			require.NoError(t, err)
			return s
		}
	})
}
