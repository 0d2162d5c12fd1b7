//go:build !linux

package pgtest

// minFree is not used on this system.
const minFree = 0

// memoryDir returns "": it looks for a file system in memory only on Linux.
func memoryDir(uint64) string { return "" }
