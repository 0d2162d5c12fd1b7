// Package demo tells the main job in a terminal: a simulated Sinch and dlrloop in one process, batches of every report kind, and
// what becomes of them, as it happens.
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

// Config says how the demo is told.
type Config struct {
	Out     io.Writer
	Color   bool
	Once    bool   // tell the story once, to its end, and sum it up; else go on until ctx ends
	JSON    bool   // with Once: the last line is the summary as one JSON object
	Seed    uint64 // of the simulator
	Version string
}

// patience bounds a story that is told once.
const patience = 60 * time.Second

// Run tells the story. With Once it returns an error unless what Sinch accepted is exactly what it was owed.
func Run(ctx context.Context, c Config) (err error) {
	folder, err := os.MkdirTemp("", "dlrloop-demo-")
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()

	began := time.Now()
	story := newStory(c.Out, c.Color, began)
	w, err := newWorld(ctx, c, folder, story)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	story.introduce(w)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- w.run(ctx) }()

	told := w.tell(ctx, c.Once)
	var s Summary
	if told == nil && c.Once {
		s, told = w.sum(ctx, began)
	}
	stop()
	if err := errors.Join(told, <-ended); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	story.end()
	if !c.Once {
		return nil
	}
	story.sum(s)
	if c.JSON {
		line, err := json.Marshal(s)
		if err != nil {
			return err
		}
		fmt.Fprintln(c.Out, string(line))
	}
	return s.verdict()
}
