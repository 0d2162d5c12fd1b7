package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dlrloop/dlrloop/bench/traffic"
)

// load is how hard a subject is driven: each connection sends its next report once the one before is answered.
type load struct {
	connections int
	warmup      time.Duration // before anything is measured
	measured    time.Duration
}

// measurement is what one subject did in one round.
type measurement struct {
	latencies
	took         time.Duration         // what was measured
	acknowledged [traffic.Statuses]int // in all, warm-up included
}

func (m *measurement) throughput() float64 { return float64(m.total) / m.took.Seconds() }

// drive sends the reports to address until the load's time is over or none is left. It is an error when one is not answered
// with 200.
func drive(ctx context.Context, address string, reports *requests, l load) (*measurement, error) {
	d := &driver{reports: reports}
	connections := make([]*connection, l.connections)
	for i := range connections {
		c, err := traffic.Dial(ctx, address)
		if err != nil {
			return nil, err
		}
		defer c.Close() //nolint:errcheck // everything it brought is read
		connections[i] = &connection{Connection: c, driver: d}
	}
	begin := time.Now()
	d.from, d.until = begin.Add(l.warmup), begin.Add(l.warmup+l.measured)
	g, ctx := errgroup.WithContext(ctx)
	for _, c := range connections {
		g.Go(func() error {
			defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })()
			return c.run()
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	m := &measurement{}
	for _, c := range connections {
		m.merge(&c.latencies)
		m.took = max(m.took, c.last.Sub(d.from))
		for s := range traffic.Statuses {
			m.acknowledged[s] += c.acknowledged[s]
		}
	}
	if m.total == 0 {
		return nil, errors.New("the reports were sent before the warm-up was over: ask for more batches")
	}
	return m, nil
}

// driver deals the reports out to the connections.
type driver struct {
	reports     *requests
	next        atomic.Int64
	from, until time.Time // what is measured
}

// connection is one connection of the client.
type connection struct {
	*traffic.Connection
	driver       *driver
	latencies    latencies
	last         time.Time // the last answer that was measured
	acknowledged [traffic.Statuses]int
}

func (c *connection) run() error {
	for sent := time.Now(); sent.Before(c.driver.until); {
		i := int(c.driver.next.Add(1) - 1)
		if i >= c.driver.reports.len() {
			return nil
		}
		if err := c.Send(c.driver.reports.at(i)); err != nil {
			return fmt.Errorf("report %d: %w", i, err)
		}
		answered := time.Now()
		c.acknowledged[c.driver.reports.status[i]]++
		if sent.After(c.driver.from) && answered.Before(c.driver.until) {
			c.latencies.add(answered.Sub(sent))
			c.last = answered
		}
		sent = answered
	}
	return nil
}
