//go:build unix

package config

import "syscall"

// mayWrite reports whether the user that runs the process (its real user id) may create files in the directory dir. It
// creates none.
func mayWrite(dir string) bool {
	const writeAndSearch = 0o3
	return syscall.Access(dir, writeAndSearch) == nil
}
