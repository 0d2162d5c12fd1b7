//go:build !linux

package pgstore

import "syscall"

// controlSocket does nothing, as only Linux has TCP_USER_TIMEOUT: here only TCP keep-alive detects a vanished host.
func controlSocket(string, string, syscall.RawConn) error { return nil }
