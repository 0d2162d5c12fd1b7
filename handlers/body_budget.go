package handlers

import (
	"context"
	"errors"

	"golang.org/x/sync/semaphore"
)

// budget is the memory for all bodies in flight, in two shares that never borrow from each other: buffers up to the border
// have a quarter, larger ones the rest. So whoever sends large bodies and lets them stand still shuts no ordinary callback out.
type budget struct {
	shares [2]*semaphore.Weighted
	border int64
}

// leastMemory is how many times the largest body public.memory must be. While a body is decompressed there are what came, the
// buffer that is full and the one it is copied to: three of its size must fit into the share of the large.
const leastMemory = 4

func newBudget(memory int64) budget {
	quarter := memory / 4
	return budget{
		shares: [2]*semaphore.Weighted{semaphore.NewWeighted(quarter), semaphore.NewWeighted(memory - quarter)},
		border: min(firstStep, quarter/4), // the quarter too must hold three of its largest
	}
}

// share is the index of the share that a buffer of this size is charged to.
func (b *budget) share(size int64) int {
	if size <= b.border {
		return 0
	}
	return 1
}

// errNoRoom is the cause of a shed callback.
var errNoRoom = errors.New("the memory for bodies in flight is used up; public.memory bounds it")

// hold charges a buffer.
func (in *intake) hold(ctx context.Context, size int64) error {
	i := in.budget.share(size)
	if share := in.budget.shares[i]; !share.TryAcquire(size) {
		ctx, cancel := context.WithTimeoutCause(ctx, in.patience, errNoRoom)
		defer cancel()
		if share.Acquire(ctx, size) != nil {
			return &problem{kind: kindShed, status: in.shed, detail: "the same call will do later", cause: context.Cause(ctx)}
		}
	}
	in.held[i] += size
	return nil
}

// let gives back a buffer.
func (in *intake) let(size int64) {
	i := in.budget.share(size)
	in.budget.shares[i].Release(size)
	in.held[i] -= size
}

// release gives back what is held.
func (in *intake) release() {
	for i, size := range in.held {
		in.budget.shares[i].Release(size)
	}
	in.held = [2]int64{}
}
