// Command memory measures how much memory and disk space dlrloop needs with many stored recipients.
// docs/performance.md explains the figures.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dlrloop/dlrloop/bench/command"
	"github.com/dlrloop/dlrloop/bench/traffic"
)

func main() { command.Run(bench) }

type options struct {
	stored                      []int // in ascending order
	limits                      []string
	ingestFor, burstFor, settle time.Duration
	dir                         string
}

func parse(arguments []string) (o options, err error) {
	flags := flag.NewFlagSet("memory", flag.ContinueOnError)
	stored := flags.String("stored", "1000000,10000000", "`numbers` of stored recipients; each is measured")
	limits := flags.String("limit", "512MiB",
		"values of memory.limit, such as 512MiB,256MiB; each is measured, and the store is filled with the first")
	flags.DurationVar(&o.ingestFor, "ingest", 20*time.Second, "`duration` of the load with recipient reports")
	flags.DurationVar(&o.burstFor, "burst", 10*time.Second,
		"`duration` of the load with full reports; half of it before the kill")
	flags.DurationVar(&o.settle, "settle", time.Minute,
		"`duration` without load before the remaining memory is measured")
	flags.StringVar(&o.dir, "dir", "../.build", "`directory` on the disk to fill; files written there are removed")
	if err := flags.Parse(arguments); err != nil {
		return o, err
	}
	for text := range strings.SplitSeq(*stored, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < traffic.Recipients {
			return o, fmt.Errorf("-stored: %q is not a number of at least %d", text, traffic.Recipients)
		}
		o.stored = append(o.stored, n)
	}
	slices.Sort(o.stored)
	o.limits = strings.Split(*limits, ",")
	if min(o.ingestFor, o.burstFor, o.settle) <= 0 {
		return o, errors.New("-ingest, -burst and -settle must be more than 0")
	}
	return o, nil
}

func bench(ctx context.Context, arguments []string) error {
	o, err := parse(arguments)
	if err != nil {
		return err
	}
	progress := func(format string, values ...any) { fmt.Fprintf(os.Stderr, format+"\n", values...) }
	all, logged, err := o.measureAll(ctx, progress)
	if err != nil {
		return err
	}
	fmt.Printf("%s/%s, %d CPUs, %s\n\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
	memoryTable(os.Stdout, all)
	fmt.Println()
	diskTable(os.Stdout, all)
	for message, times := range logged {
		fmt.Fprintf(os.Stderr, "logged %d times: %s\n", times, message)
	}
	return nil
}

// measureAll measures dlrloop with each number of stored recipients and each memory limit. It returns the figures of
// each measurement, and how often dlrloop logged each warning and error. It calls progress with status messages.
func (o options) measureAll(
	ctx context.Context, progress func(string, ...any),
) (all []figures, logged map[string]int, err error) {
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return nil, nil, err
	}
	dir, err := os.MkdirTemp(o.dir, "bench-memory-")
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, nil, err
	}
	upstream, err := traffic.NewUpstream(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, upstream.Close()) }()
	p, err := newProgram(ctx, dir, upstream.URL)
	if err != nil {
		return nil, nil, err
	}
	defer p.kill()
	r := run{options: o, program: p, progress: progress}
	for _, stored := range o.stored {
		for _, limit := range o.limits {
			f, err := r.measure(ctx, stored, limit)
			if err != nil {
				return nil, nil, fmt.Errorf("with %d stored and %s: %w", stored, limit, err)
			}
			all = append(all, f)
		}
	}
	return all, p.logged, nil
}
