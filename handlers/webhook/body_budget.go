package webhook

import (
	"context"
	"errors"

	"golang.org/x/sync/semaphore"

	"github.com/dlrloop/dlrloop/handlers/problem"
)

// budget limits the memory of all bodies in flight, with two semaphores that count bytes: a quarter is for buffers up
// to border bytes, the rest for larger buffers. So large bodies never keep ordinary callbacks out. Buffers up to free
// bytes are not charged, because the number of connections limits their memory.
type budget struct {
	shares       [2]*semaphore.Weighted
	free, border int64
}

// MemoryRatio is the smallest allowed ratio of public.memory to public.max_body. Decompressing a body needs the
// compressed body, the full buffer and the larger buffer that replaces it. All three must fit into the share of large
// bodies, which is three quarters.
const MemoryRatio = 4

func newBudget(memory int64) budget {
	quarter := memory / 4
	border := min(mediumBody, quarter/4) // the quarter must hold three of its largest bodies, too
	return budget{
		shares: [2]*semaphore.Weighted{semaphore.NewWeighted(quarter), semaphore.NewWeighted(memory - quarter)},
		free:   border / 16, border: border,
	}
}

// share returns the index in shares of the semaphore to which a buffer of size bytes is charged, or -1 if the buffer
// is not charged.
func (b *budget) share(size int64) int {
	switch {
	case size <= b.free:
		return -1
	case size <= b.border:
		return 0
	}
	return 1
}

// errNoRoom is the cause of the problem of a callback that is refused because the budget is used up.
var errNoRoom = errors.New("the memory for bodies in flight is used up; public.memory bounds it")

// acquire charges the budget for a buffer of size bytes. If memory is short it drops slow unverified bodies and blocks
// up to in.patience; then it returns a KindShed problem.
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

// decodedSize estimates the memory of a parsed body as a multiple of its size: the recipients' numbers, and the copy
// for the journal.
const decodedSize = 3

// decode acquires the memory for parsing a body of size bytes. It blocks up to in.patience, then returns a KindShed
// problem. This memory has a budget of its own, so that bodies that have arrived never wait for arriving bodies. The
// caller releases the memory with done.
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

// noRoom returns the KindShed problem for a body that is refused for lack of memory. cause is for the log.
func (in *bodyReader) noRoom(cause error) error {
	return &problem.Problem{Kind: problem.KindShed, Status: in.shed, Detail: "retry later", Cause: cause}
}

// releaseBuffer returns the memory of a buffer of size bytes to the budget.
func (in *bodyReader) releaseBuffer(size int64) {
	if i := in.budget.share(size); i >= 0 {
		in.budget.shares[i].Release(size)
		in.held[i].Add(-size)
	}
}

// releaseAll returns all acquired memory to the budget.
func (in *bodyReader) releaseAll() {
	for i := range in.held {
		in.budget.shares[i].Release(in.held[i].Swap(0))
	}
}
