//go:build unix

package config

import "syscall"

// mayWrite reports whether the permissions of the directory dir let the process's real user create files there. It does
// not create one. If dir does not exist, it returns false.
func mayWrite(dir string) bool {
	const writeAndSearch = 0o3
	return syscall.Access(dir, writeAndSearch) == nil
}
