package schedule

import (
	"container/heap"
	"time"
)

// Queue holds work until it is due, the earliest first. Work that is due at the same time keeps the order of adding.
// Create it with NewQueue. It is not safe for concurrent use: a mutex of the caller must guard it.
type Queue[T any] struct {
	entries  entries[T]
	sequence uint64
	wake     chan struct{} // capacity 1; signals a new earliest entry to Run
}

// NewQueue returns an empty Queue.
func NewQueue[T any]() *Queue[T] { return &Queue[T]{wake: make(chan struct{}, 1)} }

// Add adds work that is due at the given time. If this work is now the first to be due, Add wakes Run.
func (q *Queue[T]) Add(due time.Time, work T) {
	q.sequence++
	heap.Push(&q.entries, entry[T]{due, q.sequence, work})
	if q.entries[0].sequence == q.sequence {
		select {
		case q.wake <- struct{}{}:
		default:
		}
	}
}

// Due removes and returns the work that is due first, with its due time. If no work is due at the given time, Due
// removes nothing and returns false.
func (q *Queue[T]) Due(now time.Time) (work T, due time.Time, ok bool) {
	if len(q.entries) == 0 || q.entries[0].due.After(now) {
		return work, due, false
	}
	e := heap.Pop(&q.entries).(entry[T])
	return e.work, e.due, true
}

// Wait returns how long after the given time the first work is due: 0 if it is due already, an hour if the queue is
// empty.
func (q *Queue[T]) Wait(now time.Time) time.Duration {
	if len(q.entries) == 0 {
		return time.Hour
	}
	return max(0, q.entries[0].due.Sub(now))
}

type entry[T any] struct {
	due      time.Time
	sequence uint64 // orders entries with the same due time
	work     T
}

// entries holds the work of a Queue as a heap, with the earliest first. It implements heap.Interface.
type entries[T any] []entry[T]

func (e entries[T]) Len() int { return len(e) }

func (e entries[T]) Less(i, j int) bool {
	if e[i].due.Equal(e[j].due) {
		return e[i].sequence < e[j].sequence
	}
	return e[i].due.Before(e[j].due)
}

func (e entries[T]) Swap(i, j int) { e[i], e[j] = e[j], e[i] }

func (e *entries[T]) Push(x any) { *e = append(*e, x.(entry[T])) }

func (e *entries[T]) Pop() any {
	last := len(*e) - 1
	popped := (*e)[last]
	(*e)[last] = entry[T]{}
	*e = (*e)[:last]
	return popped
}
