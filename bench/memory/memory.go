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

// memory holds the memory usage of a process in bytes, as Linux reports it. anon is the memory of heap and stacks, and
// files the memory of mapped files. highWater is the largest sum of anon and files since the process started, or since
// the last call of function watch for this process.
type memory struct {
	anon      int64 // anonymous: heap and stacks
	files     int64 // mapped files, mostly the database; the kernel can reclaim them
	highWater int64 // largest sum of anon and files so far (VmHWM)
}

// readMemory returns the present memory usage of the process with this id. It returns an error if the process has
// ended.
func readMemory(pid int) (memory, error) {
	status, err := os.ReadFile(procFile(pid, "status"))
	if err != nil {
		return memory{}, err
	}
	return parseStatus(status)
}

func procFile(pid int, name string) string { return filepath.Join("/proc", strconv.Itoa(pid), name) }

// parseStatus reads the memory usage from the content of a file /proc/PID/status. It returns an error if a value is
// missing, as it is after the process has ended.
func parseStatus(status []byte) (m memory, err error) {
	missing := map[string]*int64{"RssAnon": &m.anon, "RssFile": &m.files, "VmHWM": &m.highWater}
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
		return memory{}, errors.New("read the memory of a process: the process has ended")
	}
	return m, nil
}

// peak holds the maximum of several samples of the memory usage of one process. The zero value has no samples.
type peak struct {
	anon, highWater int64 // bytes: of heap and stacks, and of these with mapped files
	samples         int
}

// add updates the maximum with another sample of the memory usage.
func (p *peak) add(m memory) {
	p.anon = max(p.anon, m.anon)
	p.highWater = max(p.highWater, m.highWater) // the kernel itself keeps it as a maximum
	p.samples++
}

// interval is the time between two samples of the memory usage, and between two requests to find out whether dlrloop is
// ready.
const interval = 20 * time.Millisecond

// watch samples the memory usage of a process until ctx or the process ends, and returns the maximum since the call. It
// returns an error if it cannot take the first sample, for example because the process has already ended.
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
		p.add(m)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return p, nil
		}
	}
}

// during calls function phase and samples the memory usage of the process with id pid until phase returns. It returns
// the peak memory usage in this time. It returns an error if phase fails or the memory usage cannot be read.
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

// diskUsage returns the sum of the sizes of all files in directory dir and its subdirectories, in bytes.
func diskUsage(dir string) (total int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, e os.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		info, err := e.Info()
		if errors.Is(err, os.ErrNotExist) { // the file has just been removed
			return nil
		}
		if err == nil {
			total += info.Size()
		}
		return err
	})
	return total, err
}
