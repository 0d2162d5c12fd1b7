package pgstore_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store/pgstore"
	"github.com/dlrloop/dlrloop/store/pgstore/pgtest"
)

// TestNoAcknowledgementWithoutStandby makes commits wait for a standby that does not exist. However the wait ends,
// the commit is only on one server, so Record must return an error.
func TestNoAcknowledgementWithoutStandby(t *testing.T) {
	t.Parallel()
	const waiting = `pg_stat_activity WHERE wait_event = 'SyncRep'`
	for name, c := range map[string]struct {
		timeout time.Duration
		end     string // statement by which an administrator ends the wait; empty for a timeout
	}{
		"timeout":            {timeout: time.Second},
		"session terminated": {end: `SELECT count(pg_terminate_backend(pid)) FROM ` + waiting},
		"wait canceled":      {end: `SELECT count(pg_cancel_backend(pid)) FROM ` + waiting},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := pgtest.Start(t, pgtest.Config{}).Database(t)
			s := newStore(t, pgstore.Config{URL: address, StatementTimeout: c.timeout})
			require.NoError(t, s.Record(t.Context(), delivered("batch", number(1))))
			execute(t, address, `ALTER SYSTEM SET synchronous_standby_names = 'nobody'`)
			execute(t, address, `SELECT pg_reload_conf()`)
			require.Eventually(t, func() bool { // the heartbeats of the replica wait
				return queryOne[bool](t, address, `SELECT EXISTS (SELECT FROM `+waiting+`)`)
			}, timeout, 10*time.Millisecond)
			answer := make(chan error, 1)
			go func() { answer <- s.Record(t.Context(), delivered("batch", number(2))) }()
			for len(answer) == 0 {
				if c.end == "" {
					break
				}
				queryOne[int](t, address, c.end)
			}
			require.Error(t, <-answer)
			execute(t, address, `ALTER SYSTEM RESET synchronous_standby_names`)
			execute(t, address, `SELECT pg_reload_conf()`)
			require.Eventually(t, func() bool {
				return s.Record(t.Context(), delivered("batch", number(2))) == nil
			}, timeout, 10*time.Millisecond)
			require.Equal(t, 2, totalsOf(t, s).Recipients)
		})
	}
}

// TestSynchronousCommitStaysOn changes the server's configuration while sessions are open.
func TestSynchronousCommitStaysOn(t *testing.T) {
	t.Parallel()
	address := pgtest.Start(t, pgtest.Config{Durable: true}).Database(t)
	s := newStore(t, pgstore.Config{URL: address})
	for _, statement := range []string{
		`CREATE TABLE seen (setting text)`,
		`CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			INSERT INTO seen SELECT current_setting('synchronous_commit'); RETURN NEW; END $$`,
		`CREATE TRIGGER see BEFORE INSERT ON report_log FOR EACH ROW EXECUTE FUNCTION see()`,
		`ALTER SYSTEM SET synchronous_commit = off`,
		`SELECT pg_reload_conf()`,
	} {
		execute(t, address, statement)
	}
	for n := 1; ; n++ { // until the sessions have certainly reloaded the configuration
		require.NoError(t, s.Record(t.Context(), delivered("batch", number(n))))
		if n > 20 && queryOne[string](t, address, `SHOW synchronous_commit`) == "off" {
			break
		}
	}
	require.Equal(t, "on", queryOne[string](t, address, `SELECT string_agg(DISTINCT setting, ' ') FROM seen`))
}
