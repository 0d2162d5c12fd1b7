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

// load describes how one measurement sends reports: over how many connections, and for how long. Each connection sends
// its next report as soon as the previous one is answered.
type load struct {
	connections int           // number of concurrent connections
	warmup      time.Duration // time before the measurement starts
	measured    time.Duration // length of the measurement
}

// measurement is the result of sending reports to one program. It holds the response times of the program, and how many
// reports the program acknowledged (answered with 200).
type measurement struct {
	latencies
	took         time.Duration            // measured time
	acknowledged [traffic.NumStatuses]int // number for each status, including the warm-up
	waiting      int                      // events that waited for the destination after the load
}

// throughput returns the number of reports per second that were answered after the warm-up.
func (m *measurement) throughput() float64 { return float64(m.total) / m.took.Seconds() }

// drive sends reports to the webhook at address, such as 127.0.0.1:8080. It returns when all reports are sent, or when
// the warm-up and the measured time of l are over. It returns an error if ctx ends, or at the first answer other than
// an empty 200. It also returns an error if no response time was measured, for example because all reports were sent
// during the warm-up.
func drive(ctx context.Context, address string, reports *requests, l load) (*measurement, error) {
	d := &driver{reports: reports}
	connections := make([]*connection, l.connections)
	for i := range connections {
		c, err := traffic.Dial(ctx, address)
		if err != nil {
			return nil, err
		}
		defer c.Close() //nolint:errcheck // all answers have been read
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
		for s := range traffic.NumStatuses {
			m.acknowledged[s] += c.acknowledged[s]
		}
	}
	if m.total == 0 {
		return nil, errors.New("all reports were sent during the warm-up: use a larger -batches")
	}
	return m, nil
}

// driver distributes reports among the connections of one measurement: each connection takes the next report that no
// connection has sent yet. It is safe for concurrent use.
type driver struct {
	reports     *requests
	next        atomic.Int64
	from, until time.Time // bounds of the measurement
}

// connection sends reports over one HTTP connection, one at a time. It records the response times after the warm-up.
// For each delivery status, it also counts all reports that the program acknowledged (answered with 200).
type connection struct {
	*traffic.Connection
	driver       *driver
	latencies    latencies
	last         time.Time // time of the last measured answer
	acknowledged [traffic.NumStatuses]int
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
