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

const (
	// ingestConnections bring reports of recipients, burstConnections full reports.
	ingestConnections, burstConnections = 64, 8
	// active is how many batches are reported of at a time.
	active = 100
	// answerPatience is how long an answer may take.
	answerPatience = time.Minute
	// pause is what a connection waits after a refusal, as Sinch does, but shorter.
	pause = 200 * time.Millisecond
)

// callback is what the next call brings.
type callback struct {
	body       []byte
	recipients int // that it names
}

// source makes the callbacks of a run. No two batches are the same.
type source struct {
	calls   atomic.Int64
	batches atomic.Int64 // used so far

	mu      sync.Mutex // guards what follows
	planned []traffic.Report
}

// full is the full report of a new batch.
func (s *source) full() callback {
	return callback{traffic.FullBody(int(s.batches.Add(1)-1), traffic.Number), traffic.Recipients}
}

// old is one of a batch that is stored before anything is measured. Its numbers are in order, so they do not lie in the part
// of the index that later batches write to, as those of earlier days do not.
func (s *source) old() callback {
	return callback{traffic.FullBody(int(s.batches.Add(1)-1), traffic.InOrder), traffic.Recipients}
}

// recipient is the next report of a recipient of the active batches.
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

// load is callbacks over several connections, each busy with one call at a time.
type load struct {
	address     string
	connections int
	next        func() callback
	until       time.Time
	recipients  int64 // it also ends when so many are acknowledged; 0 for no such end
}

// sent is what became of a load.
type sent struct {
	calls, recipients, refused atomic.Int64
	took                       time.Duration
}

func (s *sent) rate() float64 { return float64(s.recipients.Load()) / s.took.Seconds() }

// run drives the load until its end. A call that is refused is repeated, as Sinch does.
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
			case <-time.After(pause):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		result.calls.Add(1)
		result.recipients.Add(int64(call.recipients))
	}
	return ctx.Err()
}

// send sends a request over c, or over a new connection if c is nil. It returns the connection if that can be used again.
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
	err := errors.Join(c.SetDeadline(time.Now().Add(answerPatience)), c.Send(request))
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}
