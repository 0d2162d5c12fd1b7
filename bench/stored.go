package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/dlrloop/dlrloop/bench/traffic"
	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/packed"
	"github.com/dlrloop/dlrloop/store/pgstore"
)

// storedPlan is the service plan of all batches that function fill stores. modelBatch is the number of the first batch,
// of which all others are copies.
const (
	storedPlan = "stored"
	modelBatch = 0
)

const (
	copyBatches = `
INSERT INTO batch (slot, plan, batch_id, chunk, first_at, last_at, reference, dead, gone, row)
SELECT k.slot, b.plan, k.batch_id, b.chunk, k.first_at, k.first_at, b.reference, b.dead, b.gone, k.row
FROM unnest($3::smallint[], $4::text[], $5::timestamptz[], $6::bytea[]) AS k (slot, batch_id, first_at, row)
CROSS JOIN batch b WHERE b.plan = $1 AND b.batch_id = $2`

	// The phone numbers are those of traffic.Number: the recipients of batch n have the indexes from n*1000.
	copyRecipients = `
INSERT INTO recipient (slot, plan, batch_id, digits, first_at, day, hash, feedback, status, row)
SELECT k.slot, r.plan, k.batch_id, d.digits, k.first_at, k.first_at::date - '1970-01-01'::date,
    ('x' || encode(substr(sha256(d.digits::bytea), 1, 4), 'hex'))::bit(32)::integer, r.feedback, r.status, r.row
FROM unnest($3::smallint[], $4::text[], $5::timestamptz[], $6::bigint[]) AS k (slot, batch_id, first_at, n)
CROSS JOIN (SELECT *, row_number() OVER (ORDER BY digits) - 1 AS n FROM recipient WHERE plan = $1 AND batch_id = $2) r
CROSS JOIN LATERAL (SELECT '4477' || lpad(((k.n * 1000 + r.n) * 61803399 % 100000000)::text, 8, '0') AS digits) d`

	copyReports = `
INSERT INTO report_log (slot, plan, batch_id, chunk, place, received_at, type, source, raw)
SELECT k.slot, l.plan, k.batch_id, l.chunk, l.place, k.first_at, l.type, l.source, l.raw
FROM unnest($3::smallint[], $4::text[], $5::timestamptz[]) AS k (slot, batch_id, first_at)
CROSS JOIN report_log l WHERE l.plan = $1 AND l.batch_id = $2`
)

// batchesPerCopy is the number of batches that one transaction inserts. batchInterval is the time between the reports
// of one batch and those of the batch with the next number.
const (
	batchesPerCopy = 100
	batchInterval  = 8 * time.Minute
)

// fill fills the database at url with batches of 1000 recipients. The given number of recipients is rounded down to a
// multiple of 1000. fill records the first batch through package pgstore, and copies this batch with SQL, which is
// faster. It calls progress with status messages. It returns an error if the last batch cannot be read back.
func fill(ctx context.Context, url string, recipients int, progress func(string)) (err error) {
	s, err := pgstore.Open(ctx, pgstore.Config{URL: url})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := recordModel(ctx, s); err != nil {
		return fmt.Errorf("record the first batch: %w", err)
	}
	connection, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, connection.Close(ctx)) }()
	f := filler{connection: connection}
	if f.model, err = s.Batch(ctx, store.BatchKey{Plan: storedPlan, BatchID: traffic.BatchID(modelBatch)}); err != nil {
		return err
	}
	if err := connection.QueryRow(ctx, `SELECT slots, salt FROM meta`).Scan(&f.slots, &f.salt); err != nil {
		return err
	}
	batches := recipients / traffic.Recipients
	for n := modelBatch + 1; n < batches; n += batchesPerCopy {
		if n%(10*batchesPerCopy) == 1 {
			progress(fmt.Sprintf("%d of %d recipients stored", n*traffic.Recipients, recipients))
		}
		if err := f.copy(ctx, n, min(n+batchesPerCopy, batches)); err != nil {
			return fmt.Errorf("copy batches: %w", err)
		}
	}
	if _, err := connection.Exec(ctx, `VACUUM (ANALYZE)`); err != nil {
		return err
	}
	return verifyStored(ctx, s, batches-1)
}

// recordModel records the reports of the first batch, two for each of its 1000 recipients, and blocks until they are
// stored. Function fill then copies this batch.
func recordModel(ctx context.Context, s *pgstore.Store) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(256)
	for _, r := range traffic.Planned(0, 1, 1) {
		g.Go(func() error {
			body := r.Body()
			c, err := dlr.Parse(body)
			if err != nil {
				return err
			}
			return s.Record(ctx,
				store.Arrival{
					Plan: storedPlan, At: firstAt(modelBatch),
					Entry: store.Report{Report: c.Report, Raw: body},
				})
		})
	}
	return g.Wait()
}

// firstAt returns the time of the first report of the batch with this number, counted from 0. The time is the same in
// every run.
func firstAt(n int) time.Time { return traffic.SentAt(n, batchInterval) }

// filler inserts batches into PostgreSQL by copying the rows of one stored batch with SQL. It is not safe for
// concurrent use.
type filler struct {
	connection *pgx.Conn
	model      *store.Batch // the batch to copy
	slots      int
	salt       []byte
}

// copy inserts copies of the batch f.model into the database, in one transaction. There is one copy for each batch
// number n with begin <= n < end. The number determines the id, the times and the phone numbers of the copy.
func (f *filler) copy(ctx context.Context, begin, end int) error {
	var (
		slots []int16
		ids   []string
		first []time.Time
		ns    []int64
		rows  [][]byte
	)
	for n := begin; n < end; n++ {
		b := *f.model
		b.ID, b.FirstAt, b.LastAt = traffic.BatchID(n), firstAt(n), firstAt(n)
		slots, ids, first = append(slots, f.slot(b.ID)), append(ids, b.ID), append(first, b.FirstAt)
		ns, rows = append(ns, int64(n)), append(rows, packed.EncodeBatch(&b))
	}
	var queue pgx.Batch
	queue.Queue(copyBatches, storedPlan, traffic.BatchID(modelBatch), slots, ids, first, rows)
	queue.Queue(copyRecipients, storedPlan, traffic.BatchID(modelBatch), slots, ids, first, ns)
	queue.Queue(copyReports, storedPlan, traffic.BatchID(modelBatch), slots, ids, first)
	return f.connection.SendBatch(ctx, &queue).Close()
}

// slot returns the hash partition, from 0 to f.slots-1, in which package pgstore stores the batch with this id. It
// repeats the computation of that package.
func (f *filler) slot(id string) int16 {
	h := sha256.New()
	h.Write(f.salt)
	h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(storedPlan))))
	h.Write([]byte(storedPlan + id))
	return int16(binary.BigEndian.Uint64(h.Sum(nil)) % uint64(f.slots))
}

// errNotStored is wrapped in the error of verifyStored if the store does not return what function fill has stored.
var errNotStored = errors.New("not what was recorded")

// verifyStored reads batch number n, and one recipient of this batch, from the store. It returns an error if the store
// does not return what function fill has stored for them.
func verifyStored(ctx context.Context, s *pgstore.Store, n int) error {
	key := store.BatchKey{Plan: storedPlan, BatchID: traffic.BatchID(n)}
	if _, err := s.Batch(ctx, key); err != nil {
		return fmt.Errorf("read the last batch: %w", err)
	}
	page, err := s.Recipients(ctx, key, store.RecipientQuery{Paging: store.Paging{Limit: 1}})
	if err != nil || len(page.Items) != 1 {
		return fmt.Errorf("read its recipients: got %d: %w", len(page.Items), errors.Join(err, errNotStored))
	}
	number := page.Items[0].Number
	r, err := s.Recipient(ctx, key, number)
	if err != nil || len(r.Reports) != int(traffic.NumStatuses) || len(r.Bodies[0]) == 0 {
		return fmt.Errorf("read one recipient: got %+v: %w", r, errors.Join(err, errNotStored))
	}
	in, err := s.RecipientBatches(ctx, number, store.Paging{})
	if err != nil || len(in.Items) == 0 || in.Items[0].Key != key {
		return fmt.Errorf("read its batches by number: got %d: %w", len(in.Items), errors.Join(err, errNotStored))
	}
	return nil
}
