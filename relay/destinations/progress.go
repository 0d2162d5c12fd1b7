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

// progress is what a lane knows of its destination: the stored state, the events that wait, and the changes that are
// not saved yet. The zero value is that of a lane which has not loaded the stored state.
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

// change is a state of a destination and what leads to it.
type change struct {
	cursor   string
	lastID   int64 // the largest id of a deferred event: of the stored ones or, in the present state, of all so far
	pausedAt time.Time
	put      map[int64]store.DeferredEvent
	remove   map[int64]struct{}
}

// sameAs reports whether c is the stored state d. An operator's requeue does not change this.
func (c change) sameAs(d store.Destination) bool { return c.cursor == d.Cursor && c.lastID == d.LastID }

// dirty reports whether the state differs from the stored one.
func (p *progress) dirty() bool {
	return p.loaded && (len(p.state.put)+len(p.state.remove) > 0 || p.state.cursor != p.stored.cursor ||
		!p.state.pausedAt.Equal(p.stored.pausedAt))
}

// find returns the stored destination. If it does not exist, because an operator deleted it, find creates it anew.
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

// load reads the stored state and the deferred events.
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

// take adopts the epoch, the pause and the number of dead events of the stored destination.
func (l *lane) take(d store.Destination) {
	l.epoch, l.dead = d.Epoch, d.Dead
	l.stored = change{cursor: d.Cursor, lastID: d.LastID, pausedAt: d.PausedAt}
	l.tried = nil
	l.state.pausedAt = d.PausedAt
}

func (l *lane) clearChanges() {
	l.state.put, l.state.remove = make(map[int64]store.DeferredEvent), make(map[int64]struct{})
}

// deferredPage is how many deferred events are read at once.
const deferredPage = 100

// loadDeferred reads the stored deferred events from a page on, until the memory for them is full, and adds those that
// the lane does not know.
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

// addDeferred adds a stored deferred event, unless the lane knows it: also if it is delivered or dead, but that is not
// saved yet.
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

// latestDue returns the latest time at which an event can be due at now, unless the clock was set back since.
func (l *lane) latestDue(now time.Time) time.Time {
	return now.Add(l.destination.Backoff.Longest())
}

// loadMore reads further deferred events once half of those in memory are delivered. It waits for the end of a save,
// because an event whose deletion is being saved must not be read again.
func (l *lane) loadMore(ctx context.Context, now time.Time) error {
	limits := l.destination.limits
	if !l.more || l.saving != nil || len(l.deferred) > limits.deferred/2 || l.deferredBytes > limits.deferredBytes/2 {
		return nil
	}
	return l.loadDeferred(ctx, l.nextDeferred, now)
}

// check reads the stored destination at most once per limits.check. If somebody else changed it, such as an operator
// who requeued events, check adopts the change.
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

// reload adopts a stored destination that somebody else changed. After a requeue the lane continues with what it has in
// memory, the requeued events and no pause, and no event waits for its next attempt. After any other change it forgets
// everything, and loads the stored state.
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

// maxTried is how many failed saves are remembered.
const maxTried = 1000

// saved is the result of a save.
type saved struct {
	epoch int64
	err   error
}

// saveTimeout limits the time of one save.
const saveTimeout = 30 * time.Second

// save starts to store the changes, if there are any and the last save is long enough ago. The loop gets the result
// from l.saves.
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

// putLimit is how many changes of deferred events are saved at once, roughly. While more are unsaved, no request begins
// and no event is read.
const putLimit = 1000

// saveEnded applies the result of a save. Changes that are not stored are saved again with the next save.
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

// saveLast saves the progress when the lane ends. It tries a few times.
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
