package pgstore_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/pgstore"
)

// installCitusStandIns installs the stand-ins for Citus in a database and distributes the tables.
func installCitusStandIns(t *testing.T, url string) {
	t.Helper()
	statements, err := os.ReadFile("testdata/citus_stand_ins.sql")
	require.NoError(t, err)
	execute(t, url, string(statements))
	_, _, err = pgstore.Migrate(t.Context(), pgstore.Config{URL: url, Dialect: pgstore.Citus}, true)
	require.NoError(t, err)
}

func TestUnknownDialect(t *testing.T) {
	_, err := pgstore.Open(t.Context(), pgstore.Config{URL: "postgres://127.0.0.1:1/none", Dialect: "oracle"})
	require.EqualError(t, err, `open store: dialect: "oracle" is not a valid value; use postgres, citus or portable`)
}

// TestConcurrentClaims checks that two replicas that claim concurrently claim each task once.
func TestConcurrentClaims(t *testing.T) {
	t.Parallel()
	for name, isolation := range map[string]string{"read committed": "read committed", "serializable": "serializable"} {
		t.Run(name, func(t *testing.T) {
			const batches = 60
			url := with(t, postgres.Database(t), "default_transaction_isolation", isolation)
			one := newStore(t, pgstore.Config{URL: url, Dialect: pgstore.Portable})
			other := newStore(t, pgstore.Config{URL: url, Dialect: pgstore.Portable})
			for i := range batches {
				require.NoError(t, one.Record(t.Context(), delivered(fmt.Sprint(i), number(i))))
			}
			var (
				mu      sync.Mutex
				claimed = make(map[string]int)
				g       errgroup.Group
			)
			for _, s := range []*pgstore.Store{one, other, one, other} {
				g.Go(func() error {
					for {
						claims, err := s.Claim(t.Context(), "plan", epoch, time.Minute, 10)
						if err != nil || len(claims) == 0 {
							return err
						}
						mu.Lock()
						for _, c := range claims {
							claimed[c.Key.BatchID]++
						}
						mu.Unlock()
					}
				})
			}
			require.NoError(t, g.Wait())
			rest, err := one.Claim(t.Context(), "plan", epoch, time.Minute, batches)
			require.NoError(t, err)
			for _, c := range rest {
				claimed[c.Key.BatchID]++
			}
			require.Len(t, claimed, batches)
			for id, n := range claimed {
				require.Equal(t, 1, n, id)
			}
		})
	}
}

// TestQuarantineBoundsCoverAllSlots fills the quarantine from many plans, whose entries are in different slots.
func TestQuarantineBoundsCoverAllSlots(t *testing.T) {
	t.Parallel()
	for _, d := range []pgstore.Dialect{pgstore.Postgres, pgstore.Portable} {
		t.Run(string(d), func(t *testing.T) {
			const most, size, all = 32, 100, 90
			var evicted atomic.Int64
			s := newStore(t, pgstore.Config{
				URL: postgres.Database(t), Dialect: d, QuarantineEntries: 1000, QuarantineBytes: most * size,
				Observer: store.Observer{Evicted: func(n int) { evicted.Add(int64(n)) }},
			})
			for i := range all {
				entry := store.Quarantined{Reason: dlr.NotJSON, Raw: fmt.Appendf(nil, "%0*d", size, i)}
				at := epoch.Add(time.Duration(i) * time.Second)
				require.NoError(t, s.Record(t.Context(), store.Arrival{Plan: fmt.Sprint("plan ", i%7), At: at, Entry: entry}))
				require.EventuallyWithT(t, func(t *assert.CollectT) {
					page, err := s.Quarantine(context.Background(), store.Paging{})
					require.NoError(t, err)
					require.LessOrEqual(t, len(page.Items), most)
					require.GreaterOrEqual(t, len(page.Items), min(i+1, most-most/8),
						"only the necessary entries and a few more may be evicted")
					for n, e := range page.Items {
						require.Equal(t, fmt.Sprintf("%0*d", size, i-n), string(e.Raw), "the newest entries must remain")
					}
					require.Equal(t, int64(i+1-len(page.Items)), evicted.Load())
				}, timeout, 10*time.Millisecond)
			}
		})
	}
}

func TestEveryTableIsDistributedOnce(t *testing.T) {
	t.Parallel()
	url := postgres.Database(t)
	installCitusStandIns(t, url)
	_, _, err := pgstore.Migrate(t.Context(), pgstore.Config{URL: url, Dialect: pgstore.Citus}, true)
	require.NoError(t, err, "distributing again must skip distributed tables")
	slotted := `SELECT table_name FROM information_schema.columns WHERE table_schema = 'public' AND column_name = 'slot'`
	others := `SELECT table_name FROM information_schema.tables
		WHERE table_schema = 'public' AND table_name NOT LIKE 'goose%' AND table_name <> 'pg_dist_partition' EXCEPT ` + slotted
	distributed := `SELECT logicalrelid::text AS table_name FROM pg_dist_partition WHERE distributed_by `
	list := func(tables string) string {
		return queryOne[string](t, url,
			`SELECT coalesce(string_agg(table_name::text, ' ' ORDER BY table_name::text), '') FROM (`+tables+`) t`)
	}
	require.NotEmpty(t, list(slotted))
	require.Equal(t, list(slotted), list(distributed+`= 'slot'`))
	require.Equal(t, list(others), list(distributed+`IS NULL`))
	require.Equal(t, "batch", list(distributed+`= 'slot' AND colocated_with IS NULL`))
}

func TestDeployedCitusScriptIsCurrent(t *testing.T) {
	embedded, err := os.ReadFile("citus.sql")
	require.NoError(t, err)
	if os.Getenv("DLRLOOP_UPDATE") != "" {
		require.NoError(t, os.WriteFile("../../deploy/citus.sql", embedded, 0o644))
	}
	deployed, err := os.ReadFile("../../deploy/citus.sql")
	require.NoError(t, err)
	require.True(t, slices.Equal(embedded, deployed),
		"the copies differ; run: DLRLOOP_UPDATE=1 go test ./store/pgstore -run CitusScript")
}
