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

// TestNoMoreConnections has a server that takes no new connection. Those that are there go on.
func TestNoMoreConnections(t *testing.T) {
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
				_, _ = s.Batches(t.Context(), store.BatchQuery{}) // more at a time than there are connections: some may fail
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
	require.Eventually(t, func() bool { return s.Record(t.Context(), delivered("batch", number(2))) == nil }, patience, time.Millisecond)
}

// TestAConnectionThatFallsSilent has a new connection fall silent before it is ready, as one does whose server hangs or whose way has
// a proxy that goes on confirming. Those after it are made all the same.
func TestAConnectionThatFallsSilent(t *testing.T) {
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
	}, patience, time.Millisecond)
	require.True(t, p.silenced())
}

// TestCloseOfAServerThatHangs has many groups wait, each a transaction of its own. Close gives up all at once.
func TestCloseOfAServerThatHangs(t *testing.T) {
	t.Parallel()
	p, address := newProxy(t, postgres.Database(t))
	s, err := pgstore.Open(t.Context(), pgstore.Config{URL: address, StatementTimeout: 10 * time.Minute, Dialect: pgstore.Portable})
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
	case <-time.After(2 * patience): // one after another they take five minutes
		require.Fail(t, "Close waits for each")
	}
	require.Error(t, waiting.Wait())
}
