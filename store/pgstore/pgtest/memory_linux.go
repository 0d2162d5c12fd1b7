package pgtest

import "syscall"

// minFree is the number of free bytes that the file system in memory must have. The databases of one package's tests
// need a fraction of it.
const minFree = 2 << 30

// memoryDir returns a directory on a file system in memory, or "" if there is no such directory with at least free
// bytes.
func memoryDir(free uint64) string {
	const dir, tmpfs = "/dev/shm", 0x01021994
	var found syscall.Statfs_t
	err := syscall.Statfs(dir, &found)
	if err != nil || int64(found.Type) != tmpfs || found.Bavail*uint64(found.Bsize) < free {
		return ""
	}
	return dir
}
