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

// storedPlan is the plan of what a database begins with, model the batch that was recorded there as any other; the rest are copies
// of it.
const (
	storedPlan = "stored"
	model      = 0
)

const (
	copyBatches = `
INSERT INTO batch (slot, plan, batch_id, chunk, first_at, last_at, reference, dead, gone, row)
SELECT k.slot, b.plan, k.batch_id, b.chunk, k.first_at, k.first_at, b.reference, b.dead, b.gone, k.row
FROM unnest($3::smallint[], $4::text[], $5::timestamptz[], $6::bytea[]) AS k (slot, batch_id, first_at, row)
CROSS JOIN batch b WHERE b.plan = $1 AND b.batch_id = $2`

	// The numbers are those that the function number gives, each batch's a thousand further.
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

// copied is how many batches one statement makes, and apart how long one came after the other: about a month for five million recipients.
const (
	copied = 100
	apart  = 8 * time.Minute
)

// fill stores recipients in batches of a thousand, each reported Dispatched and Delivered: one batch is recorded, the others are
// copied from it in the database, with ids, numbers and times of their own.
func fill(ctx context.Context, url string, stored int, progress func(string)) (err error) {
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
	if f.like, err = s.Batch(ctx, store.BatchKey{Plan: storedPlan, BatchID: traffic.BatchID(model)}); err != nil {
		return err
	}
	if err := connection.QueryRow(ctx, `SELECT slots, salt FROM meta`).Scan(&f.slots, &f.salt); err != nil {
		return err
	}
	batches := stored / traffic.Recipients
	for n := model + 1; n < batches; n += copied {
		if n%(10*copied) == 1 {
			progress(fmt.Sprintf("%d of %d recipients are stored", n*traffic.Recipients, stored))
		}
		if err := f.copy(ctx, n, min(n+copied, batches)); err != nil {
			return fmt.Errorf("copy batches: %w", err)
		}
	}
	if _, err := connection.Exec(ctx, `VACUUM (ANALYZE)`); err != nil {
		return err
	}
	return found(ctx, s, batches-1)
}

// recordModel records the reports of one batch.
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
			return s.Record(ctx, store.Arrival{Plan: storedPlan, At: bornAt(model), News: store.Report{Report: c.Report, Raw: body}})
		})
	}
	return g.Wait()
}

// bornAt is when a stored batch was first heard of.
func bornAt(n int) time.Time { return traffic.SentAt(n, apart) }

// filler copies a batch.
type filler struct {
	connection *pgx.Conn
	like       *store.Batch
	slots      int
	salt       []byte
}

// copy makes the batches from one number to before another.
func (f *filler) copy(ctx context.Context, from, to int) error {
	var (
		slots []int16
		ids   []string
		first []time.Time
		ns    []int64
		rows  [][]byte
	)
	for n := from; n < to; n++ {
		b := *f.like
		b.ID, b.FirstAt, b.LastAt = traffic.BatchID(n), bornAt(n), bornAt(n)
		slots, ids, first = append(slots, f.slot(b.ID)), append(ids, b.ID), append(first, b.FirstAt)
		ns, rows = append(ns, int64(n)), append(rows, packed.EncodeBatch(&b))
	}
	var queue pgx.Batch
	queue.Queue(copyBatches, storedPlan, traffic.BatchID(model), slots, ids, first, rows)
	queue.Queue(copyRecipients, storedPlan, traffic.BatchID(model), slots, ids, first, ns)
	queue.Queue(copyReports, storedPlan, traffic.BatchID(model), slots, ids, first)
	return f.connection.SendBatch(ctx, &queue).Close()
}

// slot is where the store keeps a batch.
func (f *filler) slot(id string) int16 {
	h := sha256.New()
	h.Write(f.salt)
	h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(storedPlan))))
	h.Write([]byte(storedPlan + id))
	return int16(binary.BigEndian.Uint64(h.Sum(nil)) % uint64(f.slots))
}

// found returns an error unless the store finds the last batch, a recipient in it with its reports, and that recipient by its number.
func found(ctx context.Context, s *pgstore.Store, last int) error {
	key := store.BatchKey{Plan: storedPlan, BatchID: traffic.BatchID(last)}
	if _, err := s.Batch(ctx, key); err != nil {
		return fmt.Errorf("look for the last batch: %w", err)
	}
	page, err := s.Recipients(ctx, key, store.RecipientQuery{Paging: store.Paging{Limit: 1}})
	if err != nil || len(page.Items) != 1 {
		return fmt.Errorf("look for its recipients: %d, %w", len(page.Items), err)
	}
	number := page.Items[0].Number
	r, err := s.Recipient(ctx, key, number)
	if err != nil || len(r.Seen) != int(traffic.Statuses) || len(r.Seen[0].Raw) == 0 {
		return fmt.Errorf("look for one of them: %+v, %w", r, err)
	}
	in, err := s.RecipientBatches(ctx, number, store.Paging{})
	if err != nil || len(in.Items) == 0 || in.Items[0].Key != key {
		return fmt.Errorf("look for it by its number: %d batches, %w", len(in.Items), err)
	}
	return nil
}
