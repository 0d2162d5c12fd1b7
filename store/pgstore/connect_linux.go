package pgstore

import (
	"errors"
	"syscall"
)

// tcpUserTimeout is Linux's number of the socket option TCP_USER_TIMEOUT, which package syscall does not define.
const tcpUserTimeout = 0x12

// controlSocket sets TCP_USER_TIMEOUT of a new TCP socket to peerTimeout, so that the connection fails if sent data
// stays unacknowledged that long. Without the option the kernel takes minutes to notice that a host has vanished.
func controlSocket(network, _ string, c syscall.RawConn) error {
	if len(network) < 3 || network[:3] != "tcp" {
		return nil
	}
	var set error
	err := c.Control(func(socket uintptr) {
		set = syscall.SetsockoptInt(int(socket), syscall.IPPROTO_TCP, tcpUserTimeout, int(peerTimeout.Milliseconds()))
	})
	return errors.Join(err, set)
}
