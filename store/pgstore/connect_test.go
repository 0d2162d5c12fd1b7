package pgstore_test

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/pgstore"
)

// TestServerRefusesNewConnections checks that existing connections continue to work while the server refuses new
// ones.
func TestServerRefusesNewConnections(t *testing.T) {
	t.Parallel()
	address := postgres.Database(t)
	limited := newRole(t, address, `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public`)
	u, err := url.Parse(limited)
	require.NoError(t, err)
	var refused sync.Once
	met := make(chan struct{})
	s := newStore(t, pgstore.Config{URL: limited, Observer: store.Observer{Failed: func(_ string, err error) {
		if strings.Contains(err.Error(), "53300") {
			refused.Do(func() { close(met) })
		}
	}}})
	require.NoError(t, s.Record(t.Context(), delivered("batch", number(1))))
	execute(t, address, fmt.Sprintf(`ALTER ROLE %s CONNECTION LIMIT 0`, u.User.Username()))
	for more := true; more; {
		var readers errgroup.Group
		for range 20 {
			readers.Go(func() error {
				// more concurrent reads than connections, so some may fail
				_, _ = s.Batches(t.Context(), store.BatchQuery{})
				return nil
			})
		}
		require.NoError(t, readers.Wait())
		select {
		case <-met:
			more = false
		default:
		}
	}
	require.Eventually(t, func() bool {
		return s.Record(t.Context(), delivered("batch", number(2))) == nil
	}, timeout, 10*time.Millisecond)
}

// TestNewConnectionHangs makes a new connection hang during its initialization, while its TCP peer still
// acknowledges. Later connections must succeed.
func TestNewConnectionHangs(t *testing.T) {
	t.Parallel()
	p, address := newProxy(t, postgres.Database(t))
	s := newStore(t, pgstore.Config{URL: address + steady + "&connect_timeout=1"})
	require.NoError(t, s.Record(t.Context(), delivered("batch", number(1))))
	p.silence("synchronous_commit")
	p.cut()
	require.Eventually(t, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		return s.Record(ctx, delivered("batch", number(2))) == nil
	}, timeout, 10*time.Millisecond)
	require.True(t, p.silenced())
}

// TestCloseWhileServerHangs queues many groups, each in a transaction of its own. Close must cancel all of them
// together.
func TestCloseWhileServerHangs(t *testing.T) {
	t.Parallel()
	p, address := newProxy(t, postgres.Database(t))
	s, err := pgstore.Open(t.Context(), pgstore.Config{
		URL: address, StatementTimeout: 10 * time.Minute, Dialect: pgstore.Portable,
	})
	require.NoError(t, err)
	require.NoError(t, s.Record(t.Context(), delivered("batch", number(1))))
	p.freeze()
	var waiting errgroup.Group
	for i := range 64 {
		waiting.Go(func() error { return s.Record(t.Context(), delivered(fmt.Sprint("batch", i), number(1))) })
	}
	closed := make(chan error, 1)
	time.AfterFunc(100*time.Millisecond, func() { closed <- s.Close() }) // however many wait by then
	select {
	case err := <-closed:
		require.NoError(t, err)
	case <-time.After(2 * timeout): // one after the other they would take five minutes
		require.Fail(t, "Close waits for each group in turn")
	}
	require.Error(t, waiting.Wait())
}
