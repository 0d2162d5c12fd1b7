package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/dlrloop/dlrloop/bench/traffic"
)

// figures holds the results of one measurement, such as memory and disk usage, with one number of stored recipients and
// one memory limit.
type figures struct {
	stored int
	limit  string // memory.limit
	idle   memory

	ingest, burst  peak
	ingested, full *sent
	remaining      int64 // heap and stacks after the burst and a time without load, in bytes
	start          startFigures
	database       int64   // size in bytes after the fill
	journal        int64   // size in bytes after the fill
	recipient      float64 // growth in bytes of the database per recipient of a full report
	report         float64 // growth in bytes of the database per recipient report
}

// run is one run of the bench: its options, the measured dlrloop program, and the source of the callbacks (delivery
// reports) sent to it.
type run struct {
	options
	program      *program
	source       source
	acknowledged int64 // recipients in acknowledged reports, counted once per report
	progress     func(format string, values ...any)
}

// measure starts dlrloop with a memory limit, such as 256MiB, and fills dlrloop's store until the store holds the given
// number of recipients. It then measures dlrloop idle, under load and after a crash, and stops it. On an error, f holds
// the figures measured so far.
func (r *run) measure(ctx context.Context, stored int, limit string) (f figures, err error) {
	f = figures{stored: stored, limit: limit}
	r.progress("%d stored, %s", stored, limit)
	if err := r.program.configure(limit); err != nil {
		return f, err
	}
	clean, err := r.program.start(ctx)
	if err != nil {
		return f, err
	}
	r.progress("start with an empty journal: %+v", clean)
	if err := r.fill(ctx, stored, &f); err != nil {
		return f, fmt.Errorf("fill: %w", err)
	}
	if err := r.ingest(ctx, &f); err != nil {
		return f, fmt.Errorf("ingest: %w", err)
	}
	if err := r.burst(ctx, &f); err != nil {
		return f, fmt.Errorf("burst: %w", err)
	}
	if err := r.crash(ctx, &f); err != nil {
		return f, fmt.Errorf("start: %w", err)
	}
	return f, r.program.stop()
}

const fillTimeout = 2 * time.Hour

func (r *run) fill(ctx context.Context, stored int, f *figures) error {
	before, _, err := r.program.totals(ctx)
	if err != nil {
		return err
	}
	if before.Recipients < stored {
		s, err := r.drive(ctx, load{
			address: r.program.public, connections: burstConnections, next: r.source.fullInOrder,
			until: time.Now().Add(fillTimeout), recipients: int64(stored - before.Recipients),
		})
		if err != nil {
			return err
		}
		r.progress("filled with %d recipients in %.0f s, %d calls refused", s.recipients.Load(), s.took.Seconds(),
			s.refused.Load())
	}
	after, s, err := r.settledTotals(ctx)
	if err != nil {
		return err
	}
	if after.Recipients < stored {
		return fmt.Errorf("only %d of %d recipients are stored", after.Recipients, stored)
	}
	f.database = s.SizeBytes
	if f.journal, err = diskUsage(filepath.Join(r.program.data, "journal")); err != nil {
		return err
	}
	if f.idle, err = readMemory(r.program.command.Process.Pid); err != nil {
		return err
	}
	r.progress("idle: %+v", f.idle)
	return nil
}

// settledTotals first waits for the duration of the option -settle, so that dlrloop can finish its work and release
// memory. No callbacks may be sent meanwhile. It then returns dlrloop's totals (counts of recipients and reports) and
// the size of its store.
func (r *run) settledTotals(ctx context.Context) (*traffic.Totals, *traffic.Store, error) {
	select {
	case <-time.After(r.settle):
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	return r.program.totals(ctx)
}

// drive sends the callbacks of load l, then blocks until all accepted reports are in dlrloop's database. The first
// result is never nil: on an error, it counts what was sent before the error.
func (r *run) drive(ctx context.Context, l load) (*sent, error) {
	s, err := r.source.run(ctx, l)
	r.acknowledged += s.recipients.Load()
	if err != nil {
		return s, err
	}
	_, _, err = r.program.totals(ctx)
	return s, err
}

// used returns how many bytes of the database file are in use, without its free pages.
func used(s *traffic.Store) int64 { return s.SizeBytes - s.FreeBytes }

func (r *run) ingest(ctx context.Context, f *figures) error {
	_, before, err := r.program.totals(ctx)
	if err != nil {
		return err
	}
	f.ingest, err = during(ctx, r.program.command.Process.Pid, func() error {
		f.ingested, err = r.drive(ctx, load{
			address: r.program.public, connections: ingestConnections, next: r.source.recipient,
			until: time.Now().Add(r.ingestFor),
		})
		return err
	})
	if err != nil {
		return err
	}
	_, after, err := r.program.totals(ctx)
	if err != nil {
		return err
	}
	f.report = float64(used(after)-used(before)) / float64(f.ingested.calls.Load())
	r.progress("ingest: %+v, %.0f reports/s, %d refused", f.ingest, f.ingested.rate(), f.ingested.refused.Load())
	return nil
}

// burstLoad returns the load for the burst, which is the part of a measurement with full reports. Each callback has one
// report for all 1000 recipients of a new batch. The load ends when the duration of the option -burst has passed since
// the call of burstLoad.
func (r *run) burstLoad() load {
	return load{
		address: r.program.public, connections: burstConnections, next: r.source.full,
		until: time.Now().Add(r.burstFor),
	}
}

func (r *run) burst(ctx context.Context, f *figures) error {
	_, before, err := r.program.totals(ctx)
	if err != nil {
		return err
	}
	f.burst, err = during(ctx, r.program.command.Process.Pid, func() error {
		f.full, err = r.drive(ctx, r.burstLoad())
		return err
	})
	if err != nil {
		return err
	}
	_, after, err := r.settledTotals(ctx)
	if err != nil {
		return err
	}
	f.recipient = float64(used(after)-used(before)) / float64(f.full.recipients.Load())
	m, err := readMemory(r.program.command.Process.Pid)
	f.remaining = m.anon
	r.progress("burst: %+v, %.0f recipients/s, %d refused, then %+v", f.burst, f.full.rate(), f.full.refused.Load(), m)
	return err
}

// crash kills dlrloop while it receives reports, and starts it again. It stores in f.start how long the new start
// takes, and the peak memory of dlrloop during this start. It returns an error if a report is lost that dlrloop had
// acknowledged with 200.
func (r *run) crash(ctx context.Context, f *figures) error {
	bursting, end := context.WithCancel(ctx)
	defer end()
	type result struct {
		*sent
		err error
	}
	results := make(chan result, 1)
	go func() {
		s, err := r.source.run(bursting, r.burstLoad())
		results <- result{s, err}
	}()
	select {
	case <-time.After(r.burstFor / 2):
	case result := <-results:
		return fmt.Errorf("the burst ended before the kill: %w", result.err)
	case <-ctx.Done():
		return ctx.Err()
	}
	r.program.kill()
	end()
	r.acknowledged += (<-results).recipients.Load() // it fails because dlrloop was killed
	var err error
	if f.start, err = r.program.start(ctx); err != nil {
		return err
	}
	r.progress("start: %+v", f.start)
	totals, _, err := r.program.totals(ctx)
	if err != nil {
		return err
	}
	if totals.Quarantined > 0 || int64(totals.Reported()) < r.acknowledged {
		return fmt.Errorf("only %d of %d acknowledged messages are stored", totals.Reported(), r.acknowledged)
	}
	return nil
}
