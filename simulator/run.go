package simulator

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"
)

// maxEntries is the number of agenda entries that Run executes before it unlocks mu, so that API calls are not
// blocked.
const maxEntries = 512

// ErrRunning is returned by Run if Run is already running.
var ErrRunning = errors.New("simulator: already running")

// Run changes statuses and sends callbacks until ctx ends. It waits for its goroutines and returns nil. Run may be
// called again and then continues with the pending work, including the attempts that the end of ctx interrupted.
func (s *Simulator) Run(ctx context.Context) error {
	if !s.running.CompareAndSwap(false, true) {
		return ErrRunning
	}
	defer s.running.Store(false)
	var workers sync.WaitGroup
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		start, wait := s.runDue(time.Now())
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

// runDue executes the agenda entries that are due. It returns the callbacks to start workers with, and the time until
// the next entry is due.
func (s *Simulator) runDue(now time.Time) (start []*callback, wait time.Duration) {
	s.mu.Lock()
	defer s.unlock()
	for range maxEntries {
		e, ok := s.due(now)
		if !ok {
			break
		}
		switch {
		case e.callback != nil:
			e.callback.target.enqueue(e.callback)
		case e.target != nil:
			e.target.plan.ready.push(e.target)
		case e.dispatchVersion > 0:
			if e.dispatchVersion == e.batch.dispatchVersion {
				s.dispatch(e.batch)
			}
		default:
			s.advance(e.batch, int(e.recipient), e.stage, e.due)
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
	if !t.scheduled {
		t.scheduled = true
		t.plan.ready.push(t)
	}
}

// next removes the callback that p sends next from its queue. It returns nil if nothing is due, if every target with
// due callbacks is throttled, or if p has MaxCallbacksInFlight callbacks in flight. Targets take turns.
func (s *Simulator) next(p *plan, now time.Time) *callback {
	for p.inFlight < s.config.MaxCallbacksInFlight && p.ready.len() > 0 {
		t := p.ready.pop()
		if wait := t.throttle.reserve(now); wait > 0 {
			s.schedule(entry{due: now.Add(wait), target: t})
			continue
		}
		c := t.waiting.pop()
		t.scheduled = t.waiting.len() > 0
		if t.scheduled {
			p.ready.push(t)
		}
		p.inFlight++
		return c
	}
	return nil
}
