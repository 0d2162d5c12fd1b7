package destinations

import (
	"slices"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/dlrloop/dlrloop/metrics"
	"github.com/dlrloop/dlrloop/store"
)

// mustDefer decides about an event whose attempt failed. For an event that is not deferred yet, true means: defer it,
// and the later events of its batch behind it. For a deferred event, true means: store its new state. limited is true
// if the destination answered 429.
func (l *lane) mustDefer(i *item, limited bool, now time.Time) bool {
	if i.id != 0 {
		return i.attempts > 0
	}
	if limited || l.circuit.State() != gobreaker.StateClosed {
		return false // the destination fails as a whole
	}
	limits := l.destination.limits
	return i.attempts >= limits.attempts || i.attempts > 1 && now.Sub(i.since) >= limits.hold
}

// deferQueue defers the items of a queue, as many as fit. If the first one is deferred already, deferQueue stores its
// new state.
func (l *lane) deferQueue(q *queue, now time.Time) {
	front := q.front()
	for _, i := range q.items {
		switch {
		case i.id == 0:
			if l.deferredFull() || l.circuit.State() != gobreaker.StateClosed {
				return
			}
			l.deferItem(i, front.due, now)
		case i == front && i.slot == nil: // else it is not stored yet
			l.state.put[i.id] = i.deferred()
		}
	}
}

// deferItem defers an item of the event log. due is the time for an item that was not attempted.
//
// A deferred event is stored by the save that lets the cursor pass it, and no earlier. Otherwise, after a crash, it
// would be read both from the deferred events and from the event log, and delivered twice. A crash before that save
// forgets only its failed attempts.
func (l *lane) deferItem(i *item, due, now time.Time) {
	l.window.leave(i)
	l.state.lastID++
	i.id = l.state.lastID
	l.deferred[i.id] = i
	l.deferredBytes += i.bytes
	if i.most = 1; i.attempts == 0 {
		i.since, i.due, i.most = now, due, 0
	}
	l.advance()
	l.metrics.DestinationEvents(l.destination.Name, metrics.DestinationDeferred, 1)
}

// deferUnfinished defers the events of the window that precede one which does not wait, so that the cursor passes all
// delivered events. Call it before the last save, while no request is in flight.
func (l *lane) deferUnfinished(now time.Time) {
	l.deferBefore(func(s *slot) bool { return !s.waits() }, now)
}

// passDead defers the events of the window that precede a dead one, which may be in flight. So a save lets the cursor
// pass the dead events that it stores. Otherwise they would be read from the event log again after a crash.
func (l *lane) passDead(now time.Time) {
	l.deferBefore(func(s *slot) bool { return s.dead }, now)
}

// deferBefore defers the events of the window that precede the last slot for which passed returns true.
func (l *lane) deferBefore(passed func(*slot) bool, now time.Time) {
	last := len(l.window.slots)
	for last > 0 && !passed(l.window.slots[last-1]) {
		last--
	}
	for _, s := range slices.Clone(l.window.slots[:last]) {
		if s.waits() { // more than fit are loaded page by page
			l.deferItem(s.item, now, now)
		}
	}
}

// advance lets the cursor pass the events at the front of the window that do not wait.
func (l *lane) advance() {
	cursor, deferred := l.window.advance()
	if cursor != "" {
		l.state.cursor = cursor
	}
	for _, i := range deferred {
		l.state.put[i.id] = i.deferred()
	}
}

// delivered removes an event that the destination accepted.
func (l *lane) delivered(i *item) {
	l.queues.remove(i)
	stored := i.slot == nil
	l.forget(i)
	if stored {
		delete(l.state.put, i.id)
		l.state.remove[i.id] = struct{}{}
	}
}

// forget removes an item from the window and from the deferred ones.
func (l *lane) forget(i *item) {
	if i.id == 0 {
		l.window.leave(i)
	} else {
		delete(l.deferred, i.id)
		l.deferredBytes -= i.bytes
	}
	if i.slot != nil {
		i.slot.item, i.slot = nil, nil
		l.advance()
	}
}

// giveUp gives up an event until an operator requeues it.
func (l *lane) giveUp(i *item, r store.DeliveryReason, now time.Time) {
	l.queues.remove(i)
	if i.slot != nil {
		i.slot.dead = true
	}
	if l.forget(i); i.id == 0 {
		l.state.lastID++
		i.id = l.state.lastID
	}
	d := i.deferred()
	d.Dead, d.Due, d.Reason = true, time.Time{}, r
	if d.Attempts == 0 || d.Since.IsZero() {
		d.Since = now
	}
	l.state.put[i.id] = d
	l.metrics.DestinationEvents(l.destination.Name, metrics.DestinationDead, 1)
}
