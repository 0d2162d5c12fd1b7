//go:build !linux

package pgtest

// minFree is unused on this system, because memoryDir finds no directory here.
const minFree = 0

// memoryDir returns "": it looks for a file system in memory only on Linux.
func memoryDir(uint64) string { return "" }
