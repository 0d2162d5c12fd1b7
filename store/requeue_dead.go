package store

import (
	"context"
	"time"
)

// RequeueDead implements Store.Requeue for every store. Each call of read must return the batch and the next phone
// numbers with dead feedback; none after the last. record is the store's Record. RequeueDead returns how many
// recipients it requeued, also with an error.
func RequeueDead(
	ctx context.Context, key BatchKey, now time.Time,
	read func(context.Context) (b *Batch, dead []string, err error),
	record func(context.Context, Arrival) error,
) (requeued int, err error) {
	for first := true; ; first = false {
		b, dead, err := read(ctx)
		if err != nil || b == nil {
			return requeued, err
		}
		wholeBatch := b.WholeBatch == FeedbackDead
		// A task without dead recipients must become due as well.
		due := b.Dead != nil && b.Dead.FullReport || b.Waits(now) || first && b.Task != nil
		if len(dead) == 0 && !due && !wholeBatch {
			return requeued, nil
		}
		n := Requeue{BatchID: key.BatchID, Recipients: dead, WholeBatch: wholeBatch}
		if err := record(ctx, Arrival{Plan: key.Plan, At: now, Entry: n}); err != nil {
			return requeued, err
		}
		requeued += len(dead)
	}
}
