package destinations

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/dlrloop/dlrloop/relay"
	"github.com/dlrloop/dlrloop/store"
)

// progress is what this process knows about one destination: the stored state, the events that wait in memory, and the
// changes that are not saved yet. The zero value means that the stored state is not loaded.
type progress struct {
	loaded bool
	queues queues
	window window
	readTo string // the cursor after the last event that was read

	deferred      map[int64]*item // by DeferredEvent.ID; those that are loaded
	deferredBytes int
	more          bool   // more deferred events are stored than fit; the event log is not read until all are loaded
	nextDeferred  string // cursor of the next page of them

	state   change // the present state; its put and remove are not saved yet
	saving  *change
	stored  change   // the last state known to be stored, without put and remove
	tried   []change // the states since then whose save failed; one of them may be stored
	epoch   int64
	dead    int // dead events in the store, at the last check
	waiting int // events after the cursor at the last count

	saveFailures int // consecutive failed saves
}

// change is a state of a destination, together with the deferred and dead events to store (put) and to delete (remove)
// in order to reach that state. One save stores a change in one transaction.
type change struct {
	cursor   string
	lastID   int64 // the largest id of a deferred event: of the stored ones or, in the present state, of all so far
	pausedAt time.Time
	put      map[int64]store.DeferredEvent
	remove   map[int64]struct{}
}

// sameAs reports whether the stored destination d has the cursor and the last id of c. If an operator requeues events,
// both stay the same. If another replica moves on in the event log, the cursor changes.
func (c change) sameAs(d store.Destination) bool { return c.cursor == d.Cursor && c.lastID == d.LastID }

// dirty reports whether something must be saved: whether the state in memory differs from the last one known to be
// stored. It is false while no state is loaded.
func (p *progress) dirty() bool {
	return p.loaded && (len(p.state.put)+len(p.state.remove) > 0 || p.state.cursor != p.stored.cursor ||
		!p.state.pausedAt.Equal(p.stored.pausedAt))
}

// find returns the stored destination. If an operator deleted it, find logs a warning and creates it anew, so that it
// receives the events that happen from now on.
func (l *lane) find(ctx context.Context) (store.Destination, error) {
	for {
		all, err := l.store.Destinations(ctx)
		if err != nil {
			return store.Destination{}, fmt.Errorf("read the destinations: %w", err)
		}
		for _, d := range all {
			if d.Name == l.destination.Name {
				return d, nil
			}
		}
		l.log.WarnContext(ctx, "the destination was deleted; it begins anew with the next event")
		if err := create(ctx, l.store, l.destination.Name); err != nil {
			return store.Destination{}, err
		}
	}
}

// load replaces everything in memory by the stored progress of the destination and its deferred events, as many as fit.
// If it returns an error, nothing is loaded, and it must be called again.
func (l *lane) load(ctx context.Context, now time.Time) error {
	d, err := l.find(ctx)
	if err != nil {
		return err
	}
	l.progress = progress{
		loaded: true, readTo: d.Cursor, deferred: make(map[int64]*item),
		queues: queues{byBatch: make(map[store.BatchKey]*queue)},
	}
	l.take(d)
	l.state.cursor, l.state.lastID = d.Cursor, d.LastID
	l.clearChanges()
	l.readAt, l.saveAt, l.checkAt, l.countAt = now, now, now.Add(l.destination.limits.check), now
	if err := l.loadDeferred(ctx, "", now); err != nil {
		l.progress = progress{}
		return err
	}
	return nil
}

// take adopts what the stored destination d says: its epoch (which rises with each change), its pause and the number of
// its dead events. It does not change the events in memory or the cursor up to which they were delivered.
func (l *lane) take(d store.Destination) {
	l.epoch, l.dead = d.Epoch, d.Dead
	l.stored = change{cursor: d.Cursor, lastID: d.LastID, pausedAt: d.PausedAt}
	l.tried = nil
	l.state.pausedAt = d.PausedAt
}

func (l *lane) clearChanges() {
	l.state.put, l.state.remove = make(map[int64]store.DeferredEvent), make(map[int64]struct{})
}

// deferredPage is how many deferred events (those to be retried later) one call of the store returns, at most.
const deferredPage = 100

// loadDeferred reads stored deferred events page by page, until none is left or the memory for them is full. from is
// the cursor of the page to begin with, or "" for the first page. Events that are already in memory are skipped.
func (l *lane) loadDeferred(ctx context.Context, from string, now time.Time) error {
	l.more, l.nextDeferred = true, from
	for !l.deferredFull() {
		page, err := l.store.DeferredEvents(ctx, l.destination.Name, false,
			store.Paging{Cursor: l.nextDeferred, Limit: deferredPage})
		if err != nil && !errors.Is(err, store.ErrNotFound) { // not found: check will notice it
			return fmt.Errorf("read the deferred events: %w", err)
		}
		for _, d := range page.Items {
			l.addDeferred(d, now)
		}
		if l.nextDeferred = page.Next; l.nextDeferred == "" {
			l.more = false
			return nil
		}
	}
	return nil
}

func (l *lane) deferredFull() bool {
	return len(l.deferred) >= l.destination.limits.deferred || l.deferredBytes >= l.destination.limits.deferredBytes
}

// addDeferred adds a stored deferred event to the events that wait. It skips an event that is already in memory. It
// also skips an event that was delivered or became dead, if that change is not saved yet.
func (l *lane) addDeferred(d store.DeferredEvent, now time.Time) {
	_, waits := l.deferred[d.ID]
	_, removed := l.state.remove[d.ID]
	put, changed := l.state.put[d.ID]
	if changed && put.Dead && d.Since.After(put.Since) {
		// A save that seemed to fail stored the dead event, and then an operator requeued it.
		delete(l.state.put, d.ID)
		changed = false
	}
	if waits || removed || changed {
		return
	}
	i := &item{
		event: d.Event, bytes: sizeOf(&d.Event), id: d.ID, attempts: d.Attempts, since: d.Since, due: d.Due,
		reason: d.Reason, detail: d.Detail,
	}
	if i.due.After(l.latestDue(now)) {
		i.due = now // the time came from a clock that has since been set back
	}
	if i.attempts > 0 {
		i.most = 1
	}
	l.deferred[i.id] = i
	l.deferredBytes += i.bytes
	l.queues.add(l.queues.of(&i.event, !l.destination.Unordered), i)
}

// latestDue returns the latest due time that an event can have at the given time, now. A later due time must have been
// computed before the clock was set back.
func (l *lane) latestDue(now time.Time) time.Time {
	return now.Add(l.destination.Backoff.Longest())
}

// loadMore reads further deferred events from the store, if there are more than fitted into memory. It reads them only
// when at most half of the memory for deferred events is in use. It does nothing while a save is in progress, because
// an event that the save deletes must not be read again.
func (l *lane) loadMore(ctx context.Context, now time.Time) error {
	limits := l.destination.limits
	if !l.more || l.saving != nil || len(l.deferred) > limits.deferred/2 || l.deferredBytes > limits.deferredBytes/2 {
		return nil
	}
	return l.loadDeferred(ctx, l.nextDeferred, now)
}

// check reads the stored destination, at most once per limits.check and not during a save. If the stored epoch is not
// l.epoch, somebody else changed the destination, such as an operator who requeued events. check then adopts the
// change.
func (l *lane) check(ctx context.Context, now time.Time) error {
	if now.Before(l.checkAt) || l.saving != nil {
		return nil
	}
	d, err := l.find(ctx)
	if err != nil {
		return err
	}
	if d.Epoch != l.epoch {
		if err := l.reload(ctx, d, now); err != nil {
			return err
		}
	}
	l.dead = d.Dead
	l.checkAt = now.Add(l.destination.limits.check)
	return nil
}

// reload adopts a stored destination that somebody else changed. After a requeue it keeps what is in memory, adds the
// requeued events, ends the pause, and retries failed events without further delay. After any other change it drops
// everything in memory, and the next step loads the stored state.
func (l *lane) reload(ctx context.Context, d store.Destination, now time.Time) error {
	if !l.stored.sameAs(d) && !slices.ContainsFunc(l.tried, func(c change) bool { return c.sameAs(d) }) {
		l.log.WarnContext(ctx, "another replica or an operator changed the progress of the destination; loading it")
		l.progress = progress{}
		return nil
	}
	if d.PausedAt.IsZero() && !l.state.pausedAt.IsZero() {
		l.log.InfoContext(ctx, "destination resumed")
	}
	l.take(d)
	l.countAt, l.paused = now, relay.Pause{}
	l.queues.retry(now)
	return l.loadDeferred(ctx, "", now)
}

// maxTried limits how many failed saves are remembered; beyond it, the oldest are forgotten. A failed save is
// remembered because the store may have applied it in spite of the error.
const maxTried = 1000

// saved is the result of a save: the new epoch of the stored destination (which rises with each change), or the error
// of the store.
type saved struct {
	epoch int64
	err   error
}

// saveTimeout cancels a save that the store has not finished. The changes are then saved again.
const saveTimeout = 30 * time.Second

// save starts a goroutine that stores the unsaved changes in one transaction. It does nothing while another save is in
// progress, if nothing changed, or if the last save is less than limits.save ago. The goroutine sends its result to
// l.saves.
func (l *lane) save(ctx context.Context, now time.Time) {
	if l.saving != nil || !l.dirty() || now.Before(l.saveAt) && len(l.state.put) < putLimit {
		return
	}
	l.passDead(now)
	c := l.state
	l.saving = &c
	l.clearChanges()
	stored := store.DestinationChange{
		Epoch: l.epoch, Cursor: c.cursor, PausedAt: c.pausedAt, Delete: slices.Sorted(maps.Keys(c.remove)),
	}
	c.lastID = l.stored.lastID // not l.state.lastID: an event may be delivered before it is stored as deferred
	for _, id := range slices.Sorted(maps.Keys(c.put)) {
		stored.Put = append(stored.Put, c.put[id])
		c.lastID = max(c.lastID, id)
	}
	l.saveAt = now.Add(l.destination.limits.save)
	go func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
		defer cancel()
		epoch, err := l.store.SaveDestination(ctx, l.destination.Name, stored)
		l.saves <- saved{epoch, err}
	}()
}

// putLimit limits how many deferred and dead events wait for the next save, roughly. While that many wait, no request
// begins and no event is read.
const putLimit = 1000

// saveEnded applies the result of a save. After an error, the changes go into the next save, unless newer ones replace
// them. After store.ErrConflict, check reads the stored destination before the next request begins.
func (l *lane) saveEnded(ctx context.Context, s saved) {
	c := l.saving
	l.saving = nil
	if s.err == nil {
		l.epoch, l.saveFailures = s.epoch, 0
		l.stored = change{cursor: c.cursor, lastID: c.lastID, pausedAt: c.pausedAt}
		l.tried = nil
		return
	}
	l.saveFailures++
	for id := range c.remove {
		l.state.remove[id] = struct{}{}
	}
	for id, d := range c.put {
		_, newer := l.state.put[id]
		_, removed := l.state.remove[id]
		if !newer && !removed {
			l.state.put[id] = d
		}
	}
	if errors.Is(s.err, store.ErrConflict) {
		l.checkAt, l.saveAt = time.Time{}, time.Time{} // check adopts the change before the next request
		return
	}
	l.tried = append(l.tried, change{cursor: c.cursor, lastID: c.lastID})
	l.tried = l.tried[max(len(l.tried)-maxTried, 0):]
	l.saveAt = store.Now().Add(l.destination.limits.retry)
	l.storeFailed(ctx, s.err)
}

// saveLast saves the progress when deliveries end, in up to three tries. If all fail, it logs that some events will be
// delivered again, and returns nil. It returns an error only if the store is closed.
func (l *lane) saveLast(ctx context.Context) error {
	l.deferUnfinished(store.Now())
	for range 3 {
		if l.saving != nil {
			s := <-l.saves
			if l.saveEnded(ctx, s); errors.Is(s.err, store.ErrClosed) {
				return fmt.Errorf("destination %s: %w", l.destination.Name, s.err)
			}
			if errors.Is(s.err, store.ErrConflict) {
				if err := l.check(ctx, store.Now()); err != nil {
					break
				}
			}
		}
		if !l.dirty() {
			return nil
		}
		l.saveAt = time.Time{}
		l.save(ctx, store.Now())
	}
	if l.saving != nil {
		l.saveEnded(ctx, <-l.saves)
	}
	if l.dirty() {
		l.log.ErrorContext(ctx, "the progress of the destination cannot be stored; some events will be delivered again")
	}
	return nil
}
