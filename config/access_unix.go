//go:build unix

package config

import "syscall"

// mayWrite reports whether the real user of the process may create files in dir.
func mayWrite(dir string) bool {
	const writeAndSearch = 0o3
	return syscall.Access(dir, writeAndSearch) == nil
}
