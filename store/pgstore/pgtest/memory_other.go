//go:build !linux

package pgtest

const minFree = 0

func memoryDir(uint64) string { return "" }
