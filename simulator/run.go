package simulator

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"
)

// busy is how many agenda entries Run works off before it lets the handlers have their turn.
const busy = 512

// ErrRunning is returned by Run while another Run runs.
var ErrRunning = errors.New("simulator: already running")

// Run changes statuses and delivers callbacks until ctx ends, then waits for every goroutine that it started and returns nil.
// It may be run again: what was pending then goes on. Attempts that the end of ctx cut off are made again.
func (s *Simulator) Run(ctx context.Context) error {
	if !s.running.CompareAndSwap(false, true) {
		return ErrRunning
	}
	defer s.running.Store(false)
	var workers sync.WaitGroup
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		start, wait := s.proceed(time.Now())
		for _, c := range start {
			workers.Go(func() { s.work(ctx, c) })
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-s.wake:
		}
	}
	workers.Wait()
	if own, ok := s.transport.(*http.Transport); ok && s.config.Transport == nil {
		own.CloseIdleConnections()
	}
	return nil
}

// proceed works off what is due and returns the callbacks to start workers with, and how long until there is more to do.
func (s *Simulator) proceed(now time.Time) (start []*callback, wait time.Duration) {
	s.mu.Lock()
	defer s.unlock()
	for range busy {
		e, ok := s.due(now)
		if !ok {
			break
		}
		switch {
		case e.callback != nil:
			e.callback.target.enqueue(e.callback)
		case e.target != nil:
			e.target.plan.ready.push(e.target)
		case e.departure > 0:
			if e.departure == e.batch.departure {
				s.leave(e.batch)
			}
		default:
			s.change(e.batch, int(e.recipient), e.stage, e.due)
		}
	}
	for _, p := range s.planOrder {
		for c := s.next(p, now); c != nil; c = s.next(p, now) {
			start = append(start, c)
		}
	}
	if len(s.agenda) == 0 {
		return start, time.Hour
	}
	return start, max(0, s.agenda[0].due.Sub(now))
}

func (t *target) enqueue(c *callback) {
	t.waiting.push(c)
	if !t.listed {
		t.listed = true
		t.plan.ready.push(t)
	}
}

// next takes the callback that p sends next. There is none if nothing is due, every target with something due is throttled,
// or the plan has all its callbacks in flight. Targets take turns.
func (s *Simulator) next(p *plan, now time.Time) *callback {
	for p.inFlight < s.config.MaxCallbacksInFlight && p.ready.len() > 0 {
		t := p.ready.pop()
		if wait := t.throttle.wait(now); wait > 0 {
			s.schedule(entry{due: now.Add(wait), target: t})
			continue
		}
		c := t.waiting.pop()
		t.listed = t.waiting.len() > 0
		if t.listed {
			p.ready.push(t)
		}
		p.inFlight++
		return c
	}
	return nil
}
