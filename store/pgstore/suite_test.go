package pgstore_test

import (
	"context"
	"flag"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/pgstore"
	"github.com/dlrloop/dlrloop/store/pgstore/pgtest"
	"github.com/dlrloop/dlrloop/store/storetest"
)

var postgres = pgtest.Shared{Config: pgtest.Config{Prepare: makeSchema}}

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "6"); err != nil { // many tests mostly wait
		panic(err)
	}
	os.Exit(postgres.Run(m))
}

// slots is the number of slots of the test databases: several, but far fewer than by default, because reads over all
// slots cost that much more with Portable.
const slots = 5

// long reports whether the long form of the tests runs.
func long() bool { return os.Getenv("DLRLOOP_LONG") != "" }

func makeSchema(ctx context.Context, url string) error {
	_, _, err := pgstore.Migrate(ctx, pgstore.Config{URL: url, Slots: slots}, false)
	return err
}

// TestStore runs the whole suite. Two parts run only in the long form: the dialect Citus, whose statements are those
// of Portable except for the claim, and three quarters of the random histories, because each takes hundreds of
// transactions and boltstore runs all of them.
func TestStore(t *testing.T) {
	t.Parallel()
	dialects := []pgstore.Dialect{pgstore.Postgres, pgstore.Portable}
	if long() {
		dialects = append(dialects, pgstore.Citus)
	} else { // no other test with random input runs in parallel
		checks := flag.Lookup("rapid.checks").Value.String()
		require.NoError(t, flag.Set("rapid.checks", "25"))
		t.Cleanup(func() { require.NoError(t, flag.Set("rapid.checks", checks)) })
	}
	for _, d := range dialects {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			w := newRecorder()
			t.Cleanup(func() { checkStatements(t, w, d) })
			place := func(t *testing.T) storetest.Place { return newPlace(t, w, d) }
			storetest.Run(t, place)
			storetest.RunCluster(t, place)
		})
	}
}

// newPlace creates a database for the dialect: for Citus with stand-ins for its functions, for Portable with
// serializable transactions.
func newPlace(t *testing.T, w *recorder, d pgstore.Dialect) storetest.Place {
	address := postgres.Database(t)
	switch d {
	case pgstore.Citus:
		installCitusStandIns(t, address)
	case pgstore.Portable:
		address = with(t, address, "default_transaction_isolation", "serializable")
	}
	address = w.intercept(t, address)
	return func(t *testing.T, c storetest.Config) store.Store {
		t.Helper()
		s, err := pgstore.Open(t.Context(), pgstore.Config{
			URL: address, Dialect: d, Policies: c.Policies, Observer: c.Observer, QuarantineEntries: c.QuarantineEntries,
		})
		require.NoError(t, err)
		return s
	}
}

// with returns the URL with a parameter added.
func with(t *testing.T, address, setting, value string) string {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	q := u.Query()
	q.Set(setting, value)
	u.RawQuery = strings.ReplaceAll(q.Encode(), "+", "%20") // pgx does not decode a plus as a space
	return u.String()
}
