package pgtest

import "syscall"

// room is what must be free in memory for it to be used. The databases of one package's tests need a fraction of it.
const room = 2 << 30

// memory is a folder for files that are in memory alone, or empty where there is none with that many bytes free.
func memory(free uint64) string {
	const folder, tmpfs = "/dev/shm", 0x01021994
	var found syscall.Statfs_t
	if err := syscall.Statfs(folder, &found); err != nil || int64(found.Type) != tmpfs || found.Bavail*uint64(found.Bsize) < free {
		return ""
	}
	return folder
}
