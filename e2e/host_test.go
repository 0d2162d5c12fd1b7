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

// The ports of a host. They are below the range for outgoing connections.
const (
	lockPort = 17079 + iota
	publicPort
	privatePort
	gatewayPort
	prometheusPort
	applicationPort
)

// host is a loopback address that belongs to one test. A program that is killed and started again gets the same
// ports: no other test uses the address, and outgoing connections do not use these ports.
type host string

// newHost returns a host that no other test uses, in this or another process: each test listens on its lockPort until
// it ends.
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
	require.FailNow(t, "no unused loopback address found")
	return ""
}

func (h host) address(port int) string { return net.JoinHostPort(string(h), strconv.Itoa(port)) }
