package boltstore

import (
	"bytes"
	"context"
	"crypto/rand"
	"iter"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
)

// lease prevents a feedback task (feedback to send to Sinch) from being claimed twice. Leases exist only in memory:
// after a restart, every task can be claimed.
type lease struct {
	token    string
	until    time.Time
	settling bool // a settlement is being recorded: the lease holds until that is folded, even if until passes
}

// leases holds the leases (claims) of feedback tasks. Before the first use, set the field held to an empty map.
type leases struct {
	mu     sync.Mutex
	held   map[schema.Number]lease  // guarded by mu
	tokens map[string]schema.Number // guarded by mu
}

// acquire leases the feedback task of batch n until the given time, and returns the lease's token. ok is false if the
// task has another lease that is still valid. The caller holds l.mu.
func (l *leases) acquire(n schema.Number, now, until time.Time) (token string, ok bool) {
	if old, held := l.held[n]; held {
		// A lease that ends too long after this one was made before the clock was set back.
		if old.settling || now.Before(old.until) && old.until.Sub(until) <= store.MaxAhead {
			return "", false
		}
		delete(l.tokens, old.token)
	}
	token = rand.Text()
	if l.tokens == nil {
		l.tokens = make(map[string]schema.Number)
	}
	l.held[n] = lease{token: token, until: until}
	l.tokens[token] = n
	return token, true
}

// settle must be called with true before the result of a leased feedback task is recorded: the lease then does not
// expire. It must be called with false if recording fails. An unknown token is ignored.
func (l *leases) settle(token string, settling bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n, ok := l.tokens[token]; ok {
		held := l.held[n]
		held.settling = settling
		l.held[n] = held
	}
}

// release ends the lease with this token. It ignores an unknown token. The caller holds l.mu.
func (l *leases) release(token string) {
	if n, ok := l.tokens[token]; ok {
		delete(l.held, n)
		delete(l.tokens, token)
	}
}

// folded ends the leases with these tokens: the results of their feedback tasks are now in the database.
func (l *leases) folded(tokens []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, token := range tokens {
		l.release(token)
	}
}

// Claim implements store.Store: it leases up to limit due feedback tasks of a service plan until now+lease. The newest
// tasks may be missing. Once Settle is called, the lease does not expire until the result is in the database or Settle
// fails.
func (s *Store) Claim(
	_ context.Context, plan string, now time.Time, lease time.Duration, limit int,
) ([]store.Claim, error) {
	if s.closed.Load() {
		return nil, s.closedError()
	}
	s.leases.mu.Lock()
	defer s.leases.mu.Unlock()
	var claims []store.Claim
	err := s.viewFolded(func(tx *bolt.Tx) error {
		for n := range due(tx.Bucket(schema.BucketDue), plan, now, s.config.Policies(plan).Horizon(now)) {
			if len(claims) >= limit {
				return nil
			}
			token, ok := s.leases.acquire(n, now, now.Add(lease))
			if !ok {
				continue
			}
			claim, err := claimOf(tx, n, token)
			if err != nil {
				return err
			}
			claims = append(claims, claim)
		}
		return nil
	})
	if err == nil {
		return claims, nil
	}
	for _, c := range claims { // the caller does not get them
		s.leases.release(c.Lease)
	}
	if s.closed.Load() {
		err = s.closedError()
	}
	return nil, err
}

// due yields the batches of a service plan that are due at now. index is a bucket sorted by due time. It then yields
// those due after horizon, which were stored before the clock was set back.
func due(index *bolt.Bucket, plan string, now, horizon time.Time) iter.Seq[schema.Number] {
	return func(yield func(schema.Number) bool) {
		prefix := schema.AppendPlan(nil, plan)
		c := index.Cursor()
		key, _ := c.Seek(prefix)
		for ; bytes.HasPrefix(key, prefix) && !schema.DueOf(key).After(now); key, _ = c.Next() {
			if !yield(schema.TrailingNumber(key)) {
				return
			}
		}
		key, _ = c.Seek(schema.DueKey(plan, horizon.Add(time.Millisecond), 0))
		for ; bytes.HasPrefix(key, prefix); key, _ = c.Next() {
			if !yield(schema.TrailingNumber(key)) {
				return
			}
		}
	}
}

// claimOf builds the claim for the feedback task of batch n, with up to MaxRecipients phone numbers. It has none if the
// feedback concerns the whole batch. token is that of the task's lease.
func claimOf(tx *bolt.Tx, n schema.Number, token string) (store.Claim, error) {
	b, err := schema.DecodeBatch(n.Key(), tx.Bucket(schema.BucketBatches).Get(n.Key()))
	if err != nil {
		return store.Claim{}, err
	}
	claim := store.Claim{Key: b.Key(), Lease: token, Batch: b, WholeBatch: b.WholeBatch == store.FeedbackOwed}
	if claim.WholeBatch {
		return claim, nil
	}
	claim.Recipients, err = numbersIn(tx, store.FeedbackOwed, n, min(b.Feedback.Owed, store.MaxRecipients))
	return claim, err
}

// numbersIn returns the phone numbers of up to limit recipients of batch n whose feedback has this state. It may read
// the rows of all recipients of the batch.
func numbersIn(tx *bolt.Tx, state store.FeedbackState, n schema.Number, limit int) (numbers []string, err error) {
	prefix := n.Key()
	c := tx.Bucket(schema.BucketRecipients).Cursor()
	for key, row := c.Seek(prefix); len(numbers) < limit && bytes.HasPrefix(key, prefix); key, row = c.Next() {
		r, err := schema.DecodeRecipient(key, row)
		if err != nil {
			return nil, err
		}
		if r.Feedback == state {
			numbers = append(numbers, r.Number)
		}
	}
	return numbers, nil
}

// maxWaiting is after how many skipped batches MissingReports stops. It skips a batch whose send_at is in the future,
// which occurs only if the clock was set back.
const maxWaiting = 1000

// MissingReports implements store.Store: it returns up to limit batches whose missing reports must now be fetched from
// Sinch. Very new batches may not be included.
func (s *Store) MissingReports(
	_ context.Context, plan string, now time.Time, limit int,
) (batches []*store.Batch, err error) {
	if s.closed.Load() {
		return nil, s.closedError()
	}
	missing := s.config.Policies(plan).MissingReports
	err = s.viewFolded(func(tx *bolt.Tx) error {
		waiting := 0
		for n := range due(tx.Bucket(schema.BucketFetches), plan, now, missing.Horizon(now)) {
			if len(batches) >= limit || waiting == maxWaiting {
				return nil
			}
			b, err := schema.DecodeBatch(n.Key(), tx.Bucket(schema.BucketBatches).Get(n.Key()))
			switch {
			case err != nil:
				return err
			case b.FetchDue(missing, now):
				batches = append(batches, b)
			default:
				waiting++ // until its send_at
			}
		}
		return nil
	})
	if err != nil && s.closed.Load() {
		err = s.closedError()
	}
	return batches, err
}

// Tasks implements store.Store: it lists batches whose feedback is pending or, if q.Dead is set, dead (given up).
func (s *Store) Tasks(ctx context.Context, q store.TaskQuery) (page store.Page[*store.Batch], err error) {
	index := schema.BucketDue
	if q.Dead {
		index = schema.BucketDead
	}
	var prefix []byte
	if q.Plan != "" {
		prefix = schema.AppendPlan(nil, q.Plan)
	}
	if !q.Due.IsZero() && !q.Dead && q.Plan != "" && q.Cursor == "" {
		q.Cursor = cursorOf(schema.DueKey(q.Plan, q.Due, 0), prefix)
	}
	err = s.view(ctx, func(tx *bolt.Tx) error {
		return forward(tx.Bucket(index), prefix, q.Paging, func(key, _ []byte) (bool, error) {
			n := schema.TrailingNumber(key).Key()
			b, err := schema.DecodeBatch(n, tx.Bucket(schema.BucketBatches).Get(n))
			page.Items = append(page.Items, b)
			return err == nil, err
		}, &page.Next)
	})
	return page, err
}

// Requeue implements store.Store: it makes the dead (given up) feedback of a batch pending again, due at now. It
// returns how many recipients it has made pending, even if it also returns an error.
func (s *Store) Requeue(ctx context.Context, key store.BatchKey, now time.Time) (requeued int, err error) {
	read := func(ctx context.Context) (b *store.Batch, dead []string, err error) {
		err = s.view(ctx, func(tx *bolt.Tx) error {
			n, err := find(tx, key)
			if err != nil {
				return err
			}
			if b, err = schema.ReadBatch(tx, n); err != nil || b == nil {
				return err
			}
			dead, err = numbersIn(tx, store.FeedbackDead, n, min(b.Feedback.Dead, store.MaxRecipients))
			return err
		})
		return b, dead, err
	}
	return store.RequeueDead(ctx, key, now, read, s.Record)
}
