package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dlrloop/dlrloop/bench/traffic"
)

// Parameters for sending callbacks (HTTP requests with delivery reports) to dlrloop, such as the number of connections
// and the time limit for an answer.
const (
	// ingestConnections is the number of connections for recipient reports, burstConnections that for full reports.
	ingestConnections, burstConnections = 64, 8
	// active is the number of batches that are reported at the same time.
	active = 100
	// answerTimeout is how long a call waits for its answer; after that, the measurement fails.
	answerTimeout = time.Minute
	// retryDelay is the time between a refused call and its repetition; Sinch waits longer.
	retryDelay = 200 * time.Millisecond
)

type callback struct {
	body       []byte
	recipients int // number of recipients in the body
}

// source generates callbacks (delivery reports for new batches) and sends them to dlrloop. It is safe for concurrent
// use. The zero value is ready to use.
type source struct {
	calls   atomic.Int64
	batches atomic.Int64 // number of batch ids used so far

	mu      sync.Mutex // guards planned
	planned []traffic.Report
}

// full returns a callback with one delivery report for all 1000 recipients of a new batch.
func (s *source) full() callback {
	return callback{traffic.FullBody(int(s.batches.Add(1)-1), traffic.Number), traffic.Recipients}
}

// fullInOrder returns a callback with one delivery report for all 1000 recipients of a new batch. The phone numbers are
// consecutive, unlike the phone numbers that full generates. The bench sends such callbacks to fill the store before a
// measurement.
func (s *source) fullInOrder() callback {
	// As in production, new reports change another part of the phone number index than the stored ones.
	return callback{traffic.FullBody(int(s.batches.Add(1)-1), traffic.ConsecutiveNumber), traffic.Recipients}
}

// recipient returns a callback with a report for one recipient. Successive calls return all reports for the recipients
// of 100 new batches, in random order, then those of the next 100 new batches, and so on.
func (s *source) recipient() callback {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.planned) == 0 {
		first := int(s.batches.Add(active)) - active
		s.planned = traffic.Planned(first, active, uint64(first))
	}
	next := s.planned[0]
	s.planned = s.planned[1:]
	return callback{next.Body(), 1}
}

// load describes the callbacks (delivery reports) of one measurement: which are sent, over how many connections, and
// for how long. Each connection sends one callback at a time.
type load struct {
	address     string          // listen address of the webhook
	connections int             // number of concurrent connections
	next        func() callback // returns the next callback to send; called concurrently
	until       time.Time       // end of the load
	recipients  int64           // the load also ends when this many recipients are acknowledged; 0 means no limit
}

// sent is the result of sending callbacks. It counts the callbacks that dlrloop accepted, the recipients in them, and
// how often dlrloop refused a callback.
type sent struct {
	calls, recipients, refused atomic.Int64
	took                       time.Duration // how long the load lasted
}

func (s *sent) rate() float64 { return float64(s.recipients.Load()) / s.took.Seconds() }

// run sends callbacks until the time l.until. If l.recipients is not 0, run ends earlier once this many recipients are
// acknowledged. It sends each refused callback again. It returns an error if a connection fails or ctx ends. The first
// result is never nil: on an error, it counts the callbacks sent before the error.
func (s *source) run(ctx context.Context, l load) (*sent, error) {
	begun, result := time.Now(), &sent{}
	group, ctx := errgroup.WithContext(ctx)
	for range l.connections {
		group.Go(func() error { return s.connection(ctx, l, result) })
	}
	err := group.Wait()
	result.took = time.Since(begun)
	return result, err
}

func (s *source) connection(ctx context.Context, l load, result *sent) error {
	signer, request := traffic.NewSigner(), []byte(nil)
	var c *traffic.Connection
	defer func() {
		if c != nil {
			_ = c.Close()
		}
	}()
	full := func() bool { return l.recipients > 0 && result.recipients.Load() >= l.recipients }
	for time.Now().Before(l.until) && ctx.Err() == nil && !full() {
		call := l.next()
		request = signer.Append(request[:0], plan, int(s.calls.Add(1)), call.body)
		for answered := false; !answered; {
			var err error
			if c, err = send(ctx, c, l.address, request); err == nil {
				answered = true
				continue
			}
			if refused := (*traffic.RefusedError)(nil); !errors.As(err, &refused) {
				return fmt.Errorf("call: %w", err)
			}
			result.refused.Add(1)
			if !time.Now().Before(l.until) {
				return nil
			}
			select {
			case <-time.After(retryDelay):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		result.calls.Add(1)
		result.recipients.Add(int64(call.recipients))
	}
	return ctx.Err()
}

// send sends one HTTP request to dlrloop over connection c, or over a new one if c is nil. It returns the connection,
// which the caller can pass to the next call. On an error, such as a *traffic.RefusedError, it closes the connection
// and returns nil instead.
func send(
	ctx context.Context, c *traffic.Connection, address string, request []byte,
) (*traffic.Connection, error) {
	if c == nil {
		var err error
		if c, err = traffic.Dial(ctx, address); err != nil {
			return nil, err
		}
	}
	defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })()
	err := errors.Join(c.SetDeadline(time.Now().Add(answerTimeout)), c.Send(request))
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}
