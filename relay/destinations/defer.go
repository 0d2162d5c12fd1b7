package destinations

import (
	"slices"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/dlrloop/dlrloop/metrics"
	"github.com/dlrloop/dlrloop/store"
)

// mustDefer decides what to do with an event after a failed attempt. For an event that is not deferred, true means to
// defer it and the later events of its batch, so that the events of other batches go on. For a deferred event, true
// means to store its new number of attempts. limited means that the destination answered 429, which defers no event.
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

// deferQueue defers the waiting events of one batch, in order. It stops when the memory for deferred events is full,
// and while the circuit breaker is not closed. If the first event of the queue is already stored as deferred, the next
// save stores its new state.
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

// deferItem defers an event that was read from the event log: the event is kept and stored apart, to be retried later.
// An event that was not attempted yet gets the due time given by due; any other event keeps its own. The event is
// stored by the save that moves the stored cursor past it. An earlier save would be wrong: after a crash the event
// would be both among the deferred events and in the unread part of the event log, and would be delivered twice.
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

// deferUnfinished defers each event that still waits although a later event is already delivered. The stored cursor can
// then move past the later event, so that a stop does not repeat it. deferUnfinished is called before the last save,
// while no request is in flight.
func (l *lane) deferUnfinished(now time.Time) {
	l.deferBefore(func(s *slot) bool { return !s.waits() }, now)
}

// passDead defers each event that still waits or is in flight although a later event is dead. The cursor can then move
// past the dead event. passDead is called before each save, because a save stores the dead events: a dead event that
// the stored cursor has not passed would be read from the event log again after a crash.
func (l *lane) passDead(now time.Time) {
	l.deferBefore(func(s *slot) bool { return s.dead }, now)
}

// deferBefore defers some waiting events of the window: those before the last event for which passed returns true. The
// cursor can then move past that event, since deferred events are stored apart. If passed is never true, deferBefore
// does nothing.
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

// advance moves the cursor past the oldest events, up to the first event that still waits. It adds each deferred event
// that the cursor passes to the next save.
func (l *lane) advance() {
	cursor, deferred := l.window.advance()
	if cursor != "" {
		l.state.cursor = cursor
	}
	for _, i := range deferred {
		l.state.put[i.id] = i.deferred()
	}
}

// delivered removes an event that the destination accepted from memory. If the event is stored as deferred, the next
// save deletes it.
func (l *lane) delivered(i *item) {
	l.queues.remove(i)
	stored := i.slot == nil
	l.forget(i)
	if stored {
		delete(l.state.put, i.id)
		l.state.remove[i.id] = struct{}{}
	}
}

// forget removes an event that is delivered or dead from memory. This may let the cursor move past it and the next
// events. The item must already be removed from its queue.
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

// giveUp makes an event dead: the next save stores it with the reason r, and it is not sent again until an operator
// requeues it. The next event of its batch may then be sent.
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
