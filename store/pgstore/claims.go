package pgstore

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dlrloop/dlrloop/store"
)

const (
	findDue = `
SELECT b.slot, b.plan, b.batch_id FROM generate_series(0, $1::int - 1) AS s (slot) CROSS JOIN LATERAL (
    SELECT slot, plan, batch_id, due FROM batch
    WHERE slot = s.slot AND plan = $2 AND due <= $3 AND (lease_until IS NULL OR lease_until <= $3)
    ORDER BY due, batch_id LIMIT $4
) b ORDER BY b.due, b.batch_id LIMIT $4`

	// A batch that somebody has locked is being claimed, settled or reported of: it is left for the next time.
	takeDue = `
UPDATE batch b SET lease = c.lease, lease_until = $6
FROM (
    SELECT b.slot, b.plan, b.batch_id, k.lease
    FROM unnest($1::smallint[], $2::text[], $3::text[], $4::text[]) AS k (slot, plan, batch_id, lease)
    JOIN batch b ON b.slot = k.slot AND b.plan = k.plan AND b.batch_id = k.batch_id
    WHERE b.due <= $5 AND (b.lease_until IS NULL OR b.lease_until <= $5)
    FOR UPDATE OF b SKIP LOCKED
) c
WHERE b.slot = c.slot AND b.plan = c.plan AND b.batch_id = c.batch_id
RETURNING b.lease, b.row`

	findInState = `
SELECT k.n, r.number
FROM unnest($1::smallint[], $2::text[], $3::text[], $4::bigint[]) WITH ORDINALITY AS k (slot, plan, batch_id, most, n)
CROSS JOIN LATERAL (
    SELECT number, digits FROM recipient
    WHERE slot = k.slot AND plan = k.plan AND batch_id = k.batch_id AND feedback = $5
    ORDER BY digits LIMIT k.most
) r ORDER BY k.n, r.digits`

	findOverdue = `
SELECT b.row FROM (
    SELECT b.slot, b.plan, b.batch_id, b.check_due FROM generate_series(0, $1::int - 1) AS s (slot) CROSS JOIN LATERAL (
        SELECT slot, plan, batch_id, check_due FROM batch
        WHERE slot = s.slot AND plan = $2 AND check_due <= $3 ORDER BY check_due, batch_id LIMIT $4
    ) b ORDER BY b.check_due, b.batch_id LIMIT $4
) k JOIN batch b ON b.slot = k.slot AND b.plan = k.plan AND b.batch_id = k.batch_id
ORDER BY k.check_due, k.batch_id`
)

// claimTries is how often a claim looks again when others were faster with what it found.
const claimTries = 3

// Claim leases tasks of the plan that are due. The lease is in the batch's row: it holds for all replicas, until it ends,
// its settlement is folded, or the Store that took it is closed.
func (s *Store) Claim(ctx context.Context, plan string, now time.Time, lease time.Duration, limit int) ([]store.Claim, error) {
	if s.closed.Load() {
		return nil, store.ErrClosed
	}
	var claims []store.Claim
	for try := 0; try < claimTries && len(claims) < limit; try++ {
		found, err := s.due(ctx, plan, now, limit-len(claims))
		if err != nil {
			return claims, s.readError(err)
		}
		if len(found.slots) == 0 {
			break
		}
		taken, err := s.take(ctx, found, now, now.Add(lease))
		if err != nil {
			return claims, s.readError(fmt.Errorf("claim: %w", err))
		}
		if claims = append(claims, taken...); len(taken) == len(found.slots) {
			break
		}
	}
	return claims, nil
}

// due finds tasks that are due and not leased, the longest due first.
func (s *Store) due(ctx context.Context, plan string, now time.Time, limit int) (found keys, err error) {
	rows, err := s.pool.Query(ctx, findDue, s.slots, text(plan), now, limit)
	if err != nil {
		return found, err
	}
	return collectKeys(rows)
}

// take leases those that nobody else has leased meanwhile, and reads what the claims are about while they are locked.
func (s *Store) take(ctx context.Context, found keys, now, until time.Time) (claims []store.Claim, err error) {
	leases := make([]string, len(found.slots))
	for i := range leases {
		leases[i] = rand.Text()
	}
	err = s.write(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, takeDue, found.slots, found.plans, found.ids, leases, now, until)
		if err != nil {
			return err
		}
		if claims, err = pgx.CollectRows(rows, claimOf); err != nil {
			return err
		}
		slices.SortFunc(claims, func(a, b store.Claim) int {
			return cmp.Or(a.Batch.Task.Due.Compare(b.Batch.Task.Due), strings.Compare(a.Key.BatchID, b.Key.BatchID))
		})
		return s.nameOwed(ctx, tx, claims)
	})
	if err != nil {
		return nil, err
	}
	s.leases.took(claims, now, until)
	return claims, nil
}

func claimOf(row pgx.CollectableRow) (c store.Claim, err error) {
	var encoded []byte
	if err := row.Scan(&c.Lease, &encoded); err != nil {
		return c, err
	}
	if c.Batch, err = decodeBatch(encoded); err != nil {
		return c, err
	}
	c.Key, c.Everyone = c.Batch.Key(), c.Batch.Everyone == store.FeedbackOwed
	return c, nil
}

// nameOwed adds to claims the recipients that they are about.
func (s *Store) nameOwed(ctx context.Context, tx pgx.Tx, claims []store.Claim) error {
	var k keys
	var most []int64
	for _, c := range claims {
		n := 0
		if !c.Everyone {
			n = min(c.Batch.Feedback.Owed, store.MaxRecipients)
		}
		k.add(s.slotOf(c.Key), c.Key)
		most = append(most, int64(n))
	}
	rows, err := tx.Query(ctx, findInState, k.slots, k.plans, k.ids, most, int16(store.FeedbackOwed))
	if err != nil {
		return err
	}
	var (
		n      int
		number string
	)
	_, err = pgx.ForEachRow(rows, []any{&n, &number}, func() error {
		claims[n-1].Recipients = append(claims[n-1].Recipients, plain(number))
		return nil
	})
	return err
}

// Overdue reads batches that are to be asked after.
func (s *Store) Overdue(ctx context.Context, plan string, now time.Time, limit int) ([]*store.Batch, error) {
	return s.batches(ctx, findOverdue, s.slots, text(plan), now, max(limit, 0))
}

// Requeue makes the dead recipients of a batch owed again.
func (s *Store) Requeue(ctx context.Context, key store.BatchKey, now time.Time) (requeued int, err error) {
	for {
		b, err := s.Batch(ctx, key)
		if err != nil {
			return requeued, err
		}
		dead, err := s.dead(ctx, b)
		everyone, full := b.Everyone == store.FeedbackDead, b.Dead != nil && b.Dead.Full
		if err != nil || len(dead) == 0 && !full && !everyone {
			return requeued, err
		}
		n := store.Requeue{BatchID: key.BatchID, Recipients: dead, Everyone: everyone}
		if err := s.Record(ctx, store.Arrival{Plan: key.Plan, At: now, News: n}); err != nil {
			return requeued, err
		}
		requeued += len(dead)
	}
}

// dead reads some of a batch's dead recipients: numbers as they came.
func (s *Store) dead(ctx context.Context, b *store.Batch) (numbers []string, err error) {
	var k keys
	k.add(s.slotOf(b.Key()), b.Key())
	most := []int64{int64(min(b.Feedback.Dead, store.MaxRecipients))}
	rows, err := s.query(ctx, findInState, k.slots, k.plans, k.ids, most, int16(store.FeedbackDead))
	if err != nil {
		return nil, err
	}
	var (
		n      int
		number string
	)
	_, err = pgx.ForEachRow(rows, []any{&n, &number}, func() error {
		numbers = append(numbers, plain(number))
		return nil
	})
	return numbers, s.readError(err)
}
