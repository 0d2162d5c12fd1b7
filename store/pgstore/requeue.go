package pgstore

import (
	"context"
	"time"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// Requeue makes the dead recipients of a batch owed again, a part of them in a transaction, in the order of their digits.
func (s *Store) Requeue(ctx context.Context, key store.BatchKey, now time.Time) (requeued int, err error) {
	for from, first := "", true; ; first = false {
		b, err := s.Batch(ctx, key)
		if err != nil {
			return requeued, err
		}
		dead, err := s.dead(ctx, b, from)
		everyone := b.Everyone == store.FeedbackDead
		due := b.Dead != nil && b.Dead.Full || b.Waits(now) || first && b.Task != nil
		if err != nil || len(dead) == 0 && !due && !everyone {
			return requeued, err
		}
		n := store.Requeue{BatchID: key.BatchID, Recipients: dead, Everyone: everyone}
		if err := s.Record(ctx, store.Arrival{Plan: key.Plan, At: now, News: n}); err != nil {
			return requeued, err
		}
		requeued += len(dead)
		if len(dead) > 0 {
			from = text(dlr.Digits(dead[len(dead)-1])) + "\x01" // the next: no text that PostgreSQL keeps is in between
		}
	}
}

// dead reads some of a batch's dead recipients, beginning with these digits: numbers as they came.
func (s *Store) dead(ctx context.Context, b *store.Batch, from string) ([]string, error) {
	numbers, err := collect(ctx, s, numberOf, findInState,
		s.slotOf(b.Key()), text(b.Plan), text(b.ID), int16(store.FeedbackDead), from, min(b.Feedback.Dead, s.part))
	return numbers, s.readError(err)
}
