package pgstore_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/pgstore"
)

func TestLeaseHoldsForAllReplicas(t *testing.T) {
	t.Parallel()
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
	require.Len(t, claim(other, late), 1, "a task must be due again when its lease ends")

	require.NoError(t, one.Close())
	require.Empty(t, claim(other, late), "Close must not release leases of other replicas")
	require.NoError(t, other.Close())
	third := newStore(t, pgstore.Config{URL: url})
	require.Len(t, claim(third, late), 1, "Close must release the store's own leases")
}

// The first replica settles its claim only after the lease ended and another replica claimed the task.
func TestLateSettlementKeepsNewLease(t *testing.T) {
	t.Parallel()
	for name, late := range map[string]store.Settlement{
		"released": {Outcome: store.OutcomeReleased},
		"retry":    {Outcome: store.OutcomeRetry, Reason: store.ReasonServer, Due: epoch},
		"accepted": {Outcome: store.OutcomeAccepted},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := postgres.Database(t)
			hung, other := newStore(t, pgstore.Config{URL: url}), newStore(t, pgstore.Config{URL: url})
			require.NoError(t, hung.Record(t.Context(), delivered("batch", number(1))))
			claim := func(s *pgstore.Store, at time.Time) []store.Claim {
				t.Helper()
				claims, err := s.Claim(t.Context(), "plan", at, time.Minute, 10)
				require.NoError(t, err)
				return claims
			}
			sent := func() int {
				t.Helper()
				b, err := other.Batch(t.Context(), key("batch"))
				require.NoError(t, err)
				return b.Feedback.Sent
			}
			first := claim(hung, epoch)
			require.Len(t, first, 1)
			at := epoch.Add(2 * time.Minute)
			second := claim(other, at)
			require.Len(t, second, 1)
			require.Equal(t, first[0].Recipients, second[0].Recipients)

			late.BatchID, late.Lease, late.Recipients = "batch", first[0].Lease, first[0].Recipients
			require.NoError(t, hung.Record(t.Context(), arrives(late)))
			require.Empty(t, claim(hung, at), "a late settlement must not end the new lease")
			if late.Outcome == store.OutcomeAccepted {
				require.Equal(t, 1, sent(), "an accepted attempt counts even after its lease ended")
			}
			done := store.Settlement{
				BatchID: "batch", Lease: second[0].Lease, Recipients: second[0].Recipients, Outcome: store.OutcomeAccepted,
			}
			require.NoError(t, other.Record(t.Context(), arrives(done)))
			require.Equal(t, 1, sent())
			require.Empty(t, claim(hung, at.Add(time.Hour)), "no feedback must be left")
		})
	}
}

// Close also releases the lease of a claim whose COMMIT is still running.
func TestCloseReleasesLeaseBeingCommitted(t *testing.T) {
	t.Parallel()
	for _, d := range []pgstore.Dialect{pgstore.Postgres, pgstore.Portable} {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			address := postgres.Database(t)
			p, through := newProxy(t, address)
			s, err := pgstore.Open(t.Context(), pgstore.Config{URL: through + steady, Dialect: d})
			require.NoError(t, err)
			require.NoError(t, s.Record(t.Context(), delivered("batch", number(1))))
			execute(t, address, `CREATE TABLE given (back bool)`)
			execute(t, address, `CREATE FUNCTION give() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
				INSERT INTO given VALUES (true); RETURN NULL; END $$`)
			execute(t, address, `CREATE TRIGGER give AFTER UPDATE ON batch FOR EACH STATEMENT EXECUTE FUNCTION give()`)
			held, let := p.holdCommit("SET lease = ")
			ctx, leave := context.WithCancel(t.Context())
			claimed, closed := make(chan error, 1), make(chan error, 1)
			go func() {
				_, err := s.Claim(ctx, "plan", epoch, time.Hour, 1)
				claimed <- err
			}()
			<-held
			leave()
			require.ErrorIs(t, <-claimed, context.Canceled)
			go func() { closed <- s.Close() }()
			require.Eventually(t, func() bool {
				return queryOne[bool](t, address, `SELECT EXISTS (SELECT FROM given) OR
					EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')`)
			}, timeout, 10*time.Millisecond)
			close(let)
			require.NoError(t, <-closed)
			next := newStore(t, pgstore.Config{URL: address})
			claims, err := next.Claim(t.Context(), "plan", epoch, time.Hour, 1)
			require.NoError(t, err)
			require.Len(t, claims, 1)
		})
	}
}
