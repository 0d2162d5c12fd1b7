package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/dlrloop/dlrloop/store"
)

// ErrInjected is the error of calls with a NotApplied or Applied fault, if Failing.Fail was called with a nil error.
var ErrInjected = errors.New("injected failure")

// Operation is a group of Store methods that share the faults of a Failing store.
type Operation string

// The values of Operation. Record covers the methods Record and Settle, and Read covers all reads, MissingReports
// included.
const (
	Record      Operation = "record"
	Claim       Operation = "claim"
	Read        Operation = "read"
	Requeue     Operation = "requeue"
	DeleteOlder Operation = "delete older"
	Erase       Operation = "erase"
	Ready       Operation = "ready"
)

// Kind says what a fault of a Failing store does to a call.
type Kind uint8

// The values of Kind, which Failing.Fail accepts.
const (
	Works      Kind = iota // the call succeeds, so that a later call has the next fault
	NotApplied             // fails without any effect
	Applied                // fails after taking effect; the caller cannot know
	Stuck                  // blocks; takes effect when released, not if its context ends first
	Slow                   // takes effect, then blocks until released or its context ends
	Panics                 // panics without any effect
)

// Always makes a fault last until Failing.Heal. Pass it to Failing.Fail as times.
const Always = -1

// Failing is a store that injects faults into the calls of the store it wraps. It is safe for concurrent use.
type Failing struct {
	store.Store
	ended chan struct{}

	mu      sync.Mutex // guards the fields below
	changed *sync.Cond // signals changes of waiting and calls
	faults  map[Operation][]*fault
	calls   map[Operation]int
	waiting int
	release chan struct{} // closed and replaced by Release
	err     error         // set by End
}

type fault struct {
	kind    Kind
	err     error
	times   int
	release <-chan struct{} // set for the call that the fault is applied to
}

// NewFailing wraps a store, at first without faults. The caller still has to close s.
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

// Fail applies a fault to the next calls of op: to as many calls as times says, or until Heal if times is Always. A
// second fault of op begins after the first ends. The calls return err. If err is nil, NotApplied and Applied return
// ErrInjected, and Stuck and Slow return the wrapped store's result once released. To simulate a busy or closed store,
// use NotApplied with store.ErrBusy or store.ErrClosed.
func (f *Failing) Fail(op Operation, kind Kind, err error, times int) {
	if err == nil && (kind == NotApplied || kind == Applied) {
		err = ErrInjected
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults[op] = append(f.faults[op], &fault{kind: kind, err: err, times: times})
}

// FailRecord applies a fault to the next calls of Record and Settle, as Fail does.
func (f *Failing) FailRecord(kind Kind, err error, times int) { f.Fail(Record, kind, err, times) }

// Heal removes all faults and unblocks the calls that Stuck and Slow faults block.
func (f *Failing) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.faults)
	f.releaseLocked()
}

// Release unblocks the calls that Stuck and Slow faults block now. The faults still apply to later calls.
func (f *Failing) Release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.releaseLocked()
}

func (f *Failing) releaseLocked() {
	close(f.release)
	f.release = make(chan struct{})
}

// AwaitWaiting blocks until Stuck and Slow faults block at least n calls.
func (f *Failing) AwaitWaiting(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.waiting < n {
		f.changed.Wait()
	}
}

// AwaitCalls blocks until op was called at least n times, failed calls included.
func (f *Failing) AwaitCalls(op Operation, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.calls[op] < n {
		f.changed.Wait()
	}
}

// Calls returns how often op was called, failed calls included.
func (f *Failing) Calls(op Operation) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[op]
}

// End simulates a store that shuts itself down after a failed sync: it closes Done, Err returns err, and every later
// call returns store.ErrClosed. Only the first End has an effect.
func (f *Failing) End(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = err
		close(f.ended)
	}
}

// Done implements store.Stopper: it returns a channel that End closes.
func (f *Failing) Done() <-chan struct{} { return f.ended }

// Err implements store.Stopper: it returns the error passed to End, and nil before.
func (f *Failing) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// next counts a call of op and returns the fault to apply to it.
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
	hit := *queue[0]
	hit.release = f.release
	return hit
}

// wait blocks until release is closed and returns nil. If ctx ends first, wait returns the cause of ctx.
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

// through calls the function call, which calls a method of the wrapped store, subject to the next fault of op. With an
// Applied or Slow fault, that method takes effect even if ctx has ended.
func through[T any](ctx context.Context, f *Failing, op Operation, call func(context.Context) (T, error)) (T, error) {
	var none T
	switch hit := f.next(op); hit.kind {
	case NotApplied:
		return none, hit.err
	case Applied:
		_, err := call(context.WithoutCancel(ctx))
		return none, errors.Join(hit.err, err)
	case Stuck:
		if err := f.wait(ctx, hit.release); err != nil {
			return none, err
		}
		if hit.err != nil {
			return none, hit.err
		}
		return call(ctx)
	case Slow:
		result, err := call(context.WithoutCancel(ctx))
		if err := f.wait(ctx, hit.release); err != nil {
			return none, err
		}
		if hit.err != nil {
			return none, hit.err
		}
		return result, err
	case Panics:
		panic(fmt.Sprintf("storetest: injected panic in %s", op))
	case Works:
	}
	return call(ctx)
}

// Record calls Store.Record, subject to the faults of the operation Record.
func (f *Failing) Record(ctx context.Context, a store.Arrival) error {
	_, err := through(ctx, f, Record, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, f.Store.Record(ctx, a)
	})
	return err
}

// Settle calls Store.Settle, subject to the faults of the operation Record.
func (f *Failing) Settle(ctx context.Context, plan string, at time.Time, s store.Settlement) error {
	_, err := through(ctx, f, Record, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, f.Store.Settle(ctx, plan, at, s)
	})
	return err
}

// Claim calls Store.Claim, subject to the faults of the operation Claim. After an Applied fault, the tasks are leased
// but the caller does not know the lease.
func (f *Failing) Claim(
	ctx context.Context, plan string, now time.Time, lease time.Duration, limit int,
) ([]store.Claim, error) {
	return through(ctx, f, Claim, func(ctx context.Context) ([]store.Claim, error) {
		return f.Store.Claim(ctx, plan, now, lease, limit)
	})
}

// MissingReports calls Store.MissingReports, subject to the faults of the operation Read.
func (f *Failing) MissingReports(ctx context.Context, plan string, now time.Time, limit int) ([]*store.Batch, error) {
	return through(ctx, f, Read, func(ctx context.Context) ([]*store.Batch, error) {
		return f.Store.MissingReports(ctx, plan, now, limit)
	})
}

// Requeue calls Store.Requeue, subject to the faults of the operation Requeue.
func (f *Failing) Requeue(ctx context.Context, key store.BatchKey, now time.Time) (int, error) {
	return through(ctx, f, Requeue, func(ctx context.Context) (int, error) { return f.Store.Requeue(ctx, key, now) })
}

// DeleteOlder calls Store.DeleteOlder, subject to the faults of the operation DeleteOlder.
func (f *Failing) DeleteOlder(ctx context.Context, before time.Time, limit int) (deleted int, more bool, err error) {
	_, err = through(ctx, f, DeleteOlder, func(ctx context.Context) (struct{}, error) {
		n, m, err := f.Store.DeleteOlder(ctx, before, limit)
		deleted, more = n, m
		return struct{}{}, err
	})
	if err != nil {
		return 0, false, err
	}
	return deleted, more, nil
}

// Erase calls Store.Erase, subject to the faults of the operation Erase.
func (f *Failing) Erase(ctx context.Context, number string) (store.Erased, error) {
	return through(ctx, f, Erase, func(ctx context.Context) (store.Erased, error) { return f.Store.Erase(ctx, number) })
}

// Ready calls Store.Ready, subject to the faults of the operation Ready.
func (f *Failing) Ready(ctx context.Context) error {
	_, err := through(ctx, f, Ready, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, f.Store.Ready(ctx)
	})
	return err
}
