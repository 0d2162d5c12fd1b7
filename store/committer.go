package store

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
)

// CommitterConfig bounds a Committer. Zero members get the defaults.
type CommitterConfig struct {
	Queue      int           // arrivals that may wait; default 4096
	QueueBytes int           // bytes that may wait; one arrival may have more when it waits alone; default 64 MiB
	Group      int           // most arrivals in one group; default 4096
	Bytes      int           // a group closes once it holds that many bytes, whatever a single arrival has; default 8 MiB
	Patience   time.Duration // how long Record waits for room in the queue before ErrBusy; default 3 s
}

// Committer makes what has queued durable in one go. One goroutine owns the commit: while it syncs a group, the next one
// gathers, so the cost of a sync is shared by all who wait for it and nobody waits longer than two. T is an arrival in
// whatever form the store wants it.
type Committer[T any] struct {
	config CommitterConfig
	size   func(T) int
	commit func(group []T, results []error)

	queue   chan *waiter[T]
	room    *semaphore.Weighted // bytes of the queue; what is in it holds its share, so sending to it never waits
	closing chan struct{}
	close   sync.Once
	done    chan struct{}
	senders sync.WaitGroup // Records that may still put something into the queue
	gate    sync.RWMutex   // held for reading to join senders, for writing to close
	closed  bool           // guarded by gate
}

type waiter[T any] struct {
	arrival T
	share   int64       // of the room in the queue
	result  chan error  // capacity 1: the owner never waits for a waiter that gave up
	gone    atomic.Bool // it gave up
}

// NewCommitter starts a Committer. commit is called from one goroutine; it makes the group durable and sets the result of
// each arrival that is not. size tells an arrival's bytes.
func NewCommitter[T any](c CommitterConfig, size func(T) int, commit func(group []T, results []error)) *Committer[T] {
	if c.Queue <= 0 {
		c.Queue = 4096
	}
	if c.QueueBytes <= 0 {
		c.QueueBytes = 64 << 20
	}
	if c.Group <= 0 {
		c.Group = 4096
	}
	if c.Bytes <= 0 {
		c.Bytes = 8 << 20
	}
	if c.Patience <= 0 {
		c.Patience = 3 * time.Second
	}
	m := &Committer[T]{
		config: c, size: size, commit: commit,
		queue: make(chan *waiter[T], c.Queue), room: semaphore.NewWeighted(int64(c.QueueBytes)),
		closing: make(chan struct{}), done: make(chan struct{}),
	}
	go m.run()
	return m
}

// Record queues an arrival and waits for its result. It returns ErrBusy when there is no room for longer than the
// patience, ErrClosed after Close, and the cause of ctx when that ends first: then the arrival may still be committed, unless
// it is still in the queue.
func (m *Committer[T]) Record(ctx context.Context, arrival T) error {
	w := &waiter[T]{arrival: arrival, share: m.share(arrival), result: make(chan error, 1)}
	if err := m.enqueue(ctx, w); err != nil {
		return err
	}
	select {
	case err := <-w.result:
		return err
	case <-ctx.Done():
		w.gone.Store(true)
		return context.Cause(ctx)
	}
}

// share is how much of the room in the queue an arrival takes: its bytes, and so much at least that no more arrivals wait than may.
func (m *Committer[T]) share(arrival T) int64 {
	least := (m.config.QueueBytes + m.config.Queue - 1) / m.config.Queue
	return int64(min(max(m.size(arrival), least), m.config.QueueBytes))
}

func (m *Committer[T]) enqueue(ctx context.Context, w *waiter[T]) error {
	m.gate.RLock()
	if m.closed {
		m.gate.RUnlock()
		return ErrClosed
	}
	m.senders.Add(1)
	m.gate.RUnlock()
	defer m.senders.Done()

	if !m.room.TryAcquire(w.share) {
		if err := m.wait(ctx, w.share); err != nil {
			return err
		}
	}
	m.queue <- w
	return nil
}

// wait takes a share of the room in the queue once there is so much.
func (m *Committer[T]) wait(ctx context.Context, share int64) error {
	ctx, cancel := context.WithTimeoutCause(ctx, m.config.Patience, ErrBusy)
	defer cancel()
	ctx, refuse := context.WithCancelCause(ctx)
	defer refuse(nil)
	go func() {
		select {
		case <-m.closing:
			refuse(ErrClosed)
		case <-ctx.Done():
		}
	}()
	if m.room.Acquire(ctx, share) != nil {
		return context.Cause(ctx)
	}
	return nil
}

// Close commits what is queued and returns when the last waiter has its result.
func (m *Committer[T]) Close() {
	m.close.Do(func() {
		m.gate.Lock()
		m.closed = true
		m.gate.Unlock()
		close(m.closing)
		m.senders.Wait()
		close(m.queue)
	})
	<-m.done
}

func (m *Committer[T]) run() {
	defer close(m.done)
	var (
		waiters []*waiter[T]
		group   []T
		results []error
	)
	for first := range m.queue {
		waiters = m.gather(waiters[:0], first)
		group, results = group[:0], results[:0]
		for _, w := range waiters {
			group, results = append(group, w.arrival), append(results, nil)
		}
		if len(group) > 0 {
			m.commit(group, results)
		}
		for i, w := range waiters {
			w.result <- results[i]
		}
		clear(group) // the arrivals belong to the waiters again
		clear(waiters)
	}
}

// gather makes a group of the next waiter and those behind it in the queue, within the bounds of a group, but for those that
// gave up.
func (m *Committer[T]) gather(group []*waiter[T], next *waiter[T]) []*waiter[T] {
	for bytes := 0; ; {
		m.room.Release(next.share)
		if !next.gone.Load() {
			group = append(group, next)
			bytes += m.size(next.arrival)
		}
		if len(group) == m.config.Group || bytes >= m.config.Bytes {
			return group
		}
		select {
		case w, open := <-m.queue:
			if !open {
				return group
			}
			next = w
		default:
			return group
		}
	}
}
