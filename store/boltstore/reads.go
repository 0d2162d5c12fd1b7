package boltstore

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
	"github.com/dlrloop/dlrloop/store/fold"
)

// find returns the number that a batch has in the database, or ErrNotFound if the batch is not stored.
func find(tx *bolt.Tx, key store.BatchKey) (schema.Number, error) {
	found := tx.Bucket(schema.BucketIDs).Get(schema.IDKey(key))
	if found == nil {
		return 0, store.ErrNotFound
	}
	return schema.NumberOf(found), nil
}

// Batch implements store.Store: it returns one batch, or ErrNotFound.
func (s *Store) Batch(ctx context.Context, key store.BatchKey) (b *store.Batch, err error) {
	err = s.view(ctx, func(tx *bolt.Tx) error {
		n, err := find(tx, key)
		if err != nil {
			return err
		}
		b, err = schema.ReadBatch(tx, n)
		return err
	})
	return b, err
}

// Batches implements store.Store: it lists the batches that the query selects, newest first.
func (s *Store) Batches(ctx context.Context, q store.BatchQuery) (page store.Page[*store.Batch], err error) {
	err = s.view(ctx, func(tx *bolt.Tx) error {
		return backward(tx.Bucket(schema.BucketBatches), nil, q.Paging, func(key, row []byte) (bool, error) {
			b, err := schema.DecodeBatch(key, row)
			if err != nil || !matches(b, q) {
				return false, err
			}
			page.Items = append(page.Items, b)
			return true, nil
		}, &page.Next)
	})
	return page, err
}

// matches reports whether the batch meets all conditions of the query. An empty field of the query matches every batch.
func matches(b *store.Batch, q store.BatchQuery) bool {
	return (q.Plan == "" || b.Plan == q.Plan) &&
		(q.ClientReference == "" || b.ClientReference == q.ClientReference) &&
		(q.From.IsZero() || !b.FirstAt.Before(q.From)) &&
		(q.To.IsZero() || b.FirstAt.Before(q.To)) &&
		(q.Status == "" || b.States[q.Status] > 0 || slices.ContainsFunc(b.Reported, func(r store.Reported) bool {
			return r.Status == q.Status && r.Claimed > 0
		}))
}

// Recipient implements store.Store: it returns one recipient with the raw bytes of all its reports, or ErrNotFound.
func (s *Store) Recipient(
	ctx context.Context, key store.BatchKey, number string,
) (r store.RecipientWithBodies, err error) {
	digits := dlr.Digits(number)
	err = s.view(ctx, func(tx *bolt.Tx) error {
		n, err := find(tx, key)
		if err != nil {
			return err
		}
		if r.Recipient, err = recipientOf(tx, n, digits); err != nil {
			return err
		}
		r.Bodies = make([][]byte, len(r.Reports))
		for i := range r.Reports {
			if r.Bodies[i], err = s.raw(tx, n, r.Reports[i].Ref); err != nil {
				return err
			}
		}
		return nil
	})
	return r, err
}

// recipientOf reads the row of one recipient of batch n, or returns ErrNotFound. digits are those of the phone number.
func recipientOf(tx *bolt.Tx, n schema.Number, digits string) (*store.Recipient, error) {
	key := schema.RecipientKey(n, digits)
	row := tx.Bucket(schema.BucketRecipients).Get(key)
	if row == nil {
		return nil, store.ErrNotFound
	}
	r, err := schema.DecodeRecipient(key, row)
	return &r, err
}

// raw returns the raw bytes of the report at ref in the report log of batch n, or nil if the log does not have it.
func (s *Store) raw(tx *bolt.Tx, n schema.Number, ref store.Ref) ([]byte, error) {
	key := schema.LogKey(n, ref.Chunk)
	chunk := tx.Bucket(schema.BucketLog).Get(key)
	if chunk == nil {
		return nil, nil
	}
	reports, err := schema.Unpack(s.decoder, key, chunk)
	if err != nil || ref.Index >= uint64(len(reports)) {
		return nil, err
	}
	return reports[ref.Index].Raw, nil
}

// Recipients implements store.Store: it lists a batch's recipients, sorted by the digits of their phone numbers.
func (s *Store) Recipients(
	ctx context.Context, key store.BatchKey, q store.RecipientQuery,
) (page store.Page[*store.Recipient], err error) {
	err = s.view(ctx, func(tx *bolt.Tx) error {
		n, err := find(tx, key)
		if err != nil {
			return err
		}
		return forward(tx.Bucket(schema.BucketRecipients), n.Key(), q.Paging, func(key, row []byte) (bool, error) {
			r, err := schema.DecodeRecipient(key, row)
			if err != nil {
				return false, err
			}
			if held, _ := r.State(); q.Status != "" && held.Status != q.Status {
				return false, nil
			}
			page.Items = append(page.Items, &r)
			return true, nil
		}, &page.Next)
	})
	return page, err
}

// Reports implements store.Store: it lists the raw reports of a batch in the order in which they were recorded.
func (s *Store) Reports(
	ctx context.Context, key store.BatchKey, p store.Paging,
) (page store.Page[store.Logged], err error) {
	err = s.view(ctx, func(tx *bolt.Tx) error {
		n, err := find(tx, key)
		if err != nil {
			return err
		}
		page, err = s.pageOfLog(tx, n, p)
		return err
	})
	return page, err
}

// Stats implements store.Store: it returns the totals of every plan, sorted by plan. It blocks until they include all
// that was recorded before the call, and while a write transaction runs.
func (s *Store) Stats(ctx context.Context) ([]store.PlanStats, error) {
	if s.closed.Load() {
		return nil, s.closedError()
	}
	if err := s.backlog.Wait(ctx); err != nil {
		return nil, err
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.totals.Sorted(), nil
}

// Timeseries implements store.Store: it counts messages per minute, plan and status, for the minutes in [from, to). An
// empty plan selects all plans.
func (s *Store) Timeseries(
	ctx context.Context, plan string, from, to time.Time,
) (counts []store.MinuteCount, err error) {
	first := fold.MinuteKey{Minute: from.Add(time.Minute - 1).Truncate(time.Minute)}
	err = s.view(ctx, func(tx *bolt.Tx) error {
		c := tx.Bucket(schema.BucketMinutes).Cursor()
		for key, row := c.Seek(schema.MinuteKey(first)[:4]); key != nil; key, row = c.Next() {
			k := schema.MinuteOf(key)
			if !k.Minute.Before(to) {
				return nil
			}
			if plan != "" && k.Plan != plan {
				continue
			}
			n, err := schema.DecodeCount(key, row)
			if err != nil {
				return err
			}
			counts = append(counts, store.MinuteCount{Minute: k.Minute, Plan: k.Plan, Status: k.Status, Messages: n})
		}
		return nil
	})
	slices.SortFunc(counts, func(a, b store.MinuteCount) int { // keys sort by the plan's length first
		return cmp.Or(
			a.Minute.Compare(b.Minute),
			strings.Compare(a.Plan, b.Plan),
			strings.Compare(string(a.Status), string(b.Status)),
		)
	})
	return counts, err
}
