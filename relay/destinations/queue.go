package destinations

import (
	"container/heap"
	"maps"
	"slices"
	"time"

	"github.com/dlrloop/dlrloop/store"
)

// item is one event that waits for delivery or is in flight, with the state of its attempts. It was read from the event
// log, or from the stored deferred events (id is then not 0).
type item struct {
	event store.Event
	bytes int    // roughly what the event occupies in memory
	queue *queue // nil once the item is delivered or dead
	slot  *slot  // its place in the window; nil once the cursor has passed it
	id    int64  // DeferredEvent.ID; 0 while the event is not deferred
	order int64  // rises with each item that the lane reads

	attempts int                  // failed attempts that count
	since    time.Time            // DeferredEvent.Since
	due      time.Time            // no attempt before; at first the time when the event was read
	reason   store.DeliveryReason // of the last failed attempt; empty for none
	detail   string
	most     int // most events of a request with this one, after a request was refused because of its events; 0 for any
}

// eventOverhead estimates the memory of an event apart from its variable-length fields, in bytes.
const eventOverhead = 600

// sizeOf estimates how many bytes of memory an event occupies, for the limits of memory.
func sizeOf(e *store.Event) int {
	n := eventOverhead + len(e.Plan) + len(e.BatchID) + len(e.ClientReference) + len(e.Key) + len(e.Detail) + len(e.Raw)
	for _, r := range e.Recipients {
		n += len(r) + 16
	}
	if s := e.Signature; s != nil {
		n += len(s.Algorithm) + len(s.Nonce) + len(s.Timestamp) + len(s.Value)
	}
	return n + 48*len(e.Counts)
}

// deferred returns the item in the form in which the store keeps a deferred event.
func (i *item) deferred() store.DeferredEvent {
	return store.DeferredEvent{
		ID: i.id, Event: i.event, Since: i.since, Due: i.due, Attempts: i.attempts, Reason: i.reason, Detail: i.detail,
	}
}

// queue holds the waiting events of one batch in the order in which they must be delivered, deferred ones first. An
// event that needs no order has a queue of its own: one without a batch, or of an unordered destination.
type queue struct {
	key      store.BatchKey // zero if the queue belongs to no batch
	items    []*item
	inFlight int // that many items from the front are in flight
	index    int // in ready.queues; -1 if it is not there
}

// front returns the first item of the queue. It panics if the queue is empty.
func (q *queue) front() *item { return q.items[0] }

// ready is a heap of the queues that have events and none in flight: the queue whose first event is due earliest is on
// top. Of events due at the same time the older one comes first, so that the cursor advances and no queue waits
// forever.
type ready struct{ queues []*queue }

// Len implements heap.Interface.
func (r *ready) Len() int { return len(r.queues) }

// Less implements heap.Interface: the queue whose first item is due earlier, or was read earlier, comes first.
func (r *ready) Less(i, j int) bool {
	a, b := r.queues[i].front(), r.queues[j].front()
	return a.due.Before(b.due) || a.due.Equal(b.due) && a.order < b.order
}

// Swap implements heap.Interface.
func (r *ready) Swap(i, j int) {
	r.queues[i], r.queues[j] = r.queues[j], r.queues[i]
	r.queues[i].index, r.queues[j].index = i, j
}

// Push implements heap.Interface. x must be a *queue that is not in the heap.
func (r *ready) Push(x any) {
	q := x.(*queue)
	q.index = len(r.queues)
	r.queues = append(r.queues, q)
}

// Pop implements heap.Interface. It returns a *queue.
func (r *ready) Pop() any {
	last := len(r.queues) - 1
	q := r.queues[last]
	r.queues[last], r.queues = nil, r.queues[:last]
	q.index = -1
	return q
}

// update must be called after the items of q have changed: it adds q to the heap, moves it, or removes it if it is
// empty or has items in flight.
func (r *ready) update(q *queue) {
	switch is := q.index >= 0; {
	case len(q.items) == 0 || q.inFlight > 0:
		if is {
			heap.Remove(r, q.index)
		}
	case is:
		heap.Fix(r, q.index)
	default:
		heap.Push(r, q)
	}
}

// queues holds all events of a destination that wait or are in flight, grouped into one queue per batch.
type queues struct {
	byBatch map[store.BatchKey]*queue // of ordered items that belong to a batch
	ready   ready
	added   int64 // how many items were added
}

// of returns the queue of the event's batch, or a new one if the batch has none. If ordered is false, or the event
// belongs to no batch, it always returns a new queue.
func (q *queues) of(e *store.Event, ordered bool) *queue {
	if !ordered || e.BatchID == "" {
		return &queue{index: -1}
	}
	key := store.BatchKey{Plan: e.Plan, BatchID: e.BatchID}
	found := q.byBatch[key]
	if found == nil {
		found = &queue{key: key, index: -1}
		q.byBatch[key] = found
	}
	return found
}

// add adds an item to a queue. An item that is not deferred goes to the end. A deferred item goes before the items that
// are not deferred and behind the deferred ones with smaller ids, but never before items in flight.
func (q *queues) add(to *queue, i *item) {
	q.added++
	i.queue, i.order = to, q.added
	at := len(to.items)
	if i.id != 0 {
		for at > to.inFlight && (to.items[at-1].id == 0 || to.items[at-1].id > i.id) {
			at--
		}
	}
	to.items = slices.Insert(to.items, at, i)
	q.ready.update(to)
}

// remove removes an item from the queue that it is in. The item may be in flight. Every item that is not delivered or
// dead is in a queue.
func (q *queues) remove(i *item) {
	from := i.queue
	n := slices.Index(from.items, i)
	if n < from.inFlight {
		from.inFlight--
	}
	copy(from.items[1:n+1], from.items[:n])
	from.items[0] = nil
	from.items = from.items[1:]
	i.queue = nil
	q.changed(from)
}

// changed must be called after the items of a queue, or the due time of its first item, changed. It moves the queue to
// its new place in q.ready, and drops the queue if it is empty.
func (q *queues) changed(of *queue) {
	q.ready.update(of)
	if len(of.items) == 0 && of.key != (store.BatchKey{}) {
		delete(q.byBatch, of.key)
	}
}

// retry makes the first item of each queue due at the given time, now, if it would be due later. Queues with items in
// flight are not changed.
func (q *queues) retry(now time.Time) {
	for _, r := range q.ready.queues {
		if i := r.front(); i.due.After(now) {
			i.due = now
		}
	}
	heap.Init(&q.ready)
}

// request is the content of one HTTP request to the destination: events, and the queues from whose fronts they come.
type request struct {
	queues []*queue // with the items of the request at their fronts: queue.inFlight
	items  []*item
}

// take makes a request of items, and marks them as in flight. It takes items from the front of each queue whose first
// item is due, the earliest due first. most limits the number of the items. bytes limits the memory of their events,
// but a single event may exceed it. take returns nil if no item is due.
func (q *queues) take(now time.Time, most, bytes int) *request {
	r := &request{}
	size := 0
	for len(q.ready.queues) > 0 && len(r.items) < most {
		next := q.ready.queues[0]
		if next.front().due.After(now) {
			break
		}
		for _, i := range next.items {
			limit := most
			if i.most > 0 {
				limit = min(limit, i.most)
			}
			if len(r.items) >= limit || len(r.items) > 0 && size+i.bytes > bytes {
				break
			}
			most = limit
			r.items = append(r.items, i)
			size += i.bytes
			next.inFlight++
		}
		if next.inFlight == 0 {
			break // the next item does not fit
		}
		q.ready.update(next)
		r.queues = append(r.queues, next)
	}
	if len(r.items) == 0 {
		return nil
	}
	return r
}

// isInFlight reports whether a request with the item has begun and not ended. The item must be in a queue.
func (i *item) isInFlight() bool { return slices.Contains(i.queue.items[:i.queue.inFlight], i) }

// clockSetBack corrects due times that were computed before the system clock was set back. Each item whose due time is
// after the time given by latest gets the current time, now, as its due time.
func (q *queues) clockSetBack(now, latest time.Time) {
	all := slices.Concat(q.ready.queues, slices.Collect(maps.Values(q.byBatch)))
	for _, of := range all {
		for _, i := range of.items {
			if i.due.After(latest) {
				i.due = now
			}
		}
	}
	heap.Init(&q.ready)
}

// next returns when the first item that is not in flight is due. It returns false if there is none.
func (q *queues) next() (time.Time, bool) {
	if len(q.ready.queues) == 0 {
		return time.Time{}, false
	}
	return q.ready.queues[0].front().due, true
}
