package pgstore

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/packed"
)

// reading calls read, with retries (see retry), and returns its last error, or store.ErrClosed after Close.
func (s *Store) reading(ctx context.Context, read func() error) error {
	if s.closed.Load() {
		return store.ErrClosed
	}
	return retry(ctx, read)
}

// collect runs one query outside a transaction, with retries, and returns its rows, each converted by scan.
func collect[E any](ctx context.Context, s *Store, scan pgx.RowToFunc[E], sql string, arguments ...any,
) (all []E, err error) {
	err = s.reading(ctx, func() error {
		rows, err := s.pool.Query(ctx, sql, arguments...)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, scan)
		return err
	})
	return all, err
}

// collectQueue runs the statements of queue in one round trip, with retries. It returns the rows of all statements, in
// the order of the statements. It sends a copy of queue, because pgx cannot send a batch twice.
func collectQueue[E any](ctx context.Context, s *Store, scan pgx.RowToFunc[E], queue *pgx.Batch) (all []E, err error) {
	err = s.reading(ctx, func() error {
		all = nil
		var sent pgx.Batch // a new batch for each try, because pgx stores connection state in a sent batch
		for _, q := range queue.QueuedQueries {
			sent.Queue(q.SQL, q.Arguments...).Query(func(rows pgx.Rows) (err error) {
				all, err = pgx.AppendRows(all, rows, scan)
				return err
			})
		}
		return s.pool.SendBatch(ctx, &sent).Close()
	})
	return all, err
}

// one runs a query for one row and returns that row, converted by scan, or store.ErrNotFound if there is no row.
func one[E any](ctx context.Context, s *Store, scan pgx.RowToFunc[E], sql string, arguments ...any) (e E, err error) {
	all, err := collect(ctx, s, scan, sql, arguments...)
	if err == nil && len(all) == 0 {
		err = store.ErrNotFound
	}
	if err != nil {
		return e, err
	}
	return all[0], nil
}

// Batch returns the batch with this key. It returns store.ErrNotFound if the batch is unknown or retention is deleting
// it.
func (s *Store) Batch(ctx context.Context, key store.BatchKey) (*store.Batch, error) {
	b, err := one(ctx, s, batchOf, `SELECT row FROM batch WHERE slot = $1 AND plan = $2 AND batch_id = $3 AND NOT gone`,
		s.slotOf(key), escape(key.Plan), escape(key.BatchID))
	return b, s.readError(err)
}

func batchOf(row pgx.CollectableRow) (*store.Batch, error) {
	encoded, err := pgx.RowTo[[]byte](row)
	if err != nil {
		return nil, err
	}
	return packed.DecodeBatch(encoded)
}

// exists returns nil if the batch exists, and store.ErrNotFound if it is unknown or retention is deleting it.
func (s *Store) exists(ctx context.Context, key store.BatchKey) error {
	_, err := one(ctx, s, pgx.RowTo[int],
		`SELECT 1 FROM batch WHERE slot = $1 AND plan = $2 AND batch_id = $3 AND NOT gone`,
		s.slotOf(key), escape(key.Plan), escape(key.BatchID))
	return err
}

// SQL statements that read the recipients of one batch.
const (
	readRecipient = `
SELECT r.row, r.digits FROM recipient r WHERE r.slot = $1 AND r.plan = $2 AND r.batch_id = $3 AND r.digits = $4` + notHidden

	// The recipients of a hidden batch remain until retention deletes them.
	notHidden = `
    AND NOT EXISTS (SELECT 1 FROM batch b WHERE b.slot = $1 AND b.plan = r.plan AND b.batch_id = r.batch_id AND b.gone)`

	// A phone number may occur in many full reports of megabytes each, so the total size is limited to $6 bytes.
	readRaws = `
WITH n AS (
    SELECT DISTINCT l.chunk, l.place, octet_length(l.raw) AS size FROM unnest($4::bigint[], $5::bigint[]) AS k (chunk, place)
    JOIN report_log l ON l.slot = $1 AND l.plan = $2 AND l.batch_id = $3 AND l.chunk = k.chunk AND l.place = k.place
), sized AS (
    SELECT chunk, place, sum(size) OVER (ORDER BY chunk DESC, place DESC) - size AS before FROM n
)
SELECT l.chunk, l.place, l.raw
FROM sized z JOIN report_log l ON l.slot = $1 AND l.plan = $2 AND l.batch_id = $3 AND l.chunk = z.chunk AND l.place = z.place
WHERE z.before < $6`

	listRecipients = `
SELECT row, digits FROM recipient WHERE slot = $1 AND plan = $2 AND batch_id = $3 AND digits > $4 ORDER BY digits LIMIT $5`

	// A page scans a limited number of recipients, however few of them have the status.
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

// maxScan is the maximum number of recipients to read for one page if the request asks only for those in one status.
const maxScan = 20_000

// Recipient returns one recipient of a batch with the raw bytes of its reports. number may have any spelling, since
// only its digits are compared. If all these reports together exceed 16 MiB, the raw bytes of the older ones are nil.
// Recipient returns store.ErrNotFound if the batch or the recipient is unknown.
func (s *Store) Recipient(
	ctx context.Context, key store.BatchKey, number string,
) (r store.RecipientWithBodies, err error) {
	defer func() { err = s.readError(err) }()
	slot, plan, id := s.slotOf(key), escape(key.Plan), escape(key.BatchID)
	r.Recipient, err = one(ctx, s, recipientOf, readRecipient, slot, plan, id, escape(dlr.Digits(number)))
	if err != nil {
		return r, err
	}
	var chunks, places []int64
	for _, report := range r.Reports {
		chunks, places = append(chunks, int64(report.Ref.Chunk)), append(places, int64(report.Ref.Index))
	}
	type found struct {
		store.Ref
		Raw []byte
	}
	raws, err := collect(ctx, s, pgx.RowToStructByPos[found], readRaws, slot, plan, id, chunks, places, pageBytes)
	if err != nil {
		return r, err
	}
	r.Bodies = make([][]byte, len(r.Reports))
	for i := range r.Reports {
		at := slices.IndexFunc(raws, func(f found) bool { return f.Ref == r.Reports[i].Ref })
		if at >= 0 {
			r.Bodies[i] = raws[at].Raw
		}
	}
	return r, nil
}

func recipientOf(row pgx.CollectableRow) (*store.Recipient, error) {
	var (
		encoded []byte
		digits  string
	)
	if err := row.Scan(&encoded, &digits); err != nil {
		return nil, err
	}
	return decodeRecipient(encoded, digits)
}

// decodeRecipient decodes the columns row and digits of a recipient. digits is escaped (see escape).
func decodeRecipient(row []byte, digits string) (*store.Recipient, error) {
	r, err := packed.DecodeRecipient(row, unescape(digits))
	return &r, err
}

// Recipients returns one page of a batch's recipients, in the order of their digits. If q.Status is set, a page may be
// short or empty although more recipients follow: only an empty Next marks the end. Recipients returns
// store.ErrNotFound for an unknown batch and an error that wraps store.ErrCursor for an invalid cursor.
func (s *Store) Recipients(ctx context.Context, key store.BatchKey, q store.RecipientQuery,
) (page store.Page[*store.Recipient], err error) {
	defer func() { err = s.readError(err) }()
	after, err := decodeCursor(recipientsList, q.Cursor)
	if err != nil {
		return page, err
	}
	if err := s.exists(ctx, key); err != nil {
		return page, err
	}
	if q.Status != "" {
		return s.inStatus(ctx, key, q, after)
	}
	type found struct {
		Row    []byte
		Digits string
	}
	all, err := collect(ctx, s, pgx.RowToStructByPos[found], listRecipients,
		s.slotOf(key), escape(key.Plan), escape(key.BatchID), after.ID, q.Size()+1)
	if err != nil {
		return page, err
	}
	for i, f := range all {
		if i == q.Size() {
			page.Next = position{List: recipientsList, ID: all[i-1].Digits}.encode()
			break
		}
		r, err := decodeRecipient(f.Row, f.Digits)
		if err != nil {
			return page, err
		}
		page.Items = append(page.Items, r)
	}
	return page, nil
}

// inStatus returns one page of the recipients whose status is q.Status, after the given position. It reads at most
// maxScan recipients, so the page may be short or empty although more recipients follow.
func (s *Store) inStatus(ctx context.Context, key store.BatchKey, q store.RecipientQuery, after position,
) (page store.Page[*store.Recipient], err error) {
	type found struct {
		Row     []byte // nil in the last row, which reports how far the scan got
		Digits  *string
		Scanned int
		Reached string
	}
	all, err := collect(ctx, s, pgx.RowToStructByPos[found], listInStatus,
		s.slotOf(key), escape(key.Plan), escape(key.BatchID), after.ID, maxScan, escape(string(q.Status)), q.Size()+1)
	if err != nil {
		return page, err
	}
	chosen, last := all[:len(all)-1], all[len(all)-1]
	if last.Scanned == maxScan {
		page.Next = position{List: recipientsList, ID: last.Reached}.encode()
	}
	for i, f := range chosen {
		if i == q.Size() {
			page.Next = position{List: recipientsList, ID: *chosen[i-1].Digits}.encode()
			break
		}
		r, err := decodeRecipient(f.Row, *f.Digits)
		if err != nil {
			return page, err
		}
		page.Items = append(page.Items, r)
	}
	return page, nil
}
