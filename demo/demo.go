// Package demo runs dlrloop, a simulated Sinch and a simulated application in one process, sends batches of every
// report kind, and prints what happens.
package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// Config configures Run. Only Out, which gets everything that the demo prints, is required.
type Config struct {
	Out     io.Writer
	Color   bool
	Once    bool   // run the scenario once and print a summary; otherwise repeat it until ctx ends
	JSON    bool   // with Once: print the summary as a JSON object on the last line
	Seed    uint64 // seed of the simulator's faults
	Version string
}

// idleTimeout is how long a run with Config.Once waits, after the last batch, for all feedback and events to be
// delivered. After this time the run fails.
const idleTimeout = 60 * time.Second

// Run runs the demo in this process: it sends batches through dlrloop to a simulated Sinch, delivers events to a
// simulated application, and prints what happens. If c.Once is false, Run blocks until ctx ends, and then returns nil.
// If c.Once is true, Run returns when Sinch has all feedback and the application has all events. It then returns an
// error if anything is missing a minute after the last batch, if Sinch accepted feedback that should not be sent, or if
// the application found a fault in the events. In both cases, Run returns an error if a server fails.
func Run(ctx context.Context, c Config) (err error) {
	dir, err := os.MkdirTemp("", "dlrloop-demo-")
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	started := time.Now()
	p := newPrinter(c.Out, c.Color, started)
	w, err := newWorld(ctx, c, dir, p)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	p.printHeader(w)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- w.run(ctx) }()

	err = w.sendBatches(ctx, c.Once)
	var s Summary
	if err == nil && c.Once {
		s, err = w.summarize(ctx, started)
	}
	stop()
	if err := errors.Join(err, <-ended); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	p.close()
	if !c.Once {
		return nil
	}
	p.printSummary(s)
	if c.JSON {
		line, err := json.Marshal(s)
		if err != nil {
			return err
		}
		fmt.Fprintln(c.Out, string(line))
	}
	return s.verdict()
}
