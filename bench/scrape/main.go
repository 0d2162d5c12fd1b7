// Command scrape measures the duration of a scrape of /metrics with a million stored recipients. docs/performance.md
// explains the figures.
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
	"time"

	"github.com/dlrloop/dlrloop/bench/command"
)

func main() { command.Run(bench) }

// size is the number of recipients in each batch of the store.
const size = 1000

func bench(ctx context.Context, arguments []string) (err error) {
	flags := flag.NewFlagSet("scrape", flag.ContinueOnError)
	recipients := flags.Int("recipients", 1_000_000, "`number` of stored recipients, in batches of 1000")
	scrapes := flags.Int("scrapes", 50, "`number` of scrapes")
	dir := flags.String("dir", "../.build", "`directory` on the disk to fill; files written there are removed")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if *recipients < size || *scrapes < 1 {
		return errors.New("-recipients must be 1000 or more, and -scrapes 1 or more")
	}
	if err := os.MkdirAll(*dir, 0o755); err != nil {
		return err
	}
	tempDir, err := os.MkdirTemp(*dir, "bench-scrape-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tempDir)) }()
	path, begun := filepath.Join(tempDir, "data"), time.Now()
	if err := fill(ctx, path, *recipients/size); err != nil {
		return fmt.Errorf("fill the store: %w", err)
	}
	fmt.Printf("%s/%s, %d CPUs, %s; %d recipients stored in %.1f s\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(),
		runtime.Version(),
		*recipients/size*size, time.Since(begun).Seconds())
	h, err := newInstance(ctx, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.end()) }()
	times, last, err := h.scrape(ctx, *scrapes)
	if err != nil {
		return err
	}
	if err := last.verify(*recipients / size); err != nil {
		return err
	}
	slices.Sort(times)
	fmt.Printf("%d scrapes of %d series (%d bytes): median %.2f ms, max %.2f ms\n", len(times), last.series, last.bytes,
		milliseconds(times[len(times)/2]), milliseconds(times[len(times)-1]))
	return nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
