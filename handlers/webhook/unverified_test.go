package webhook

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// arrive adds a body of a client that has sent this many bytes so far.
func arrive(u *unverified, ip string, bytes int64) *bodyReader {
	in := &bodyReader{
		connection: http.NewResponseController(httptest.NewRecorder()), begun: time.Now(),
		client: clientOf(ip),
	}
	in.arrived.Store(bytes)
	u.enter(in)
	return in
}

// If a client has too many bodies its slowest one is dropped, even if another one is newer.
func TestTooManyBodiesOfAClientDropItsSlowest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUnverified()
		other := arrive(u, "192.0.2.2", 0)
		var bodies []*bodyReader
		for i := range maxUnverifiedClient {
			bodies = append(bodies, arrive(u, "192.0.2.1", 1000-int64(i)))
		}
		time.Sleep(time.Minute)
		newest := arrive(u, "192.0.2.1", 0)
		for i, in := range bodies {
			require.Equal(t, i == len(bodies)-1, in.dropped.Load(), i)
		}
		require.False(t, newest.dropped.Load())
		require.False(t, other.dropped.Load())
		for _, in := range append(bodies, newest, newest, other) {
			u.leave(in)
		}
		require.Empty(t, u.bodies)
		require.Empty(t, u.clients)
	})
}

func TestTooManyBodiesDropTheSlowest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUnverified()
		slowest := arrive(u, "192.0.2.1", 0)
		time.Sleep(time.Second)
		for i := range maxUnverified {
			require.Equal(t, i == maxUnverified, slowest.dropped.Load())
			arrive(u, fmt.Sprintf("10.0.%d.%d", i/256, i%256), 0)
		}
		require.True(t, slowest.dropped.Load())
		require.Len(t, u.bodies, maxUnverified)
	})
}

// Memory is taken only from bodies that hold some and are slower than the body that needs it.
func TestTheSlowestBodiesAreDroppedForMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUnverified()
		holding := func(held, arrived int64) *bodyReader {
			in := arrive(u, "192.0.2.1", arrived)
			in.held[1].Store(held)
			return in
		}
		holdsNothing, slow, slower, fast := holding(0, 0), holding(100, 2), holding(100, 1), holding(100, 1<<20)
		needs, verified := holding(0, 1<<10), &bodyReader{}
		time.Sleep(time.Second)

		u.makeRoom(needs, 1, 100)
		require.True(t, slower.dropped.Load())
		require.False(t, slow.dropped.Load())
		u.makeRoom(needs, 1, 1000)
		require.True(t, slow.dropped.Load())
		require.False(t, fast.dropped.Load())
		require.False(t, needs.dropped.Load())
		u.makeRoom(verified, 1, 1000)
		require.True(t, fast.dropped.Load())
		require.False(t, holdsNothing.dropped.Load())
	})
}
