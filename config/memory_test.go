package config

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// defaultHere returns what Load makes of Default on this machine.
func defaultHere() *Config {
	c := Default()
	c.Memory.Limit = systemMemory(machineMemory("/proc"), min(cgroupMemory("/proc"), dataLimit()))
	c.Public.Memory = c.Memory.Limit / 4
	c.Public.MaxBody = min(c.Public.MaxBody, c.Public.Memory/4)
	return c
}

func TestMemoryFollowsTheLimit(t *testing.T) {
	for limit, want := range map[string]Public{
		"64MiB":  {Memory: 16 << 20, MaxBody: 4 << 20},
		"256MiB": {Memory: 64 << 20, MaxBody: 16 << 20},
		"8GiB":   {Memory: 2 << 30, MaxBody: 16 << 20},
	} {
		c, err := load(t, planWith("region: eu", "token: t", "webhook: {auth: {none: true}}")+"memory: {limit: "+limit+"}\n")
		require.NoError(t, err)
		require.Equal(t, want.Memory, c.Public.Memory, limit)
		require.Equal(t, want.MaxBody, c.Public.MaxBody, limit)
	}
	c, err := load(t, planWith("region: eu", "token: t", "webhook: {auth: {none: true}}")+
		"public: {max_body: 32MiB, memory: 128MiB}\nmemory: {limit: 256MiB}\n")
	require.NoError(t, err)
	require.Equal(t, ByteSize(32<<20), c.Public.MaxBody, "bodies may take half of the limit")
}

func TestSystemMemory(t *testing.T) {
	const gigabyte, none = 1 << 30, math.MaxInt64
	for _, c := range []struct{ machine, given, want ByteSize }{
		{64 * gigabyte, none, DefaultMemory},
		{gigabyte / 4, none, gigabyte / 4},
		{64 * gigabyte, gigabyte / 4, gigabyte / 4},
		{64 * gigabyte, 8 * gigabyte, 8 * gigabyte},
		{gigabyte / 4, 8 * gigabyte, gigabyte / 4},
		{64 * gigabyte, 64 * gigabyte, DefaultMemory},
	} {
		require.Equal(t, c.want, systemMemory(c.machine, c.given), "%s of %s", c.given, c.machine)
	}
	require.Less(t, machineMemory("/proc"), ByteSize(math.MaxInt64))
}

// TestCgroupMemory has files of the kernel for control groups of version 1 and 2, outside and inside a container.
func TestCgroupMemory(t *testing.T) {
	const none = "max"
	for name, c := range map[string]struct {
		cgroup string
		mounts string            // %s is the directory of the files
		files  map[string]string // by path below that directory
		want   ByteSize
	}{
		"version 2": {
			"0::/system.slice/dlrloop.service\n", "30 23 0:26 / %s rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
			map[string]string{"system.slice/memory.max": none, "system.slice/dlrloop.service/memory.max": "268435456"},
			256 << 20,
		},
		"version 2, limited from above": {
			"0::/pod/container\n", "30 23 0:26 / %s rw - cgroup2 cgroup2 rw\n",
			map[string]string{"pod/memory.max": "134217728", "pod/container/memory.max": "268435456"},
			128 << 20,
		},
		"version 2, inside a container": {
			"0::/\n", "30 23 0:26 / %s ro - cgroup2 cgroup rw\n",
			map[string]string{"memory.max": "268435456"},
			256 << 20,
		},
		"version 1": {
			"3:cpu,cpuacct:/elsewhere\n2:memory:/docker/1f\n0::/other\n",
			"31 23 0:27 / /nowhere rw - cgroup cgroup rw,cpu,cpuacct\n32 23 0:28 / %s rw - cgroup cgroup rw,memory\n",
			map[string]string{
				"memory.limit_in_bytes":        "9223372036854771712",
				"docker/memory.limit_in_bytes": "9223372036854771712", "docker/1f/memory.limit_in_bytes": "268435456",
			},
			256 << 20,
		},
		"version 1, inside a container": {
			"2:memory:/docker/1f\n", "32 23 0:28 /docker/1f %s ro - cgroup cgroup rw,memory\n",
			map[string]string{"memory.limit_in_bytes": "268435456"},
			256 << 20,
		},
		"no limit": {
			"0::/\n", "30 23 0:26 / %s ro - cgroup2 cgroup rw\n",
			map[string]string{"memory.max": none},
			math.MaxInt64,
		},
		"no groups": {"", "22 1 8:1 / / rw - ext4 /dev/sda1 rw\nnot a mount\n", nil, math.MaxInt64},
	} {
		t.Run(name, func(t *testing.T) {
			proc, mounted := t.TempDir(), t.TempDir()
			for path, content := range c.files {
				require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(mounted, path)), 0o755))
				require.NoError(t, os.WriteFile(filepath.Join(mounted, path), []byte(content+"\n"), 0o600))
			}
			require.NoError(t, os.Mkdir(filepath.Join(proc, "self"), 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(proc, "self", "cgroup"), []byte(c.cgroup), 0o600))
			mounts := c.mounts
			if c.files != nil {
				mounts = fmt.Sprintf(mounts, mounted)
			}
			require.NoError(t, os.WriteFile(filepath.Join(proc, "self", "mountinfo"), []byte(mounts), 0o600))
			require.Equal(t, c.want, cgroupMemory(proc))
		})
	}
}
