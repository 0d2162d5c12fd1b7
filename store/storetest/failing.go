package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/dlrloop/dlrloop/store"
)

// ErrInjected is what a fault fails with when it names no error of its own.
var ErrInjected = errors.New("injected failure")

// Operation is what a fault strikes.
type Operation string

// The operations. Reads are all methods that take a context and are none of the others.
const (
	Record  Operation = "record"
	Claim   Operation = "claim"
	Read    Operation = "read"
	Requeue Operation = "requeue"
	Expire  Operation = "expire"
	Hold    Operation = "hold"
	Ready   Operation = "ready"
)

// Kind is how a struck call behaves.
type Kind uint8

// The kinds.
const (
	Works      Kind = iota // nothing is wrong: lets calls pass that come before the next fault
	NotApplied             // fails without having done anything
	Applied                // fails although it was done; the caller cannot know
	Stuck                  // waits; done when released, not done when its context ends first
	Slow                   // done at once, but the answer waits until it is released or its context ends
	Panics                 // panics without having done anything
)

// Always is the times of a fault that ends only with Heal.
const Always = -1

// Failing is a store that fails on purpose. Without faults it behaves as the store it wraps. It is safe for use by any number
// of goroutines.
type Failing struct {
	store.Store
	ended chan struct{}

	mu      sync.Mutex // guards what follows
	changed *sync.Cond // waiting or calls changed
	faults  map[Operation][]*fault
	calls   map[Operation]int
	waiting int
	release chan struct{} // closed, and made anew, by Release
	err     error         // set by End
}

type fault struct {
	kind    Kind
	err     error
	times   int
	release <-chan struct{} // of the call it strikes
}

// NewFailing wraps s, which stays the caller's to close.
func NewFailing(s store.Store) *Failing {
	f := &Failing{
		Store:   s,
		ended:   make(chan struct{}),
		faults:  make(map[Operation][]*fault),
		calls:   make(map[Operation]int),
		release: make(chan struct{}),
	}
	f.changed = sync.NewCond(&f.mu)
	return f
}

// Fail strikes the next calls of op, as many as times says or Always; faults of the same operation strike one after the
// other. err is what the calls return: for NotApplied and Applied nil means ErrInjected; for Stuck and Slow, once released,
// nil means the true result. Busy and closed stores are NotApplied with store.ErrBusy and store.ErrClosed.
func (f *Failing) Fail(op Operation, kind Kind, err error, times int) {
	if err == nil && (kind == NotApplied || kind == Applied) {
		err = ErrInjected
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults[op] = append(f.faults[op], &fault{kind: kind, err: err, times: times})
}

// FailRecord strikes the next calls of Record.
func (f *Failing) FailRecord(kind Kind, err error, times int) { f.Fail(Record, kind, err, times) }

// Heal ends all faults and releases the calls that wait.
func (f *Failing) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.faults)
	f.releaseLocked()
}

// Release lets the calls go on that are stuck or slow now. Faults stay.
func (f *Failing) Release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.releaseLocked()
}

func (f *Failing) releaseLocked() {
	close(f.release)
	f.release = make(chan struct{})
}

// AwaitWaiting returns as soon as n calls, or more, are stuck or slow.
func (f *Failing) AwaitWaiting(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.waiting < n {
		f.changed.Wait()
	}
}

// AwaitCalls returns as soon as op was called n times, or more, failed calls included.
func (f *Failing) AwaitCalls(op Operation, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.calls[op] < n {
		f.changed.Wait()
	}
}

// Calls is how often op was called, failed calls included.
func (f *Failing) Calls(op Operation) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[op]
}

// End behaves as a store that ends itself after a failed sync: Done is closed, Err says err, every call returns
// store.ErrClosed. A second End does nothing.
func (f *Failing) End(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = err
		close(f.ended)
	}
}

// Done is closed by End, and only by it.
func (f *Failing) Done() <-chan struct{} { return f.ended }

// Err is what End was given.
func (f *Failing) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// next takes the fault that strikes this call of op.
func (f *Failing) next(op Operation) fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[op]++
	f.changed.Broadcast()
	if f.err != nil {
		return fault{kind: NotApplied, err: store.ErrClosed}
	}
	queue := f.faults[op]
	for len(queue) > 0 && queue[0].times == 0 {
		queue = queue[1:]
	}
	f.faults[op] = queue
	if len(queue) == 0 {
		return fault{kind: Works}
	}
	if queue[0].times > 0 {
		queue[0].times--
	}
	struck := *queue[0]
	struck.release = f.release
	return struck
}

// wait returns nil when the call is released, else why its context ended.
func (f *Failing) wait(ctx context.Context, release <-chan struct{}) error {
	f.mu.Lock()
	f.waiting++
	f.changed.Broadcast()
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.waiting--
		f.mu.Unlock()
	}()
	select {
	case <-release:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// through makes a call, or lets the next fault of op strike it. A call that is struck and yet done is done whatever becomes of
// ctx.
func through[T any](ctx context.Context, f *Failing, op Operation, call func(context.Context) (T, error)) (T, error) {
	var none T
	switch struck := f.next(op); struck.kind {
	case NotApplied:
		return none, struck.err
	case Applied:
		_, err := call(context.WithoutCancel(ctx))
		return none, errors.Join(struck.err, err)
	case Stuck:
		if err := f.wait(ctx, struck.release); err != nil {
			return none, err
		}
		if struck.err != nil {
			return none, struck.err
		}
		return call(ctx)
	case Slow:
		result, err := call(context.WithoutCancel(ctx))
		if err := f.wait(ctx, struck.release); err != nil {
			return none, err
		}
		if struck.err != nil {
			return none, struck.err
		}
		return result, err
	case Panics:
		panic(fmt.Sprintf("storetest: injected panic in %s", op))
	case Works:
	}
	return call(ctx)
}

// Record keeps an arrival, or fails on purpose.
func (f *Failing) Record(ctx context.Context, a store.Arrival) error {
	_, err := through(ctx, f, Record, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, f.Store.Record(ctx, a)
	})
	return err
}

// Claim leases tasks, or fails on purpose: when it fails Applied the tasks are leased and nobody knows the lease.
func (f *Failing) Claim(ctx context.Context, plan string, now time.Time, lease time.Duration, limit int) ([]store.Claim, error) {
	return through(ctx, f, Claim, func(ctx context.Context) ([]store.Claim, error) {
		return f.Store.Claim(ctx, plan, now, lease, limit)
	})
}

// Overdue reads batches to ask after, or fails on purpose.
func (f *Failing) Overdue(ctx context.Context, plan string, now time.Time, limit int) ([]*store.Batch, error) {
	return through(ctx, f, Read, func(ctx context.Context) ([]*store.Batch, error) {
		return f.Store.Overdue(ctx, plan, now, limit)
	})
}

// Requeue makes dead recipients owed, or fails on purpose.
func (f *Failing) Requeue(ctx context.Context, key store.BatchKey, now time.Time) (int, error) {
	return through(ctx, f, Requeue, func(ctx context.Context) (int, error) { return f.Store.Requeue(ctx, key, now) })
}

// Expire deletes what is old, or fails on purpose.
func (f *Failing) Expire(ctx context.Context, before time.Time, limit int) (expired int, more bool, err error) {
	_, err = through(ctx, f, Expire, func(ctx context.Context) (struct{}, error) {
		n, m, err := f.Store.Expire(ctx, before, limit)
		expired, more = n, m
		return struct{}{}, err
	})
	if err != nil {
		return 0, false, err
	}
	return expired, more, nil
}

// Hold takes a duty, or fails on purpose: when it fails Applied the duty is taken and nobody knows.
func (f *Failing) Hold(ctx context.Context, duty string, now, until time.Time) (bool, error) {
	return through(ctx, f, Hold, func(ctx context.Context) (bool, error) { return f.Store.Hold(ctx, duty, now, until) })
}

// Ready asks whether arrivals are accepted, or fails on purpose.
func (f *Failing) Ready(ctx context.Context) error {
	_, err := through(ctx, f, Ready, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, f.Store.Ready(ctx)
	})
	return err
}
