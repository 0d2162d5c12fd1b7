package webhook

import (
	"context"
	"errors"

	"golang.org/x/sync/semaphore"

	"github.com/dlrloop/dlrloop/handlers/problem"
)

// budget limits the memory of the buffers for the bodies of all callbacks together. Buffers of up to smallMax bytes
// share a quarter of the memory, and larger buffers share the rest. Buffers of up to tinyMax bytes are not counted.
type budget struct {
	parts             [2]*semaphore.Weighted // of bytes; large bodies thus never keep ordinary callbacks out
	tinyMax, smallMax int64                  // bytes; the limit on connections bounds tiny buffers
}

// MemoryRatio is the minimum of Config.Memory (for all bodies together) divided by Config.MaxBody (for one body). New
// returns an error for a smaller ratio.
const MemoryRatio = 4 // decompressing takes three buffers, and a quarter is only for small bodies

func newBudget(memory int64) budget {
	quarter := memory / 4
	smallMax := min(mediumBody, quarter/4) // the quarter must hold three of its largest bodies, too
	return budget{
		parts:   [2]*semaphore.Weighted{semaphore.NewWeighted(quarter), semaphore.NewWeighted(memory - quarter)},
		tinyMax: smallMax / 16, smallMax: smallMax,
	}
}

// part returns which part of the memory a buffer of size bytes is counted in, as an index of b.parts: 0 for a small
// buffer, 1 for a larger one. It returns -1 for a tiny buffer, which is not counted.
func (b *budget) part(size int64) int {
	switch {
	case size <= b.tinyMax:
		return -1
	case size <= b.smallMax:
		return 0
	}
	return 1
}

// errOutOfMemory is the logged cause of a problem: a callback was refused because the memory for bodies is used up.
var errOutOfMemory = errors.New("the memory for bodies in flight is used up; public.memory bounds it")

// acquire reserves memory for a buffer of size bytes. If the memory for bodies is used up, it drops slow bodies whose
// signature is not verified yet, and waits. After 250 ms (in.patience) it returns a problem with status 503 or 429.
func (in *bodyReader) acquire(ctx context.Context, size int64) error {
	i := in.budget.part(size)
	if i < 0 {
		return nil
	}
	if part := in.budget.parts[i]; !part.TryAcquire(size) {
		in.unverified.makeRoom(in, i, size)
		ctx, cancel := context.WithTimeoutCause(ctx, in.patience, errOutOfMemory)
		defer cancel()
		if part.Acquire(ctx, size) != nil {
			return in.outOfMemory(context.Cause(ctx))
		}
	}
	in.held[i].Add(size)
	return nil
}

// parsingFactor is how many bytes of memory parsing takes for each byte of a body, in addition to the body itself. It
// is an estimate.
const parsingFactor = 3 // includes the numbers of recipients, and the copy for the journal

// acquireForParsing reserves the memory for parsing a body of size bytes. The caller must call done to release it. If
// too little is free, it waits up to 250 ms (in.patience) and then returns a problem with status 503, or 429 if the
// webhook is configured to shed load with 429.
func (in *bodyReader) acquireForParsing(ctx context.Context, size int64) (done func(), err error) {
	i := in.decoded.part(size)
	if i < 0 {
		return func() {}, nil
	}
	part, size := in.decoded.parts[i], parsingFactor*size
	if !part.TryAcquire(size) {
		ctx, cancel := context.WithTimeoutCause(ctx, in.patience, errOutOfMemory)
		defer cancel()
		if part.Acquire(ctx, size) != nil {
			return nil, in.outOfMemory(context.Cause(ctx))
		}
	}
	return func() { part.Release(size) }, nil
}

// outOfMemory returns the problem for a callback that is refused for lack of memory, with status 503 or, if so
// configured, 429. The cause is logged but not sent.
func (in *bodyReader) outOfMemory(cause error) error {
	return &problem.Problem{Kind: problem.KindShed, Status: in.shed, Detail: "retry later", Cause: cause}
}

// releaseBuffer releases the memory that acquire reserved for one buffer of size bytes.
func (in *bodyReader) releaseBuffer(size int64) {
	if i := in.budget.part(size); i >= 0 {
		in.budget.parts[i].Release(size)
		in.held[i].Add(-size)
	}
}

// releaseAll releases all memory that is still reserved for the buffers of the body, which must no longer be used.
// Calling it again does nothing.
func (in *bodyReader) releaseAll() {
	for i := range in.held {
		in.budget.parts[i].Release(in.held[i].Swap(0))
	}
}
