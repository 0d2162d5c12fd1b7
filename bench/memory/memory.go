package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// memory is what a process has in memory, in bytes.
type memory struct {
	anon  int64 // of its own: heap and stacks
	files int64 // of mapped files, mostly the database: page cache, which the kernel takes back when it needs it
	most  int64 // the most of both together so far
}

// readMemory reads the memory of a process.
func readMemory(pid int) (memory, error) {
	status, err := os.ReadFile(procFile(pid, "status"))
	if err != nil {
		return memory{}, err
	}
	return parseStatus(status)
}

func procFile(pid int, name string) string { return filepath.Join("/proc", strconv.Itoa(pid), name) }

// parseStatus reads the text of /proc/PID/status. A process that has ended has no memory there, which is an error.
func parseStatus(status []byte) (m memory, err error) {
	missing := map[string]*int64{"RssAnon": &m.anon, "RssFile": &m.files, "VmHWM": &m.most}
	for line := range bytes.Lines(status) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		bytesOf, ok := missing[string(name)]
		if !ok {
			continue
		}
		delete(missing, string(name))
		number, isKB := bytes.CutSuffix(bytes.TrimSpace(value), []byte(" kB"))
		kB, err := strconv.ParseInt(string(number), 10, 53)
		if err != nil || !isKB {
			return memory{}, fmt.Errorf("read the memory of a process: %q", line)
		}
		*bytesOf = kB << 10
	}
	if len(missing) > 0 {
		return memory{}, errors.New("read the memory of a process: it has ended")
	}
	return m, nil
}

// peak is the most that was seen of a process.
type peak struct {
	anon, most int64 // bytes
	samples    int
}

// take takes a sample in. The kernel's own peak has what was between two samples.
func (p *peak) take(m memory) {
	p.anon, p.most = max(p.anon, m.anon), max(p.most, m.most)
	p.samples++
}

// interval is how often memory is sampled.
const interval = 20 * time.Millisecond

// watch samples the memory of a process until ctx ends or the process does. The kernel's own peak begins anew.
func watch(ctx context.Context, pid int) (p peak, err error) {
	if err := os.WriteFile(procFile(pid, "clear_refs"), []byte("5"), 0); err != nil { // resets VmHWM
		return p, err
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		m, err := readMemory(pid)
		if err != nil {
			if p.samples == 0 {
				return p, err
			}
			return p, nil
		}
		p.take(m)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return p, nil
		}
	}
}

// during runs a phase and returns the most memory that the process had meanwhile.
func during(ctx context.Context, pid int, phase func() error) (peak, error) {
	watching, stop := context.WithCancel(ctx)
	defer stop()
	type result struct {
		peak
		err error
	}
	seen := make(chan result, 1)
	go func() {
		p, err := watch(watching, pid)
		seen <- result{p, err}
	}()
	err := phase()
	stop()
	r := <-seen
	return r.peak, errors.Join(err, r.err)
}

// diskUsage is how many bytes the files of a folder occupy on the disk.
func diskUsage(folder string) (total int64, err error) {
	err = filepath.WalkDir(folder, func(_ string, e os.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if errors.Is(err, os.ErrNotExist) { // it has just been removed
			return nil
		}
		if err == nil {
			total += info.Size()
		}
		return err
	})
	return total, err
}
