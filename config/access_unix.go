//go:build unix

package config

import "syscall"

// mayWrite reports whether this user can make files in a folder.
func mayWrite(dir string) bool {
	const writeAndSearch = 0o3
	return syscall.Access(dir, writeAndSearch) == nil
}
