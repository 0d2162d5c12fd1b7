//go:build !linux

package pgstore

import "syscall"

// controlSocket does nothing: on this system only TCP keep-alive detects a vanished host.
func controlSocket(string, string, syscall.RawConn) error { return nil }
