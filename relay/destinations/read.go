package destinations

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/dlrloop/dlrloop/metrics"
	"github.com/dlrloop/dlrloop/store"
)

// eventPage is how many events one read of the event log returns, at most.
const eventPage = 500

// eventGuess is the assumed size of an event that is not read yet, in bytes. If little memory is left, fewer than
// eventPage events are read at once.
const eventGuess = 1 << 10

// readable reports whether more events may be read from the event log now. There must be memory for them, and the
// destination must not be paused. While the circuit breaker is not closed, events may be read only if no event from the
// log is in memory to probe the destination with. While too many events wait, only the memory counts, because the
// events become dead.
func (l *lane) readable() bool {
	limits := l.destination.limits
	switch {
	case l.window.items >= limits.events, len(l.window.slots) >= limits.slots, l.window.bytes >= limits.bytes,
		l.more, l.deferredFull(), len(l.state.put) >= putLimit:
		return false
	case l.excess > 0:
		return true // the events become dead
	case !l.state.pausedAt.IsZero():
		return false
	}
	// Otherwise a deferred event that always fails would be the only probe, and the circuit would never close.
	return l.circuit.State() == gobreaker.StateClosed || l.window.items == 0 && l.inFlight == 0
}

// read reads the next events of the event log, and adds those that the destination receives to the events that wait. It
// does nothing before l.readAt, and while readable returns false. At the end of the log, the next read is due after
// limits.poll.
func (l *lane) read(ctx context.Context, now time.Time) error {
	if now.Before(l.readAt) || !l.readable() {
		return nil
	}
	limits := l.destination.limits
	room := min(eventPage, limits.events-l.window.items, limits.slots-len(l.window.slots),
		max((limits.bytes-l.window.bytes)/eventGuess, 1))
	page, err := l.store.Events(ctx, l.readTo, room)
	if gone, ok := errors.AsType[*store.CursorGoneError](err); ok {
		return l.lost(ctx, gone)
	}
	if err != nil {
		return fmt.Errorf("read events: %w", err)
	}
	filtered := 0
	for i := range page.Events {
		e := &page.Events[i]
		if l.destination.receives(e) {
			l.add(*e, place{page.Cursor, i}, now)
			continue
		}
		filtered++
		if i+1 == len(page.Events) || l.destination.receives(&page.Events[i+1]) { // the last one in a row
			l.passed(place{page.Cursor, i})
		}
	}
	l.excess = max(l.excess-filtered, 0)
	l.metrics.DestinationEvents(l.destination.Name, metrics.DestinationFiltered, filtered)
	l.readTo = page.Next
	l.readAt = now
	if len(page.Events) == 0 {
		l.readAt = now.Add(limits.poll)
	}
	return nil
}

// passed moves the cursor past events that the destination does not receive. end is the place after these events. If
// earlier events still wait, the cursor moves once these are delivered, deferred or dead.
func (l *lane) passed(end place) {
	if !l.window.skip(end) {
		l.state.cursor = end.cursor()
	}
}

// add adds the event e, read from the event log, to the events that wait. end is the place in the log after e. If an
// earlier event of the same batch is deferred and not due yet, e is deferred, too.
func (l *lane) add(e store.Event, end place, now time.Time) {
	e.Raw = bytes.Clone(e.Raw) // else one event may keep a whole row of the event log in memory
	i := &item{event: e, bytes: sizeOf(&e), due: now}
	l.window.add(i, end)
	q := l.queues.of(&e, !l.destination.Unordered)
	l.queues.add(q, i)
	if front := q.front(); front.id != 0 && q.inFlight == 0 && front.due.After(now) {
		l.deferQueue(q, now)
	}
}

// lost is called when retention deleted events before they were read. gone.Oldest is the cursor before the oldest event
// that is still stored. lost logs and counts the loss, and continues from this cursor.
func (l *lane) lost(ctx context.Context, gone *store.CursorGoneError) error {
	backlog, err := l.store.EventBacklog(ctx, gone.Oldest)
	if err != nil {
		return fmt.Errorf("count events: %w", err)
	}
	n := max(l.waiting-backlog.Events, 1) // fewer than in fact, since more have arrived
	l.log.ErrorContext(ctx, "retention deleted events before they were delivered; continuing with the oldest that is left",
		"events_at_least", n)
	l.metrics.DestinationEvents(l.destination.Name, metrics.DestinationLost, n)
	l.readTo = gone.Oldest
	l.passed(place{cursorOf: func(int) string { return gone.Oldest }})
	l.waiting = backlog.Events
	return nil
}

// count counts the events that wait, at most once per limits.count, and sets the metrics of the destination. It also
// finds out how many of the oldest must become dead, because more than MaxPending wait.
func (l *lane) count(ctx context.Context, now time.Time) error {
	if now.Before(l.countAt) {
		return nil
	}
	backlog, err := l.store.EventBacklog(ctx, l.state.cursor)
	waiting := backlog.Events - l.window.finished()
	if gone, ok := errors.AsType[*store.CursorGoneError](err); ok {
		// The events in the window are not lost, even if the store has deleted them.
		if backlog, err = l.store.EventBacklog(ctx, l.readTo); err == nil {
			waiting = l.window.items + backlog.Events
		} else if errors.As(err, &gone) {
			return l.lost(ctx, gone)
		}
	}
	if err != nil {
		return fmt.Errorf("count events: %w", err)
	}
	l.waiting = waiting
	l.excess = max(waiting-l.destination.MaxPending, 0)
	waiting = max(waiting, 0) + len(l.deferred)
	oldest := backlog.Oldest
	for _, i := range l.deferred {
		if oldest.IsZero() || i.event.At.Before(oldest) {
			oldest = i.event.At
		}
	}
	state := metrics.DestinationState{Waiting: waiting, Dead: l.dead, Paused: !l.state.pausedAt.IsZero()}
	if waiting > 0 && !oldest.IsZero() {
		state.Oldest = now.Sub(oldest)
	}
	l.metrics.DestinationState(l.destination.Name, state)
	l.countAt = now.Add(l.destination.limits.count)
	return nil
}

// shed makes the oldest waiting events dead while more than MaxPending wait, at most putLimit at a time. read then
// reads the next ones, until the excess is gone. Deferred events do not count for MaxPending. They have limits of their
// own, which only a requeue can exceed, and requeued events must not become dead again at once.
func (l *lane) shed(ctx context.Context, now time.Time) error {
	// A probe has the oldest events. If others became dead meanwhile, passDead would defer those of the probe, and probe
	// after probe would fill the memory for deferred events.
	if l.excess == 0 || l.inFlight > 0 && l.circuit.State() != gobreaker.StateClosed {
		return nil
	}
	room := min(l.excess, putLimit-len(l.state.put))
	var victims []*item
	for _, s := range l.window.slots {
		if len(victims) >= room {
			break
		}
		if s.waits() && !s.item.isInFlight() {
			victims = append(victims, s.item)
		}
	}
	for _, i := range victims {
		l.giveUp(i, store.DeliveryOverflow, now)
	}
	if l.excess -= len(victims); len(victims) > 0 {
		l.log.ErrorContext(ctx, "too many events wait for the destination; the oldest are dead until they are requeued",
			"events", len(victims), "max_pending", l.destination.MaxPending)
	}
	return nil
}
