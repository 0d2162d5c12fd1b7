// Command gateway compares a send through dlrloop's gateway with the same send directly to the API.
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
	"text/tabwriter"
	"time"

	"github.com/dlrloop/dlrloop/bench/command"
)

func main() { command.Run(bench) }

// sizes holds the measured batch sizes, in recipients per batch. connections holds the measured counts of concurrent
// connections. The command measures every combination of a size and a count.
var (
	sizes       = []int{1, 100, 1000}
	connections = []int{1, 16}
)

func bench(ctx context.Context, arguments []string) (err error) {
	flags := flag.NewFlagSet("gateway", flag.ContinueOnError)
	rounds := flags.Int("rounds", 5, "`number` of measurements of each combination")
	sends := flags.Int("sends", 100, "`number` of batches sent each time, after a warm-up of a tenth")
	dir := flags.String("dir", "../.build", "`directory` on the disk to measure; files written there are removed")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if err := os.MkdirAll(*dir, 0o755); err != nil {
		return err
	}
	tempDir, err := os.MkdirTemp(*dir, "bench-gateway-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tempDir)) }()
	w, err := newSetup(ctx, filepath.Join(tempDir, "data"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.end()) }()

	fmt.Printf("%s/%s, %d CPUs, %s; %d rounds of %d sends\n\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(),
		runtime.Version(), *rounds, *sends)
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out,
		"recipients\tconnections\tdirect p50 ms\tgateway p50 ms\tadded p50 ms\tdirect p99 ms\tgateway p99 ms\t")
	for _, size := range sizes {
		for _, n := range connections {
			direct, through, err := w.compare(ctx, *rounds, load{size, n, *sends})
			if err != nil {
				return err
			}
			added := make([]float64, len(direct))
			for i := range direct {
				added[i] = milliseconds(through[i].p50 - direct[i].p50)
			}
			slices.Sort(added)
			fmt.Fprintf(out, "%d\t%d\t%.2f\t%.2f\t%.2f (%.2f–%.2f)\t%.2f\t%.2f\t\n", size, n,
				median(direct, func(t times) time.Duration { return t.p50 }), median(through,
					func(t times) time.Duration { return t.p50 }),
				added[len(added)/2], added[0], added[len(added)-1],
				median(direct, func(t times) time.Duration { return t.p99 }), median(through,
					func(t times) time.Duration { return t.p99 }))
		}
	}
	if err := w.verify(ctx); err != nil {
		return err
	}
	return out.Flush()
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func median(rounds []times, of func(times) time.Duration) float64 {
	values := make([]time.Duration, len(rounds))
	for i, t := range rounds {
		values[i] = of(t)
	}
	slices.Sort(values)
	return milliseconds(values[len(values)/2])
}
