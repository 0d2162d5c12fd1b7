package simulator

import (
	"container/heap"
	"time"
)

// entry is one scheduled step. It is exactly one of: a status change (batch, recipient and stage set), the dispatch
// of a batch (batch and dispatchVersion), a callback attempt (callback), and the end of a target's throttling
// (target).
type entry struct {
	due             time.Time
	sequence        uint64 // orders entries with the same due time
	batch           *batch
	recipient       int32
	stage           stage
	dispatchVersion uint64 // from 1; 0 for a status change
	callback        *callback
	target          *target
}

// agenda is a heap (container/heap) of entries, earliest first.
type agenda []entry

func (a agenda) Len() int { return len(a) }

func (a agenda) Less(i, j int) bool {
	if a[i].due.Equal(a[j].due) {
		return a[i].sequence < a[j].sequence
	}
	return a[i].due.Before(a[j].due)
}

func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }

func (a *agenda) Push(x any) { *a = append(*a, x.(entry)) }

func (a *agenda) Pop() any {
	last := len(*a) - 1
	e := (*a)[last]
	(*a)[last] = entry{}
	*a = (*a)[:last]
	return e
}

// schedule adds e to the agenda. If e is now the first entry, it wakes Run.
func (s *Simulator) schedule(e entry) {
	s.sequence++
	e.sequence = s.sequence
	heap.Push(&s.agenda, e)
	if s.agenda[0].sequence == e.sequence {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// due removes and returns the earliest agenda entry if its time has come. Otherwise it returns false.
func (s *Simulator) due(now time.Time) (entry, bool) {
	if len(s.agenda) == 0 || s.agenda[0].due.After(now) {
		return entry{}, false
	}
	return heap.Pop(&s.agenda).(entry), true
}

// queue is a first-in, first-out queue that reuses its memory once it has been emptied.
type queue[T any] struct {
	items []T
	taken int
}

func (q *queue[T]) len() int { return len(q.items) - q.taken }

func (q *queue[T]) push(item T) { q.items = append(q.items, item) }

func (q *queue[T]) pop() T {
	var zero T
	item := q.items[q.taken]
	q.items[q.taken] = zero
	q.taken++
	if q.taken == len(q.items) {
		q.items, q.taken = q.items[:0], 0
	}
	return item
}
