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
		case i == front:
			l.state.put[i.id] = i.deferred()
		}
	}
}

// deferItem defers an item of the event log. due is the time for an item that was not attempted.
func (l *lane) deferItem(i *item, due, now time.Time) {
	l.state.lastID++
	i.id = l.state.lastID
	l.deferred[i.id] = i
	l.deferredBytes += i.bytes
	l.leaveWindow(i)
	if i.most = 1; i.attempts == 0 {
		i.since, i.due, i.most = now, due, 0
	}
	l.state.put[i.id] = i.deferred()
	l.metrics.DestinationEvents(l.destination.Name, metrics.DestinationDeferred, 1)
}

// deferUnfinished defers the events of the window that precede a delivered one, so that the cursor passes all delivered
// events. Call it before the last save, while no request is in flight.
func (l *lane) deferUnfinished(now time.Time) {
	slots := slices.Clone(l.window.slots)
	last := len(slots)
	for last > 0 && slots[last-1].item != nil {
		last--
	}
	for _, s := range slots[:last] {
		if s.item != nil { // more than fit are loaded page by page
			l.deferItem(s.item, now, now)
		}
	}
}

// leaveWindow removes an item from the window, which may advance the cursor.
func (l *lane) leaveWindow(i *item) {
	if cursor := l.window.finish(i); cursor != "" {
		l.state.cursor = cursor
	}
}

// delivered removes an event that the destination accepted.
func (l *lane) delivered(i *item) {
	l.queues.remove(i)
	if i.id == 0 {
		l.leaveWindow(i)
		return
	}
	l.forget(i)
	delete(l.state.put, i.id)
	l.state.remove[i.id] = struct{}{}
}

// forget removes an item from the deferred ones.
func (l *lane) forget(i *item) {
	delete(l.deferred, i.id)
	l.deferredBytes -= i.bytes
}

// giveUp gives up an event until an operator requeues it.
func (l *lane) giveUp(i *item, r store.DeliveryReason, now time.Time) {
	l.queues.remove(i)
	if i.id == 0 {
		l.state.lastID++
		i.id = l.state.lastID
		l.leaveWindow(i)
	} else {
		l.forget(i)
	}
	d := i.deferred()
	d.Dead, d.Due, d.Reason = true, time.Time{}, r
	if d.Attempts == 0 || d.Since.IsZero() {
		d.Since = now
	}
	l.state.put[i.id] = d
	l.metrics.DestinationEvents(l.destination.Name, metrics.DestinationDead, 1)
}
