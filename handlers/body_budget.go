package handlers

import (
	"context"
	"errors"

	"golang.org/x/sync/semaphore"
)

// budget is the memory for all bodies in flight, in two shares that never borrow from each other: buffers up to the border
// have a quarter, larger ones the rest. So bodies that are large, or held up in the store, shut no ordinary callback out. The smallest
// buffers are free: connections bound them.
type budget struct {
	shares       [2]*semaphore.Weighted
	free, border int64
}

// leastMemory is how many times the largest body public.memory must be. While a body is decompressed there are what came, the
// buffer that is full and the one it is copied to: three of its size must fit into the share of the large.
const leastMemory = 4

func newBudget(memory int64) budget {
	quarter := memory / 4
	border := min(mediumBody, quarter/4) // the quarter too must hold three of its largest
	return budget{
		shares: [2]*semaphore.Weighted{semaphore.NewWeighted(quarter), semaphore.NewWeighted(memory - quarter)},
		free:   border / 16, border: border,
	}
}

// share is the index of the share that a buffer of this size is charged to; nothing is charged where it is below 0.
func (b *budget) share(size int64) int {
	switch {
	case size <= b.free:
		return -1
	case size <= b.border:
		return 0
	}
	return 1
}

// errNoRoom is the cause of a shed callback.
var errNoRoom = errors.New("the memory for bodies in flight is used up; public.memory bounds it")

// hold charges a buffer. Where there is no room for it, bodies make room whose callers are not verified.
func (in *bodyReader) acquire(ctx context.Context, size int64) error {
	i := in.budget.share(size)
	if i < 0 {
		return nil
	}
	if share := in.budget.shares[i]; !share.TryAcquire(size) {
		in.unverified.makeRoom(in, i, size)
		ctx, cancel := context.WithTimeoutCause(ctx, in.patience, errNoRoom)
		defer cancel()
		if share.Acquire(ctx, size) != nil {
			return in.noRoom(context.Cause(ctx))
		}
	}
	in.held[i].Add(size)
	return nil
}

// decodedSize is how many times its size a body takes again once it is read: its numbers, and its copy for the journal.
const decodedSize = 3

// decode waits for the memory that reading a body takes. It is charged apart from bodies: those that have arrived never wait
// for each other. done gives it back.
func (in *bodyReader) decode(ctx context.Context, size int64) (done func(), err error) {
	i := in.decoded.share(size)
	if i < 0 {
		return func() {}, nil
	}
	share, size := in.decoded.shares[i], decodedSize*size
	if !share.TryAcquire(size) {
		ctx, cancel := context.WithTimeoutCause(ctx, in.patience, errNoRoom)
		defer cancel()
		if share.Acquire(ctx, size) != nil {
			return nil, in.noRoom(context.Cause(ctx))
		}
	}
	return func() { share.Release(size) }, nil
}

// noRoom is the problem that a body had to be shed.
func (in *bodyReader) noRoom(cause error) error {
	return &problem{kind: kindShed, status: in.shed, detail: "the same call will do later", cause: cause}
}

// let gives back a buffer.
func (in *bodyReader) releaseBuffer(size int64) {
	if i := in.budget.share(size); i >= 0 {
		in.budget.shares[i].Release(size)
		in.held[i].Add(-size)
	}
}

// release gives back what is held.
func (in *bodyReader) releaseAll() {
	for i := range in.held {
		in.budget.shares[i].Release(in.held[i].Swap(0))
	}
}
