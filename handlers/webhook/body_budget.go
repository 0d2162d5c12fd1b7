package webhook

import (
	"context"
	"errors"

	"golang.org/x/sync/semaphore"

	"github.com/dlrloop/dlrloop/handlers/problem"
)

// budget limits the memory of all bodies with two semaphores that count bytes: one quarter is for buffers up to border
// bytes, the rest for larger ones, so that large bodies never keep ordinary callbacks out. Buffers up to free bytes are
// not counted, because the limit on connections bounds them.
type budget struct {
	shares       [2]*semaphore.Weighted
	free, border int64
}

// MemoryRatio is the minimum of public.memory divided by public.max_body. Decompressing a body needs three buffers at
// once: the compressed body, the full buffer, and the larger one that replaces it. They must fit into three quarters of
// the memory, since one quarter is reserved for small bodies.
const MemoryRatio = 4

func newBudget(memory int64) budget {
	quarter := memory / 4
	border := min(mediumBody, quarter/4) // the quarter must hold three of its largest bodies, too
	return budget{
		shares: [2]*semaphore.Weighted{semaphore.NewWeighted(quarter), semaphore.NewWeighted(memory - quarter)},
		free:   border / 16, border: border,
	}
}

// share returns which of the semaphores in shares counts a buffer of size bytes, or -1 if the buffer is not counted.
func (b *budget) share(size int64) int {
	switch {
	case size <= b.free:
		return -1
	case size <= b.border:
		return 0
	}
	return 1
}

// errNoRoom is the logged cause for refusing a callback when the memory budget is used up.
var errNoRoom = errors.New("the memory for bodies in flight is used up; public.memory bounds it")

// acquire counts a buffer of size bytes against the memory budget. If memory is short, it drops slow bodies of callers
// not authenticated yet, and blocks until memory is free. After in.patience it returns a KindShed problem.
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

// decodedSize is the estimated memory of a parsed body, as a multiple of the body's size. It includes the recipients'
// numbers and the copy for the journal.
const decodedSize = 3

// decode acquires the memory for parsing a body of size bytes; the caller must release it by calling done. After
// in.patience decode returns a KindShed problem. The memory has a budget of its own, so that complete bodies do not
// wait for arriving ones.
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

// noRoom returns the KindShed problem for a callback that is refused for lack of memory. Only the log shows cause.
func (in *bodyReader) noRoom(cause error) error {
	return &problem.Problem{Kind: problem.KindShed, Status: in.shed, Detail: "retry later", Cause: cause}
}

// releaseBuffer returns the memory of one buffer of size bytes to the budget.
func (in *bodyReader) releaseBuffer(size int64) {
	if i := in.budget.share(size); i >= 0 {
		in.budget.shares[i].Release(size)
		in.held[i].Add(-size)
	}
}

// releaseAll returns all memory that the body holds to the budget.
func (in *bodyReader) releaseAll() {
	for i := range in.held {
		in.budget.shares[i].Release(in.held[i].Swap(0))
	}
}
