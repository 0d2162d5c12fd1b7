package commit

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/dlrloop/dlrloop/store"
)

// Config limits the queue and the groups of a Committer. A zero field selects the default.
type Config struct {
	Queue      int           // most arrivals that wait for a commit; default 4096
	QueueBytes int           // most bytes that wait; a larger arrival waits alone; default 64 MiB
	Group      int           // most arrivals in one group; default 4096
	Bytes      int           // a group is complete once it holds this many bytes; one arrival may hold more; default 8 MiB
	Patience   time.Duration // how long Record waits for space in the queue before ErrBusy; default 3 s
}

// Committer makes queued arrivals durable in groups, so that one fsync serves a whole group. One goroutine commits a
// group while the next group queues, so an arrival usually waits for at most two fsyncs. T is a store's type of
// arrivals.
type Committer[T any] struct {
	config Config
	size   func(T) int
	commit func(group []T, results []error)

	queue   chan *waiter[T]
	budget  *semaphore.Weighted // counts QueueBytes; queued entries hold their share, so queue never blocks its sender
	closing chan struct{}
	close   sync.Once
	done    chan struct{}
	senders sync.WaitGroup // Record calls that may still send to queue
	gate    sync.RWMutex   // read-locked to join senders, locked to set closed
	closed  bool           // guarded by gate
}

type waiter[T any] struct {
	arrival  T
	share    int64       // of the byte budget, see Committer.share
	result   chan error  // capacity 1, so that the committer never blocks on a canceled waiter
	canceled atomic.Bool // its context ended
}

// New starts a Committer; Close stops it. Its one goroutine calls commit, which must make group durable. If group[i]
// fails, commit sets results[i] to the error. size returns the size of an arrival in bytes.
func New[T any](c Config, size func(T) int, commit func(group []T, results []error)) *Committer[T] {
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
		queue: make(chan *waiter[T], c.Queue), budget: semaphore.NewWeighted(int64(c.QueueBytes)),
		closing: make(chan struct{}), done: make(chan struct{}),
	}
	go m.run()
	return m
}

// Record queues an arrival, blocks until it is committed, and returns the error that commit set for it. It returns
// store.ErrBusy if the queue stays full for Config.Patience, and store.ErrClosed after Close. If ctx ends first, Record
// returns the cause of ctx; the arrival may still become durable.
func (m *Committer[T]) Record(ctx context.Context, arrival T) error {
	w := &waiter[T]{arrival: arrival, share: m.share(arrival), result: make(chan error, 1)}
	if err := m.enqueue(ctx, w); err != nil {
		return err
	}
	select {
	case err := <-w.result:
		return err
	case <-ctx.Done():
		w.canceled.Store(true)
		return context.Cause(ctx)
	}
}

// share returns how much of Config.QueueBytes an arrival occupies: its size, but at least QueueBytes/Queue, so that one
// semaphore limits both the bytes and the number of waiting arrivals.
func (m *Committer[T]) share(arrival T) int64 {
	least := (m.config.QueueBytes + m.config.Queue - 1) / m.config.Queue
	return int64(min(max(m.size(arrival), least), m.config.QueueBytes))
}

func (m *Committer[T]) enqueue(ctx context.Context, w *waiter[T]) error {
	m.gate.RLock()
	if m.closed {
		m.gate.RUnlock()
		return store.ErrClosed
	}
	m.senders.Add(1)
	m.gate.RUnlock()
	defer m.senders.Done()

	if !m.budget.TryAcquire(w.share) {
		if err := m.wait(ctx, w.share); err != nil {
			return err
		}
	}
	m.queue <- w
	return nil
}

// wait blocks until it has acquired share bytes of Config.QueueBytes. It returns store.ErrBusy after Config.Patience,
// store.ErrClosed after Close, and the cause of ctx when ctx ends.
func (m *Committer[T]) wait(ctx context.Context, share int64) error {
	ctx, cancel := context.WithTimeoutCause(ctx, m.config.Patience, store.ErrBusy)
	defer cancel()
	ctx, refuse := context.WithCancelCause(ctx)
	defer refuse(nil)
	go func() {
		select {
		case <-m.closing:
			refuse(store.ErrClosed)
		case <-ctx.Done():
		}
	}()
	if m.budget.Acquire(ctx, share) != nil {
		return context.Cause(ctx)
	}
	return nil
}

// Close commits the queued arrivals and blocks until every call of Record has its result. It may be called again.
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
		clear(group) // drop references, so that the arrivals can be freed
		clear(waiters)
	}
}

// gather appends next and the waiters (calls of Record) that queue after it to group, until group has Config.Group
// waiters or Config.Bytes bytes. It skips a waiter whose context ended.
func (m *Committer[T]) gather(group []*waiter[T], next *waiter[T]) []*waiter[T] {
	for bytes := 0; ; {
		m.budget.Release(next.share)
		if !next.canceled.Load() {
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
