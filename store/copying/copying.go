package copying

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"
)

// Phase says whether Run is copying or verifying.
type Phase string

// The values of Phase, in the order of a copy.
const (
	Copying   Phase = "copying"
	Verifying Phase = "verifying"
)

// Progress says how far a phase of Run has come. Run passes it to its progress function.
type Progress struct {
	Phase Phase
	Done  Size
	Total Size // batches and recipients only
}

// Summary is the result of Run.
type Summary struct {
	Resumed bool // continued an earlier copy
	Moved   Size // entries copied by this run
	Sums    Sums // sums of the destination, equal to those of the source
}

// ahead is how many exported pieces may wait in memory until the destination imports them.
const ahead = 1

// Run copies all contents of the source to the destination, compares both, and marks the destination as complete. After
// an error or a crash, another Run with the same stores continues the copy. Run calls progress after every piece, never
// concurrently.
func Run(ctx context.Context, source Source, destination Sink, progress func(Progress)) (Summary, error) {
	c := &run{from: source, to: destination, progress: progress}
	if err := c.begin(ctx); err != nil {
		return c.done, err
	}
	if !c.mark.Whole {
		if err := c.move(ctx); err != nil {
			return c.done, fmt.Errorf("copy: %w", err)
		}
	}
	if err := c.verify(ctx); err != nil {
		return c.done, err
	}
	if err := destination.Finish(ctx); err != nil {
		return c.done, fmt.Errorf("finish: %w", err)
	}
	return c.done, nil
}

// run is the state of one call of Run.
type run struct {
	from     Source
	to       Sink
	progress func(Progress)
	mark     Mark
	total    Size
	sums     Sums // of the source; nil until it was read from beginning to end
	done     Summary
}

func (c *run) begin(ctx context.Context) error {
	identity, err := c.from.Identity(ctx)
	if err != nil {
		return fmt.Errorf("source: %w", err)
	}
	if c.mark, err = c.to.Begin(ctx, identity); err != nil {
		return fmt.Errorf("destination: %w", err)
	}
	c.done.Resumed = c.mark.Whole || len(c.mark.Position) > 0
	if c.total, err = c.from.Size(ctx); err != nil {
		return fmt.Errorf("source: %w", err)
	}
	return nil
}

// move copies the source: it exports the next piece while the destination imports the previous one. Unless it resumes
// an earlier copy, it also computes the sums (counts and checksums) of the source.
func (c *run) move(ctx context.Context) error {
	sums := newSumming()
	err := c.read(ctx, c.from, c.mark.Position, func(ctx context.Context, p Piece) error {
		if !c.done.Resumed {
			sums.piece(p)
		}
		size := p.Size()
		next := c.mark
		next.Position = p.Next
		next.Done.Add(size)
		if err := c.to.Import(ctx, p, next); err != nil {
			return fmt.Errorf("import: %w", err)
		}
		c.mark = next
		c.done.Moved.Add(size)
		c.progress(Progress{Copying, c.mark.Done, c.total})
		return nil
	})
	if err != nil {
		return err
	}
	c.mark.Whole = true
	if err := c.to.Import(ctx, Piece{}, c.mark); err != nil {
		return fmt.Errorf("import: %w", err)
	}
	if !c.done.Resumed {
		c.sums = sums.result()
	}
	return nil
}

// verify reads the destination back and compares its sums (counts and checksums) with those of the source. If this run
// resumed an earlier copy, verify also reads the source, which may have changed since the copy started.
func (c *run) verify(ctx context.Context) (err error) {
	total := c.total
	if c.sums == nil {
		total.Add(total)
	}
	var done Size
	sum := func(s Reader) (Sums, error) {
		sums := newSumming()
		err := c.read(ctx, s, nil, func(_ context.Context, p Piece) error {
			sums.piece(p)
			done.Add(p.Size())
			c.progress(Progress{Verifying, done, total})
			return nil
		})
		return sums.result(), err
	}
	if c.sums == nil {
		if c.sums, err = sum(c.from); err != nil {
			return fmt.Errorf("verify: read the source: %w", err)
		}
	}
	destination, err := sum(c.to)
	if err != nil {
		return fmt.Errorf("verify: read the destination: %w", err)
	}
	c.done.Sums = destination
	return compare(c.sums, destination)
}

// read exports the store s from position on, and calls take with each piece while s exports the next piece.
func (c *run) read(ctx context.Context, s Reader, position []byte, take func(context.Context, Piece) error) error {
	pieces := make(chan Piece, ahead)
	both, within := errgroup.WithContext(ctx)
	both.Go(func() error {
		defer close(pieces)
		return s.Export(within, position, func(p Piece) error {
			select {
			case pieces <- p:
				return nil
			case <-within.Done():
				return within.Err()
			}
		})
	})
	both.Go(func() error {
		for p := range pieces {
			if err := take(within, p); err != nil {
				return err
			}
		}
		return nil
	})
	err := both.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}
