package pgstore_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
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

// history is what the tests of events record: each recipient of each batch gets three reports, one after the other, and
// inbound messages come in between.
type history struct{ batches, recipients, texts int }

var statuses = []dlr.Status{dlr.Queued, dlr.Dispatched, dlr.Delivered}

// says returns an arrival with a report that the number has a status, which a later one in statuses replaces.
func says(t *testing.T, id, number string, status int) store.Arrival {
	t.Helper()
	at := epoch.Add(time.Duration(status) * time.Second)
	raw, err := json.Marshal(map[string]any{
		"type": dlr.RecipientSMS, "batch_id": id, "recipient": number, "status": statuses[status], "code": status, "at": at,
	})
	require.NoError(t, err)
	c, err := dlr.Parse(raw)
	require.NoError(t, err)
	return store.Arrival{Plan: "plan", At: at, Entry: store.Report{Report: c.Report, Raw: raw}}
}

// record records the history. Like Sinch, the calls of persist repeat an arrival until it is recorded.
func (h history) record(t *testing.T, persist func(store.Arrival)) {
	var g errgroup.Group
	g.SetLimit(24)
	for n := range h.recipients {
		for b := range h.batches {
			g.Go(func() error {
				for status := range statuses {
					persist(says(t, fmt.Sprint("batch ", b), number(n), status))
				}
				return nil
			})
		}
	}
	for n := range h.texts {
		g.Go(func() error { // several replicas receive the same message
			var all errgroup.Group
			for range 3 {
				all.Go(func() error {
					persist(arrives(texts(fmt.Sprint("mo ", n))))
					return nil
				})
			}
			return all.Wait()
		})
	}
	require.NoError(t, g.Wait())
}

// follower reads the feed and checks what it reads.
type follower struct {
	t        *testing.T
	versions map[string]int64 // by batch
	statuses map[string]int   // how many events a recipient of a batch had
	texts    map[string]int
	cursor   string
}

func newFollower(t *testing.T) *follower {
	return &follower{
		t: t, versions: make(map[string]int64), statuses: make(map[string]int), texts: make(map[string]int),
	}
}

// read reads one page and continues after a random event of it. It returns false if there was no event.
func (f *follower) read(s *pgstore.Store) bool {
	page, err := s.Events(context.WithoutCancel(f.t.Context()), f.cursor, 1+rand.IntN(40))
	if !assert.NoError(f.t, err) || len(page.Events) == 0 {
		return false
	}
	n := 1 + rand.IntN(len(page.Events))
	for _, e := range page.Events[:n] {
		switch e.Type {
		case store.RecipientStatus:
			k := e.BatchID + " " + e.Number
			assert.Equal(f.t, statuses[f.statuses[k]%len(statuses)], e.State.Status, "%s: event %d", k, f.statuses[k])
			f.statuses[k]++
			assert.Greater(f.t, e.Version, f.versions[e.BatchID], "the versions of a batch must rise")
			f.versions[e.BatchID] = e.Version
		case store.InboundReceived:
			f.texts[e.Key]++
		}
	}
	f.cursor = page.Cursor(n - 1)
	return true
}

// follow reads the feed until done is set and nothing is left.
func (f *follower) follow(s *pgstore.Store, done *atomic.Bool) {
	for last := false; f.read(s) || !last; {
		last = done.Load()
	}
}

// requireAll requires that the follower has read each event of the history exactly once.
func (f *follower) requireAll(s *pgstore.Store, h history) {
	f.t.Helper()
	require.Len(f.t, f.statuses, h.batches*h.recipients)
	for k, n := range f.statuses {
		require.Equal(f.t, len(statuses), n, k)
	}
	require.Len(f.t, f.texts, h.texts)
	for k, n := range f.texts {
		require.Equal(f.t, 1, n, k)
	}
	backlog, err := s.EventBacklog(f.t.Context(), f.cursor)
	require.NoError(f.t, err)
	require.Zero(f.t, backlog)
	backlog, err = s.EventBacklog(f.t.Context(), "")
	require.NoError(f.t, err)
	require.Equal(f.t, h.batches*h.recipients*len(statuses)+h.texts, backlog.Events)
	end, err := s.EventsEnd(f.t.Context())
	require.NoError(f.t, err)
	page, err := s.Events(f.t.Context(), end, 10)
	require.NoError(f.t, err)
	require.Empty(f.t, page.Events)
}

func eachDialect(t *testing.T, test func(t *testing.T, d pgstore.Dialect, address string)) {
	for _, d := range []pgstore.Dialect{pgstore.Postgres, pgstore.Portable, pgstore.Citus} {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			address := postgres.Database(t)
			switch d {
			case pgstore.Citus:
				installCitusStandIns(t, address)
			case pgstore.Portable:
				address = with(t, address, "default_transaction_isolation", "serializable")
			}
			test(t, d, address)
		})
	}
}

// TestEventsOfReplicas records reports of the same batches on three replicas while a reader follows the feed.
func TestEventsOfReplicas(t *testing.T) {
	t.Parallel()
	eachDialect(t, func(t *testing.T, d pgstore.Dialect, address string) {
		h := history{batches: 7, recipients: 30, texts: 20}
		var all []*pgstore.Store
		for range 3 {
			all = append(all, newStore(t, pgstore.Config{URL: address, Dialect: d, Policies: withEvents}))
		}
		f := newFollower(t)
		var done atomic.Bool
		var following errgroup.Group
		following.Go(func() error { f.follow(all[0], &done); return nil })
		var next atomic.Int64
		h.record(t, func(a store.Arrival) {
			assert.NoError(t, all[next.Add(1)%3].Record(context.WithoutCancel(t.Context()), a))
		})
		done.Store(true)
		require.NoError(t, following.Wait())
		f.requireAll(all[1], h)
	})
}

// TestEventsOfFailingReplicas does the same while answers to COMMIT are lost, all connections are cut, and one replica
// is closed and another cut off for good.
func TestEventsOfFailingReplicas(t *testing.T) {
	t.Parallel()
	eachDialect(t, func(t *testing.T, d pgstore.Dialect, address string) {
		h := history{batches: 5, recipients: 40, texts: 20}
		var all []*pgstore.Store
		var proxies []*proxy
		for range 4 {
			p, through := newProxy(t, address)
			proxies = append(proxies, p)
			all = append(all, newStore(t, pgstore.Config{URL: through, Dialect: d, Policies: withEvents}))
		}
		reader := newStore(t, pgstore.Config{URL: address, Dialect: d})
		f := newFollower(t)
		var done atomic.Bool
		var following errgroup.Group
		following.Go(func() error { f.follow(reader, &done); return nil })
		var recorded, next, gone atomic.Int64
		h.record(t, func(a store.Arrival) {
			for {
				replica := gone.Load() + next.Add(1)%(int64(len(all))-gone.Load())
				if all[replica].Record(context.WithoutCancel(t.Context()), a) == nil {
					break
				}
			}
			switch n := int(recorded.Add(1)); {
			case n == 200:
				gone.Add(1)
				assert.NoError(t, all[0].Close())
			case n == 300:
				gone.Add(1)
				proxies[1].refuse(true)
			case n%9 == 0:
				proxies[2+n%2].loseAnswer()
			case n%31 == 0:
				proxies[2+n%2].cut()
			}
		})
		done.Store(true)
		require.NoError(t, following.Wait())
		f.requireAll(reader, h)
		require.Greater(t, proxies[2].timesCut()+proxies[3].timesCut(), 20)
	})
}
