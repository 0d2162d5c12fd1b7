package config

import (
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/dlrloop/dlrloop/handlers/webhook"
)

const (
	// DefaultMemory is the default of memory.limit in bytes if only the machine's memory limits the process. It leaves
	// room for other programs.
	DefaultMemory ByteSize = 512 << 20
	// minMemory is the smallest supported memory limit in bytes. Less is an error.
	minMemory ByteSize = 64 << 20
)

// fillMemory replaces memory.limit and public.memory by their defaults if they are 0. If it replaces public.memory, it
// also lowers public.max_body to what this memory allows, unless the user has set public.max_body.
func (l *loader) fillMemory() {
	m, p := &l.config.Memory, &l.config.Public
	if m.Limit == 0 {
		m.Limit = systemMemory(machineMemory("/proc"), min(cgroupMemory("/proc"), dataLimit()))
	}
	if p.Memory != 0 {
		return
	}
	p.Memory = m.Limit / 4
	if !l.isSet("public.max_body") {
		p.MaxBody = min(p.MaxBody, p.Memory/webhook.MemoryRatio)
	}
}

func (l *loader) checkMemory() {
	limit, p := l.config.Memory.Limit, l.config.Public
	switch {
	case limit < minMemory:
		if !l.isSet("memory.limit") {
			l.problem("memory.limit", "the process's memory limit is %s, which is too little; raise it to at least %s",
				limit, minMemory)
		}
	case p.Memory > limit/2:
		l.problem("public.memory", "%s is more than half of memory.limit, %s; raise memory.limit, or remove this key "+
			"to use a quarter of it", p.Memory, limit)
	case p.Memory/webhook.MemoryRatio >= p.MaxBody:
	case p.Memory != limit/4:
		l.problem("public.memory", "%s cannot hold a callback of public.max_body, %s, both compressed and decompressed; "+
			"set at least %d times public.max_body", p.Memory, p.MaxBody, webhook.MemoryRatio)
	default:
		l.problem("public.max_body", "%s is too much for memory.limit, %s; set at most %s, or raise memory.limit to %s",
			p.MaxBody, limit, p.Memory/webhook.MemoryRatio, 4*webhook.MemoryRatio*p.MaxBody)
	}
}

// isSet reports whether the file or an environment variable sets exactly this key, not only a key below it.
func (l *loader) isSet(key string) bool {
	_, variable := l.variables[variable(key)]
	_, file := l.source.places[key]
	return variable || file
}

// systemMemory returns the default of memory.limit in bytes. machine is the memory of the machine, and processLimit is
// the memory limit of the process. The result is processLimit if the process has a lower limit than machine. Otherwise
// it is the lower of DefaultMemory and machine.
func systemMemory(machine, processLimit ByteSize) ByteSize {
	if processLimit < machine {
		return processLimit
	}
	return min(DefaultMemory, machine)
}

// machineMemory returns the memory of the machine in bytes, or MaxInt64 if it is unknown, as on systems other than
// Linux. proc is the path of the directory /proc.
func machineMemory(proc string) ByteSize {
	for line := range lines(filepath.Join(proc, "meminfo")) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "MemTotal:" {
			if kilobytes, err := strconv.ParseInt(fields[1], 10, 53); err == nil {
				return ByteSize(kilobytes << 10)
			}
		}
	}
	return math.MaxInt64
}

// cgroupMemory returns the lowest memory limit in bytes of the process's Linux control groups, version 1 or 2, and
// their ancestors. It returns MaxInt64 if there is no limit. proc is the path of the directory /proc.
func cgroupMemory(proc string) ByteSize {
	least := ByteSize(math.MaxInt64)
	for mount := range lines(filepath.Join(proc, "self", "mountinfo")) {
		// 36 35 98:0 /root/of/mount /mount/point options - type source options
		before, after, _ := strings.Cut(mount, " - ")
		where, kind := strings.Fields(before), strings.Fields(after)
		if len(where) < 5 || len(kind) < 3 {
			continue
		}
		controller, file := "", "memory.max"
		switch {
		case kind[0] == "cgroup2":
		case kind[0] == "cgroup" && listed(kind[2], "memory"):
			controller, file = "memory", "memory.limit_in_bytes"
		default:
			continue
		}
		group := strings.TrimPrefix(cgroupOf(proc, controller), strings.TrimSuffix(where[3], "/"))
		for dir := filepath.Clean("/" + group); ; dir = filepath.Dir(dir) {
			for line := range lines(filepath.Join(where[4], dir, file)) {
				if limit, err := strconv.ParseInt(line, 10, 64); err == nil && limit > 0 {
					least = min(least, ByteSize(limit))
				}
			}
			if dir == "/" {
				break
			}
		}
	}
	return least
}

// cgroupOf returns the path of the process's Linux control group, or "/" if it is unknown. If controller is empty, it
// looks for the group of version 2, else for the group of this controller in version 1.
func cgroupOf(proc, controller string) string {
	for line := range lines(filepath.Join(proc, "self", "cgroup")) {
		fields := strings.SplitN(line, ":", 3)
		if len(fields) == 3 && (controller == "" && fields[1] == "" || controller != "" && listed(fields[1], controller)) {
			return fields[2]
		}
	}
	return "/"
}

// listed reports whether word is an entry of a comma-separated list.
func listed(list, word string) bool {
	for w := range strings.SplitSeq(list, ",") {
		if w == word {
			return true
		}
	}
	return false
}

// lines iterates over the lines of the file at path. If the file cannot be read, it yields one empty line.
func lines(path string) func(yield func(string) bool) {
	content, _ := os.ReadFile(path)
	return strings.SplitSeq(strings.TrimSuffix(string(content), "\n"), "\n")
}
