package pgstore

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/packed"
)

// SQL statements that find batches of a plan in one slot (hash partition): findDue those with a due feedback task,
// findMissing those whose missing reports are due to be fetched from Sinch.
const (
	// A due time after $5, or the end of a lease after $6, is later than any wait allows. Such a time was set before the
	// clock was set back, so the task counts as due and the lease as ended.
	findDue slotSQL = `
SELECT slot, plan, batch_id, due
FROM ((SELECT slot, plan, batch_id, due FROM batch WHERE slot = $1 AND plan = $2 AND due <= $3
    AND (lease_until IS NULL OR lease_until <= $3 OR lease_until > $6) ORDER BY due, batch_id LIMIT $4)
    UNION ALL (SELECT slot, plan, batch_id, due FROM batch WHERE slot = $1 AND plan = $2 AND due > $5
    AND (lease_until IS NULL OR lease_until <= $3 OR lease_until > $6) ORDER BY due, batch_id LIMIT $4)) b
ORDER BY due, batch_id LIMIT $4`

	// A time after $5 also counts as due, unless the batch waits for its send_at, which FetchDue finds in the row.
	findMissing slotSQL = `
SELECT slot, plan, batch_id, check_due
FROM ((SELECT slot, plan, batch_id, check_due FROM batch WHERE slot = $1 AND plan = $2 AND check_minute <= $3 AND check_due <= $3
    ORDER BY check_minute, check_due, batch_id LIMIT $4)
    UNION ALL (SELECT slot, plan, batch_id, check_due FROM batch WHERE slot = $1 AND plan = $2 AND check_minute > $5
    ORDER BY check_minute, check_due, batch_id LIMIT $4)) b
ORDER BY check_due, batch_id LIMIT $4`
)

// SQL statements with which Claim leases due feedback tasks and reads their recipients. Requeue uses findInState, too.
const (
	// SKIP LOCKED: another transaction is claiming, settling or folding a locked batch; the next claim may lease its task.
	leaseDue keyedSQL = `
UPDATE batch b SET lease = k.lease, lease_until = $6
FROM (
    SELECT l.slot, l.plan, l.batch_id, k.lease
    FROM unnest($1::smallint[], $2::text[], $3::text[], $4::text[]) AS k (slot, plan, batch_id, lease)
    JOIN batch l ON l.slot = k.slot AND l.plan = k.plan AND l.batch_id = k.batch_id
    WHERE (l.due <= $5 OR l.due > $7) AND (l.lease_until IS NULL OR l.lease_until <= $5 OR l.lease_until > $8)
    FOR UPDATE OF l SKIP LOCKED
) k
WHERE b.slot = k.slot AND b.plan = k.plan AND b.batch_id = k.batch_id
RETURNING b.lease, b.row`

	// If two replicas claim the same task, the second waits for the first and then finds the task leased.
	leaseDuePortably keyedSQL = `
UPDATE batch b SET lease = k.lease, lease_until = $6
FROM unnest($1::smallint[], $2::text[], $3::text[], $4::text[]) AS k (slot, plan, batch_id, lease)
WHERE b.slot = k.slot AND b.plan = k.plan AND b.batch_id = k.batch_id
    AND (b.due <= $5 OR b.due > $7) AND (b.lease_until IS NULL OR b.lease_until <= $5 OR b.lease_until > $8)
RETURNING b.lease, b.row`

	findInState = `
SELECT row, digits FROM recipient
WHERE slot = $1 AND plan = $2 AND batch_id = $3 AND feedback = $4 AND digits >= $5 ORDER BY digits LIMIT $6`
)

// claimTries is the maximum number of times that one call of Claim looks for due tasks. Claim looks again if other
// replicas leased some of the tasks that it found.
const claimTries = 3

// Claim leases up to limit feedback tasks of a plan that are due at now, the earliest due first. No replica can lease
// one of them again until the duration lease has passed, the task is settled or this Store is closed. If no task is
// due, claims is empty and err is nil. Claim returns an error only if it leased no task.
func (s *Store) Claim(ctx context.Context, plan string, now time.Time, lease time.Duration, limit int,
) (claims []store.Claim, err error) {
	horizon := s.config.Policies(plan).Horizon(now)
	for try := 0; err == nil && try < claimTries && len(claims) < limit; try++ {
		var due []entry
		n := limit - len(claims)
		due, err = s.find(ctx, n, earliest, findDue, escape(plan), now, n, horizon, now.Add(lease+store.MaxAhead))
		if err != nil || len(due) == 0 {
			break
		}
		before := len(claims)
		for _, part := range s.config.Dialect.transactions(due) {
			var leased []store.Claim
			if leased, err = s.leaseTasks(ctx, part, now, now.Add(lease), horizon); err != nil {
				break
			}
			claims = append(claims, leased...)
		}
		if len(claims)-before == len(due) {
			break
		}
	}
	if len(claims) > 0 {
		err = nil // the next Claim will report it
	}
	slices.SortFunc(claims, func(a, b store.Claim) int {
		return cmp.Or(a.Batch.Task.Due.Compare(b.Batch.Task.Due), strings.Compare(a.Key.BatchID, b.Key.BatchID))
	})
	return claims, s.readError(err)
}

// leaseTasks leases the tasks in due, except those that another replica has leased meanwhile, and reads their
// recipients in the same transaction. until is when the leases end. A due time after horizon was set before the clock
// was set back, so it counts as due.
func (s *Store) leaseTasks(ctx context.Context, due []entry, now, until, horizon time.Time,
) (claims []store.Claim, err error) {
	statement := leaseDue
	if s.config.Dialect == Portable {
		statement = leaseDuePortably
	}
	k, leases := keysOf(due), make([]string, len(due))
	for i := range leases {
		leases[i] = rand.Text()
	}
	s.leases.add(due, leases, now, until) // before the commit, because its result may be lost
	err = s.writing(ctx, func(tx pgx.Tx) error {
		sql, arguments := s.keyed(statement, k.slots, k.plans, k.ids, leases, now, until, horizon, until.Add(store.MaxAhead))
		rows, err := tx.Query(ctx, sql, arguments...)
		if err != nil {
			return err
		}
		if claims, err = pgx.CollectRows(rows, claimOf); err != nil {
			return err
		}
		return s.readOwed(ctx, tx, claims)
	})
	if err != nil {
		return nil, fmt.Errorf("claim tasks: %w", err)
	}
	s.firstOwed.record(claims)
	return claims, nil
}

// readOwed sets the recipients of each claim: those whose feedback is still owed to Sinch. It starts reading at the
// first recipient of the batch's previous claim. If it finds too few there, it starts again at the first of the batch.
func (s *Store) readOwed(ctx context.Context, tx pgx.Tx, claims []store.Claim) error {
	var queue, rest pgx.Batch
	for i := range claims {
		s.queueOwed(&queue, &claims[i], s.firstOwed.from(claims[i].Key))
	}
	if err := tx.SendBatch(ctx, &queue).Close(); err != nil {
		return err
	}
	for i := range claims {
		if c := &claims[i]; len(c.Recipients) < owedOf(c) {
			s.queueOwed(&rest, c, "")
		}
	}
	if rest.Len() == 0 {
		return nil
	}
	return tx.SendBatch(ctx, &rest).Close()
}

func claimOf(row pgx.CollectableRow) (c store.Claim, err error) {
	var encoded []byte
	if err := row.Scan(&c.Lease, &encoded); err != nil {
		return c, err
	}
	if c.Batch, err = packed.DecodeBatch(encoded); err != nil {
		return c, err
	}
	c.Key, c.WholeBatch = c.Batch.Key(), c.Batch.WholeBatch == store.FeedbackOwed
	return c, nil
}

// owedOf returns how many recipients the claim c must name: those that are owed feedback, at most store.MaxRecipients.
// It returns 0 for feedback on the whole batch, which names no recipients.
func owedOf(c *store.Claim) int {
	if c.WholeBatch {
		return 0
	}
	return min(c.Batch.Feedback.Owed, store.MaxRecipients)
}

// queueOwed adds to queue the query that sets c.Recipients. start is the escaped digits of the recipient at which the
// query starts; empty means the first recipient of the batch.
func (s *Store) queueOwed(queue *pgx.Batch, c *store.Claim, start string) {
	n := owedOf(c)
	if n == 0 {
		return
	}
	queue.Queue(findInState, s.slotOf(c.Key), escape(c.Key.Plan), escape(c.Key.BatchID),
		int16(store.FeedbackOwed), start, n).
		Query(func(rows pgx.Rows) (err error) {
			c.Recipients, err = pgx.CollectRows(rows, numberOf)
			return err
		})
}

// maxFirstOwed is the maximum number of batches in the cache firstOwed, which is emptied when it is full.
const maxFirstOwed = 1 << 10

// firstOwed is a cache for batches that owe feedback on more recipients than one claim can name. For each batch it
// holds the first recipient of the last claim. The next claim starts reading there, and so skips recipients whose
// feedback was already sent. The zero value is ready to use.
type firstOwed struct {
	mu     sync.Mutex
	digits map[store.BatchKey]string // escaped; guarded by mu
}

// from returns the escaped digits of the recipient at which the next claim of a batch starts reading. An empty result
// means the first recipient.
func (o *firstOwed) from(key store.BatchKey) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.digits[key]
}

// record caches the first recipient of each claim that names store.MaxRecipients recipients. It removes the batches of
// all smaller claims from the cache.
func (o *firstOwed) record(claims []store.Claim) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range claims {
		delete(o.digits, c.Key)
		if len(c.Recipients) < store.MaxRecipients {
			continue
		}
		if o.digits == nil || len(o.digits) >= maxFirstOwed {
			o.digits = make(map[store.BatchKey]string)
		}
		o.digits[c.Key] = escape(dlr.Digits(c.Recipients[0]))
	}
}

// numberOf scans the columns row and digits of a recipient, and returns the phone number as it was received.
func numberOf(row pgx.CollectableRow) (string, error) {
	var (
		encoded []byte
		digits  string
	)
	if err := row.Scan(&encoded, &digits); err != nil {
		return "", err
	}
	r, err := decodeRecipient(encoded, digits)
	return r.Number, err
}

// MissingReports returns up to limit batches of a plan whose missing delivery reports are due at now to be fetched from
// Sinch, the earliest due first. It acquires no lease, so other replicas may get the same batches.
func (s *Store) MissingReports(ctx context.Context, plan string, now time.Time, limit int) ([]*store.Batch, error) {
	missing := s.config.Policies(plan).MissingReports
	found, err := s.find(ctx, limit, earliest, findMissing, escape(plan), now, max(limit, 0), missing.Horizon(now))
	if err != nil {
		return nil, s.readError(err)
	}
	batches, err := s.batchesOf(ctx, found)
	return slices.DeleteFunc(batches, func(b *store.Batch) bool {
		return b == nil || !b.FetchDue(missing, now) // a report arrived meanwhile, or the batch waits for its send_at
	}), s.readError(err)
}
