package destinations

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/dlrloop/dlrloop/store"
)

// eventLog is a store.EventLog in memory. It fails the test if a caller violates the contract.
type eventLog struct {
	t testing.TB

	mu           sync.Mutex // guards the fields below
	events       []store.Event
	trimmed      int // events deleted from the front
	destinations map[string]*storedDestination
	saves, reads int
	saveFault    func() (applied bool, err error) // of the next saves; nil for none
	readFault    error
	closed       bool
}

type storedDestination struct {
	store.Destination
	events map[int64]store.DeferredEvent
}

func newEventLog(t testing.TB) *eventLog {
	return &eventLog{t: t, destinations: make(map[string]*storedDestination)}
}

// failWith makes saves and reads fail from now on; nil for those that work.
func (l *eventLog) failWith(save func() (applied bool, err error), read error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.saveFault, l.readFault = save, read
}

// calls returns how often the log was read and a destination saved.
func (l *eventLog) calls() (reads, saves int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reads, l.saves
}

// append adds events to the log.
func (l *eventLog) append(events ...store.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, events...)
}

// trim deletes the oldest events, so that n have been deleted in all.
func (l *eventLog) trim(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = l.events[n-l.trimmed:]
	l.trimmed = n
}

func (l *eventLog) at(cursor string) (int, error) {
	if cursor == "" {
		return l.trimmed, nil
	}
	n, err := strconv.Atoi(cursor)
	switch {
	case err != nil || n > l.trimmed+len(l.events):
		return 0, store.ErrCursor
	case n < l.trimmed:
		return 0, &store.CursorGoneError{Oldest: strconv.Itoa(l.trimmed)}
	}
	return n, nil
}

func (l *eventLog) fault() error {
	switch {
	case l.closed:
		return store.ErrClosed
	case l.readFault != nil:
		return l.readFault
	}
	return nil
}

func (l *eventLog) Events(_ context.Context, cursor string, limit int) (store.EventPage, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reads++
	from, err := l.at(cursor)
	if err = errors.Join(l.fault(), err); err != nil {
		if gone, ok := errors.AsType[*store.CursorGoneError](err); ok {
			return store.EventPage{}, gone
		}
		return store.EventPage{}, err
	}
	to := min(from+limit, l.trimmed+len(l.events))
	return store.EventPage{
		Events: slices.Clone(l.events[from-l.trimmed : to-l.trimmed]), Next: strconv.Itoa(to),
		Cursor: func(i int) string { return strconv.Itoa(from + i + 1) },
	}, nil
}

func (l *eventLog) EventsEnd(context.Context) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strconv.Itoa(l.trimmed + len(l.events)), l.fault()
}

func (l *eventLog) EventBacklog(_ context.Context, cursor string) (store.EventBacklog, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	from, err := l.at(cursor)
	if fault := l.fault(); fault != nil {
		err = fault
	}
	b := store.EventBacklog{Events: l.trimmed + len(l.events) - from}
	if err != nil {
		return store.EventBacklog{}, err
	}
	if b.Events > 0 {
		b.Oldest = l.events[from-l.trimmed].At
	}
	return b, nil
}

func (l *eventLog) Destinations(context.Context) ([]store.Destination, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []store.Destination
	for _, name := range slices.Sorted(maps.Keys(l.destinations)) {
		all = append(all, l.destinations[name].counted())
	}
	return all, l.fault()
}

func (d *storedDestination) counted() store.Destination {
	c := d.Destination
	for _, e := range d.events {
		if e.Dead {
			c.Dead++
		} else {
			c.Deferred++
		}
	}
	return c
}

func (l *eventLog) SaveDestination(_ context.Context, name string, c store.DestinationChange) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.saves++
	if l.closed {
		return 0, store.ErrClosed
	}
	var fault error
	if l.saveFault != nil {
		applied, err := l.saveFault()
		if fault = err; err != nil && !applied {
			return 0, err
		}
	}
	d := l.destinations[name]
	if d == nil {
		d = &storedDestination{Destination: store.Destination{Name: name}, events: make(map[int64]store.DeferredEvent)}
	}
	if d.Epoch != c.Epoch {
		return 0, store.ErrConflict
	}
	if _, err := l.at(c.Cursor); errors.Is(err, store.ErrCursor) || c.Cursor == "" {
		l.t.Errorf("cursor %q", c.Cursor)
	}
	if was, _ := strconv.Atoi(d.Cursor); d.Cursor != "" {
		if is, _ := strconv.Atoi(c.Cursor); is < was {
			l.t.Errorf("cursor %d after %d", is, was)
		}
	}
	l.destinations[name] = d
	d.Cursor, d.PausedAt = c.Cursor, c.PausedAt
	d.Epoch++
	before := d.LastID
	for _, e := range c.Put {
		_, known := d.events[e.ID]
		if e.Dead != e.Due.IsZero() || e.Since.IsZero() || e.ID <= 0 || !known && e.ID > before && e.ID <= d.LastID {
			l.t.Errorf("not a deferred event: %+v", e)
		}
		if slices.Contains(c.Delete, e.ID) {
			l.t.Errorf("event %d is both stored and deleted", e.ID)
		}
		d.events[e.ID] = e
		d.LastID = max(d.LastID, e.ID)
	}
	for _, id := range c.Delete {
		delete(d.events, id)
	}
	if fault != nil {
		return 0, fault
	}
	return d.Epoch, nil
}

func (l *eventLog) DeferredEvents(
	_ context.Context, name string, dead bool, p store.Paging,
) (store.Page[store.DeferredEvent], error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := l.destinations[name]
	if d == nil {
		return store.Page[store.DeferredEvent]{}, store.ErrNotFound
	}
	var page store.Page[store.DeferredEvent]
	after, _ := strconv.ParseInt(p.Cursor, 10, 64)
	for _, id := range slices.Sorted(maps.Keys(d.events)) {
		if e := d.events[id]; id > after && e.Dead == dead {
			if len(page.Items) == p.Size() {
				page.Next = strconv.FormatInt(page.Items[len(page.Items)-1].ID, 10)
				break
			}
			page.Items = append(page.Items, e)
		}
	}
	return page, l.fault()
}

func (l *eventLog) RequeueEvents(_ context.Context, name string, now time.Time) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := l.destinations[name]
	if d == nil {
		return 0, store.ErrNotFound
	}
	n := 0
	for id, e := range d.events {
		if e.Dead {
			e.Dead, e.Due, e.Since, e.Attempts = false, now, now, 0
			d.events[id] = e
			n++
		}
	}
	d.PausedAt = time.Time{}
	d.Epoch++
	return n, nil
}

func (l *eventLog) DeleteDestination(_ context.Context, name string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.destinations, name)
	return nil
}

// stored returns a stored destination, and its deferred and dead events in the order of their ids.
func (l *eventLog) stored(name string) (d store.Destination, events []store.DeferredEvent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	found := l.destinations[name]
	if found == nil {
		l.t.Fatalf("no destination %s", name)
	}
	for _, id := range slices.Sorted(maps.Keys(found.events)) {
		events = append(events, found.events[id])
	}
	return found.counted(), events
}
