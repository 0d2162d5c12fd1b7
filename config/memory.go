package config

import (
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	// UsualMemory is the limit where nothing but the machine limits the process: a program beside others.
	UsualMemory ByteSize = 512 << 20
	// leastMemory is the smallest limit in which everything works.
	leastMemory ByteSize = 64 << 20
)

// fillMemory sets what follows from memory.limit.
func (l *loading) fillMemory() {
	m, p := &l.config.Memory, &l.config.Public
	if m.Limit == 0 {
		m.Limit = systemMemory(machineMemory("/proc"), min(groupMemory("/proc"), dataLimit()))
	}
	if p.Memory != 0 {
		return
	}
	p.Memory = m.Limit / 4
	if !l.isSet("public.max_body") {
		p.MaxBody = min(p.MaxBody, p.Memory/4)
	}
}

func (l *loading) checkMemory() {
	limit, p := l.config.Memory.Limit, l.config.Public
	switch {
	case limit < leastMemory:
		if !l.isSet("memory.limit") {
			l.problem("memory.limit", "the process may use %s, which is too little; let it have %s at least", limit, leastMemory)
		}
	case p.Memory > limit/2:
		l.problem("public.memory", "%s is more than half of memory.limit, %s; raise that, or leave this out, and it is a quarter", p.Memory, limit)
	case p.Memory/4 >= p.MaxBody:
	case p.Memory != limit/4:
		l.problem("public.memory", "%s is not enough for one callback of public.max_body, %s, compressed and not; give it at least four times that", p.Memory, p.MaxBody)
	default:
		l.problem("public.max_body", "%s is too much for memory.limit, %s; give at most %s, or a limit of %s",
			p.MaxBody, limit, p.Memory/4, 16*p.MaxBody)
	}
}

// isSet reports whether the file or the environment has a key.
func (l *loading) isSet(key string) bool {
	_, variable := l.variables[variable(key)]
	_, file := l.source.places[key]
	return variable || file
}

// systemMemory is how much memory a process may use on a machine, with the least of the limits that it was given.
func systemMemory(machine, given ByteSize) ByteSize {
	if given < machine {
		return given
	}
	return min(UsualMemory, machine)
}

// machineMemory is the memory of the machine.
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

// groupMemory is the least limit of the process's control groups, of version 1 or 2, and of those around them.
func groupMemory(proc string) ByteSize {
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
		group := strings.TrimPrefix(groupOf(proc, controller), strings.TrimSuffix(where[3], "/"))
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

// groupOf is the path of the process's control group, of the hierarchy with a controller or, without one, of version 2.
func groupOf(proc, controller string) string {
	for line := range lines(filepath.Join(proc, "self", "cgroup")) {
		fields := strings.SplitN(line, ":", 3)
		if len(fields) == 3 && (controller == "" && fields[1] == "" || controller != "" && listed(fields[1], controller)) {
			return fields[2]
		}
	}
	return "/"
}

// listed reports whether a word is in a list with commas.
func listed(list, word string) bool {
	for w := range strings.SplitSeq(list, ",") {
		if w == word {
			return true
		}
	}
	return false
}

// lines are the lines of a file of the kernel; none when it cannot be read.
func lines(path string) func(yield func(string) bool) {
	content, _ := os.ReadFile(path)
	return strings.SplitSeq(strings.TrimSuffix(string(content), "\n"), "\n")
}
