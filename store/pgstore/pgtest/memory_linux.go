package pgtest

import "syscall"

// minFree is the number of free bytes that a file system in memory (tmpfs) must have for a test server to use it. The
// databases of one package's tests need a fraction of that.
const minFree = 2 << 30

// memoryDir returns a directory in memory (tmpfs) with at least the given free bytes, or "" if there is none.
func memoryDir(free uint64) string {
	const dir, tmpfs = "/dev/shm", 0x01021994
	var found syscall.Statfs_t
	err := syscall.Statfs(dir, &found)
	if err != nil || int64(found.Type) != tmpfs || found.Bavail*uint64(found.Bsize) < free {
		return ""
	}
	return dir
}
