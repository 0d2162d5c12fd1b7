package pgstore

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// query begins a read.
func (s *Store) query(ctx context.Context, sql string, arguments ...any) (pgx.Rows, error) {
	if s.closed.Load() {
		return nil, store.ErrClosed
	}
	rows, err := s.pool.Query(ctx, sql, arguments...)
	return rows, s.readError(err)
}

// batches reads rows of batches.
func (s *Store) batches(ctx context.Context, sql string, arguments ...any) ([]*store.Batch, error) {
	rows, err := s.query(ctx, sql, arguments...)
	if err != nil {
		return nil, err
	}
	batches, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*store.Batch, error) {
		var encoded []byte
		if err := row.Scan(&encoded); err != nil {
			return nil, err
		}
		return decodeBatch(encoded)
	})
	return batches, s.readError(err)
}

// Batch reads one batch.
func (s *Store) Batch(ctx context.Context, key store.BatchKey) (*store.Batch, error) {
	found, err := s.batches(ctx, `SELECT row FROM batch WHERE slot = $1 AND plan = $2 AND batch_id = $3`,
		s.slotOf(key), text(key.Plan), text(key.BatchID))
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, store.ErrNotFound
	}
	return found[0], nil
}

// exists returns ErrNotFound when there is no such batch.
func (s *Store) exists(ctx context.Context, key store.BatchKey) error {
	rows, err := s.query(ctx, `SELECT 1 FROM batch WHERE slot = $1 AND plan = $2 AND batch_id = $3`,
		s.slotOf(key), text(key.Plan), text(key.BatchID))
	if err != nil {
		return err
	}
	_, err = pgx.CollectExactlyOneRow(rows, pgx.RowTo[int])
	if errors.Is(err, pgx.ErrNoRows) {
		return store.ErrNotFound
	}
	return s.readError(err)
}

const (
	readRecipient = `
SELECT row FROM recipient WHERE slot = $1 AND plan = $2 AND batch_id = $3 AND digits = $4`

	readRaws = `
SELECT l.chunk, l.place, l.raw FROM unnest($4::bigint[], $5::bigint[]) AS k (chunk, place)
JOIN report_log l ON l.slot = $1 AND l.plan = $2 AND l.batch_id = $3 AND l.chunk = k.chunk AND l.place = k.place`

	listRecipients = `
SELECT row, digits FROM recipient WHERE slot = $1 AND plan = $2 AND batch_id = $3 AND digits > $4 ORDER BY digits LIMIT $5`

	// A page looks at a bounded number of recipients, however few are in the status.
	listInStatus = `
WITH looked AS (
    SELECT digits, status FROM recipient
    WHERE slot = $1 AND plan = $2 AND batch_id = $3 AND digits > $4 ORDER BY digits LIMIT $5
), chosen AS (
    SELECT digits FROM looked WHERE status = $6 ORDER BY digits LIMIT $7
)
SELECT r.row, r.digits, 0, ''
FROM chosen c JOIN recipient r ON r.slot = $1 AND r.plan = $2 AND r.batch_id = $3 AND r.digits = c.digits
UNION ALL
SELECT NULL, NULL, count(*), coalesce(max(digits), '') FROM looked
ORDER BY 2 NULLS LAST`
)

// maxLooked bounds the recipients that a read looks at for one page.
const maxLooked = 20_000

// Recipient reads one recipient with the bytes of its reports.
func (s *Store) Recipient(ctx context.Context, key store.BatchKey, number string) (*store.Recipient, error) {
	slot, plan, id := s.slotOf(key), text(key.Plan), text(key.BatchID)
	rows, err := s.query(ctx, readRecipient, slot, plan, id, text(dlr.Digits(number)))
	if err != nil {
		return nil, err
	}
	row, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[[]byte])
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, store.ErrNotFound
	}
	if err != nil {
		return nil, s.readError(err)
	}
	r, err := decodeRecipient(row)
	if err != nil {
		return nil, s.readError(err)
	}
	var chunks, places []int64
	for _, seen := range r.Seen {
		chunks, places = append(chunks, int64(seen.Ref.Chunk)), append(places, int64(seen.Ref.Index))
	}
	if rows, err = s.query(ctx, readRaws, slot, plan, id, chunks, places); err != nil {
		return nil, err
	}
	var (
		ref store.Ref
		raw []byte
	)
	raws := make(map[store.Ref][]byte, len(r.Seen))
	_, err = pgx.ForEachRow(rows, []any{&ref.Chunk, &ref.Index, &raw}, func() error {
		raws[ref] = raw
		return nil
	})
	for i := range r.Seen {
		r.Seen[i].Raw = raws[r.Seen[i].Ref]
	}
	return r, s.readError(err)
}

// Recipients lists a batch's recipients by their digits.
func (s *Store) Recipients(ctx context.Context, key store.BatchKey, q store.RecipientQuery) (page store.Page[*store.Recipient], err error) {
	after, err := decodePlace("recipients", q.Cursor)
	if err != nil {
		return page, err
	}
	if err := s.exists(ctx, key); err != nil {
		return page, err
	}
	if q.Status != "" {
		return s.inStatus(ctx, key, q, after)
	}
	rows, err := s.query(ctx, listRecipients, s.slotOf(key), text(key.Plan), text(key.BatchID), after.ID, q.Size()+1)
	if err != nil {
		return page, err
	}
	var (
		row          []byte
		digits, last string
	)
	_, err = pgx.ForEachRow(rows, []any{&row, &digits}, func() error {
		if len(page.Items) == q.Size() {
			page.Next = place{List: "recipients", ID: last}.encode()
			return nil
		}
		r, err := decodeRecipient(row)
		page.Items, last = append(page.Items, r), digits
		return err
	})
	return page, s.readError(err)
}

func (s *Store) inStatus(ctx context.Context, key store.BatchKey, q store.RecipientQuery, after place) (page store.Page[*store.Recipient], err error) {
	rows, err := s.query(ctx, listInStatus, s.slotOf(key), text(key.Plan), text(key.BatchID), after.ID, maxLooked, text(string(q.Status)), q.Size()+1)
	if err != nil {
		return page, err
	}
	var (
		row            []byte
		digits         *string
		looked         int
		reached, taken string
		full           bool
	)
	_, err = pgx.ForEachRow(rows, []any{&row, &digits, &looked, &reached}, func() error {
		if digits == nil {
			return nil
		}
		if full = len(page.Items) == q.Size(); full {
			return nil
		}
		r, err := decodeRecipient(row)
		page.Items, taken = append(page.Items, r), *digits
		return err
	})
	switch {
	case full:
		page.Next = place{List: "recipients", ID: taken}.encode()
	case looked == maxLooked:
		page.Next = place{List: "recipients", ID: reached}.encode()
	}
	return page, s.readError(err)
}
