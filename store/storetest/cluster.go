package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/dlrloop/dlrloop/store"
)

var cluster = []behavior{
	{"the only replica holds every leader lease", everyLease},
	{"Close releases leader leases", leasesReleased},
	{"Held may be called concurrently", leaseHeldConcurrently},
	{"the only replica has the whole share", wholeShare},
	{"gauges list the replicas", listedReplicas},
}

func (o *opened) cluster() store.Cluster { return o.Store.(store.Cluster) }

func (o *opened) acquireLease(name string, now, until time.Time) bool {
	o.t.Helper()
	held, err := o.cluster().AcquireLease(context.Background(), name, now, until)
	require.NoError(o.t, err)
	return held
}

func everyLease(t *testing.T, place Place) {
	o := open(t, place, Config{})
	for _, name := range append(store.LeaderLeases(), "another") {
		require.True(t, o.acquireLease(name, sec(0), sec(30)))
		require.True(t, o.acquireLease(name, sec(10), sec(40)), "the lease is renewed")
		require.True(t, o.acquireLease(name, sec(100), sec(130)), "the lease is acquired again after its end")
		require.True(t, o.acquireLease(name, sec(90), sec(120)), "the clock was set back")
	}
}

func leasesReleased(t *testing.T, place Place) {
	o := open(t, place, Config{})
	for range 3 {
		require.True(t, o.acquireLease(store.LeaseRetention, sec(0), sec(30)))
		o.reopen()
	}
}

func leaseHeldConcurrently(t *testing.T, place Place) {
	o := open(t, place, Config{})
	d := store.LeaderLease{Cluster: o.cluster(), Name: store.LeaseReconcile, Duration: time.Minute}
	var g errgroup.Group
	for i := range 32 {
		g.Go(func() error {
			held, err := d.Held(context.Background(), sec(i))
			if err == nil && !held {
				err = errors.New("not held")
			}
			return err
		})
	}
	require.NoError(t, g.Wait())
}

func wholeShare(t *testing.T, place Place) {
	o := open(t, place, Config{})
	require.Equal(t, 1.0, o.cluster().QuotaShare())
	o.reopen()
	require.Equal(t, 1.0, o.cluster().QuotaShare(), "a closed replica must not have a share")
}

func listedReplicas(t *testing.T, place Place) {
	o := open(t, place, Config{})
	now := time.Now()
	require.True(t, o.acquireLease(store.LeaseRetention, now, now.Add(time.Hour)))
	g := o.Gauges()
	require.NotEmpty(t, g.Replica)
	require.Equal(t, []string{g.Replica}, g.Replicas)
	require.Eventually(t, func() bool {
		return o.Gauges().Leaders[store.LeaseRetention] == g.Replica
	}, time.Minute, time.Millisecond)
}
