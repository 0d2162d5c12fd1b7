package e2e

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// The ports of a host. They are below those that systems give to outgoing connections.
const (
	lockPort = 17079 + iota
	publicPort
	privatePort
	gatewayPort
	prometheusPort
)

// host is a loopback address of a test's own. A program that is killed and started again has the same ports each time: while it
// is away no other test takes them, and no other program has a reason to.
type host string

// newHost returns a host that no other test has, in this process or in another: a test that has one listens on its lockPort
// from the start to its end.
func newHost(t *testing.T) host {
	t.Helper()
	for range 100 {
		h := host(net.IPv4(127, byte(1+rand.IntN(254)), byte(rand.IntN(256)), byte(1+rand.IntN(254))).String())
		lock, err := net.Listen("tcp", h.address(lockPort))
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, lock.Close()) })
		return h
	}
	require.FailNow(t, "no host is free")
	return ""
}

func (h host) address(port int) string { return net.JoinHostPort(string(h), strconv.Itoa(port)) }
