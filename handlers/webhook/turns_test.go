package webhook

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestClientsAreNetworks(t *testing.T) {
	for ip, want := range map[string]string{
		"192.0.2.7": "192.0.2.7/32", "::ffff:192.0.2.7": "192.0.2.7/32", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
		"": "invalid Prefix", "no address": "invalid Prefix",
	} {
		require.Equal(t, want, clientOf(ip).String(), ip)
	}
}

// A client with many connections gets no more turns than the others.
func TestClientsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(1)
		greedy, modest, trusted := clientOf("192.0.2.1"), clientOf("192.0.2.2"), clientOf("192.0.2.3")
		turns.markTrusted(trusted)
		require.NoError(t, turns.acquire(greedy, 0))

		var order []string
		wait := func(name string, c client) {
			go func() {
				if turns.acquire(c, time.Hour) == nil {
					order = append(order, name)
				}
			}()
			synctest.Wait()
		}
		for i := range 3 {
			wait(fmt.Sprint("greedy ", i), greedy)
		}
		wait("modest", modest)
		wait("trusted", trusted)
		for range 6 {
			turns.release()
			synctest.Wait()
		}
		require.Equal(t, []string{"trusted", "greedy 0", "modest", "greedy 1", "greedy 2"}, order)
		require.Equal(t, 1, turns.free)
		require.Empty(t, turns.clients)
		require.Empty(t, turns.order)
		require.Zero(t, turns.waiting)
	})
}

func TestWaitingCallersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(1)
		require.NoError(t, turns.acquire(client{}, 0))
		refused := make(chan error, maxWaiting)
		for i := range maxWaiting {
			go func() { refused <- turns.acquire(clientOf(fmt.Sprint("192.0.2.", i/maxWaitingClient)), time.Second) }()
		}
		synctest.Wait()
		require.Empty(t, refused)
		require.ErrorIs(t, turns.acquire(clientOf("192.0.2.0"), time.Second), errNoTurn)
		require.ErrorIs(t, turns.acquire(clientOf("192.0.2.99"), time.Second), errNoTurn)
		time.Sleep(time.Second)
		for range maxWaiting {
			require.ErrorIs(t, <-refused, errNoTurn)
		}
		turns.release()
		require.NoError(t, turns.acquire(clientOf("192.0.2.99"), 0))
		require.Empty(t, turns.clients)
	})
}

func TestProvenClientsAreBounded(t *testing.T) {
	turns := newTurns(1)
	for i := range 2 * maxTrusted {
		turns.markTrusted(clientOf(fmt.Sprintf("10.0.%d.%d", i/256, i%256)))
		turns.markTrusted(clientOf("192.0.2.1"))
	}
	require.Len(t, turns.trusted, maxTrusted)
}
