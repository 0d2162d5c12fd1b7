package pgstore

import (
	"context"
	"time"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// Requeue makes the feedback for all dead recipients of a batch (those whose feedback was given up) due again at now,
// and returns their number. It also makes a waiting task of the batch due. A large batch takes several transactions:
// after an error, some may be committed, and requeued counts only the recipients of those. Requeue returns
// store.ErrNotFound for an unknown batch.
func (s *Store) Requeue(ctx context.Context, key store.BatchKey, now time.Time) (requeued int, err error) {
	start := ""
	read := func(ctx context.Context) (*store.Batch, []string, error) {
		b, err := s.Batch(ctx, key)
		if err != nil {
			return nil, nil, err
		}
		dead, err := s.dead(ctx, b, start)
		if len(dead) > 0 {
			// the next possible digits: stored texts contain no NUL
			start = escape(dlr.Digits(dead[len(dead)-1])) + "\x01"
		}
		return b, dead, err
	}
	return store.RequeueDead(ctx, key, now, read, s.Record)
}

// dead returns phone numbers (as received) of dead recipients of a batch, at most as many as one transaction may
// change. start is the escaped digits of the recipient at which to start; empty means the first recipient.
func (s *Store) dead(ctx context.Context, b *store.Batch, start string) ([]string, error) {
	numbers, err := collect(ctx, s, numberOf, findInState,
		s.slotOf(b.Key()), escape(b.Plan), escape(b.ID), int16(store.FeedbackDead), start, min(b.Feedback.Dead, s.maxPart))
	return numbers, s.readError(err)
}
