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
)

// lease keeps a claimed task from being claimed again. Only this process can claim, so leases live in memory: a process
// that ends gives all its tasks back.
type lease struct {
	token    string
	until    time.Time
	settling bool // its settlement is on its way: the lease holds until that is folded
}

type leases struct {
	mu     sync.Mutex
	held   map[number]lease // guarded by mu
	tokens map[string]number
}

// take leases a batch's task at now, unless somebody has it. A lease that ends later than the new one would was taken before
// the clock was set back: it counts no more.
func (l *leases) take(n number, now, until time.Time) (token string, ok bool) {
	if old, held := l.held[n]; held {
		if old.settling || now.Before(old.until) && old.until.Sub(until) <= store.MaxAhead {
			return "", false
		}
		delete(l.tokens, old.token)
	}
	token = rand.Text()
	if l.tokens == nil {
		l.tokens = make(map[string]number)
	}
	l.held[n] = lease{token: token, until: until}
	l.tokens[token] = n
	return token, true
}

// settle says that the settlement of a lease is on its way, or did not make it.
func (l *leases) settle(token string, settling bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n, ok := l.tokens[token]; ok {
		held := l.held[n]
		held.settling = settling
		l.held[n] = held
	}
}

// folded ends the leases whose settlements are folded.
func (l *leases) folded(tokens []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, token := range tokens {
		if n, ok := l.tokens[token]; ok {
			delete(l.held, n)
			delete(l.tokens, token)
		}
	}
}

// Claim leases tasks of the plan that are due. It sees what is folded: a task may show up a moment after what made it
// due was recorded, and a lease holds until its settlement is folded, so nothing is claimed again on old news.
func (s *Store) Claim(_ context.Context, plan string, now time.Time, lease time.Duration, limit int) ([]store.Claim, error) {
	if s.closed.Load() {
		return nil, s.ended()
	}
	s.leases.mu.Lock()
	defer s.leases.mu.Unlock()
	var claims []store.Claim
	err := s.look(func(tx *bolt.Tx) error {
		for n := range due(tx.Bucket(bucketDue), plan, now, s.config.Policies(plan).Horizon(now)) {
			if len(claims) >= limit {
				return nil
			}
			token, ok := s.leases.take(n, now, now.Add(lease))
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
	if err != nil && s.closed.Load() {
		err = s.ended()
	}
	return claims, err
}

// due yields the batches that an index of due times lists for a plan up to now, and then those after horizon, which were
// listed before the clock was set back.
func due(index *bolt.Bucket, plan string, now, horizon time.Time) iter.Seq[number] {
	return func(yield func(number) bool) {
		prefix := appendPlan(nil, plan)
		c := index.Cursor()
		key, _ := c.Seek(prefix)
		for ; bytes.HasPrefix(key, prefix) && !dueOf(key).After(now); key, _ = c.Next() {
			if !yield(trailing(key)) {
				return
			}
		}
		for key, _ = c.Seek(dueKey(plan, horizon.Add(time.Millisecond), 0)); bytes.HasPrefix(key, prefix); key, _ = c.Next() {
			if !yield(trailing(key)) {
				return
			}
		}
	}
}

func claimOf(tx *bolt.Tx, n number, token string) (store.Claim, error) {
	b, err := batchIn(n.key(), tx.Bucket(bucketBatches).Get(n.key()))
	if err != nil {
		return store.Claim{}, err
	}
	claim := store.Claim{Key: b.Key(), Lease: token, Batch: b, Everyone: b.Everyone == store.FeedbackOwed}
	if claim.Everyone {
		return claim, nil
	}
	claim.Recipients, err = numbersIn(tx, store.FeedbackOwed, n, min(b.Feedback.Owed, store.MaxRecipients))
	return claim, err
}

// numbersIn reads up to most recipients of a batch that are in a feedback state, as their numbers came. An index of them
// would cost a write with every report; the rows of one batch lie together and tell their state at a glance.
func numbersIn(tx *bolt.Tx, state store.FeedbackState, n number, most int) (numbers []string, err error) {
	prefix := n.key()
	c := tx.Bucket(bucketRecipients).Cursor()
	for key, row := c.Seek(prefix); len(numbers) < most && bytes.HasPrefix(key, prefix); key, row = c.Next() {
		r, err := recipientIn(key, row)
		if err != nil {
			return nil, err
		}
		if r.Feedback == state {
			numbers = append(numbers, r.Number)
		}
	}
	return numbers, nil
}

// maxWaiting bounds how many batches that wait for their send_at Overdue reads, in search of those whose time a clock gave
// that has been set back since.
const maxWaiting = 1000

// Overdue reads batches that are to be asked after. It sees what is folded.
func (s *Store) Overdue(_ context.Context, plan string, now time.Time, limit int) (batches []*store.Batch, err error) {
	if s.closed.Load() {
		return nil, s.ended()
	}
	missing := s.config.Policies(plan).Missing
	err = s.look(func(tx *bolt.Tx) error {
		waiting := 0
		for n := range due(tx.Bucket(bucketChecks), plan, now, missing.Horizon(now)) {
			if len(batches) >= limit || waiting == maxWaiting {
				return nil
			}
			b, err := batchIn(n.key(), tx.Bucket(bucketBatches).Get(n.key()))
			switch {
			case err != nil:
				return err
			case b.CheckDue(missing, now):
				batches = append(batches, b)
			default:
				waiting++ // for its send_at
			}
		}
		return nil
	})
	if err != nil && s.closed.Load() {
		err = s.ended()
	}
	return batches, err
}

// Tasks lists the batches whose feedback is pending or dead.
func (s *Store) Tasks(ctx context.Context, q store.TaskQuery) (page store.Page[*store.Batch], err error) {
	index := bucketDue
	if q.Dead {
		index = bucketBuried
	}
	var prefix []byte
	if q.Plan != "" {
		prefix = appendPlan(nil, q.Plan)
	}
	if !q.Due.IsZero() && !q.Dead && q.Plan != "" && q.Cursor == "" {
		q.Cursor = cursorOf(dueKey(q.Plan, q.Due, 0), prefix)
	}
	err = s.view(ctx, func(tx *bolt.Tx) error {
		return forward(tx.Bucket(index), prefix, q.Paging, func(key, _ []byte) (bool, error) {
			n := trailing(key).key()
			b, err := batchIn(n, tx.Bucket(bucketBatches).Get(n))
			page.Items = append(page.Items, b)
			return err == nil, err
		}, &page.Next)
	})
	return page, err
}

// Requeue makes the dead recipients of a batch owed again, and its task due.
func (s *Store) Requeue(ctx context.Context, key store.BatchKey, now time.Time) (requeued int, err error) {
	for first := true; ; first = false {
		var (
			dead     []string
			everyone bool
			due      bool // something else is to be made due
		)
		err := s.view(ctx, func(tx *bolt.Tx) error {
			n, err := find(tx, key)
			if err != nil {
				return err
			}
			b, err := batchOf(tx, n)
			if err != nil || b == nil {
				return err
			}
			due = b.Dead != nil && b.Dead.Full || b.Waits(now) || first && b.Task != nil
			everyone = b.Everyone == store.FeedbackDead
			dead, err = numbersIn(tx, store.FeedbackDead, n, min(b.Feedback.Dead, store.MaxRecipients))
			return err
		})
		if err != nil || len(dead) == 0 && !due && !everyone {
			return requeued, err
		}
		n := store.Requeue{BatchID: key.BatchID, Recipients: dead, Everyone: everyone}
		err = s.Record(ctx, store.Arrival{Plan: key.Plan, At: now, News: n})
		if err != nil {
			return requeued, err
		}
		requeued += len(dead)
	}
}
