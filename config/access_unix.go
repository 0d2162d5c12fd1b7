//go:build unix

package config

import "syscall"

// mayWrite reports whether the process's real user id may create files in the directory dir.
func mayWrite(dir string) bool {
	const writeAndSearch = 0o3
	return syscall.Access(dir, writeAndSearch) == nil
}
