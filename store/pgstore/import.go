package pgstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/copying"
)

// Sink is a database that is being filled by a copy.
type Sink struct{ store *Store }

var _ copying.Sink = (*Sink)(nil)

const (
	// What moves much at a time may take long.
	unlimited = `SELECT set_config('statement_timeout', '0', true), set_config('idle_in_transaction_session_timeout', '0', true)`

	readMark  = `SELECT mark FROM copy_mark WHERE id = 1`
	writeMark = `INSERT INTO copy_mark (id, mark) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET mark = excluded.mark`
	clearMark = `DELETE FROM copy_mark WHERE id = 1`

	countQuarantined = `SELECT count(*) FROM quarantine`

	holdsAny = `
SELECT EXISTS (SELECT 1 FROM batch) OR EXISTS (SELECT 1 FROM recipient) OR EXISTS (SELECT 1 FROM report_log)
    OR EXISTS (SELECT 1 FROM minute_count) OR EXISTS (SELECT 1 FROM total) OR EXISTS (SELECT 1 FROM quarantine)`
)

// refuseUnfinished refuses a database that a copy is filling.
func (s *Store) refuseUnfinished(ctx context.Context) error {
	var mark []byte
	err := s.pool.QueryRow(ctx, readMark).Scan(&mark)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil
	case err != nil:
		return fmt.Errorf("look for an unfinished copy: %w", err)
	}
	return copying.ErrUnfinished
}

// OpenSink opens a database to be filled, and makes its schema if it has none.
func OpenSink(ctx context.Context, c Config) (*Sink, error) {
	s, err := openBare(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	return &Sink{s}, nil
}

// Close closes all connections.
func (s *Sink) Close() error {
	s.store.pool.Close()
	return nil
}

// Begin marks the database. It looks for replicas before and after: one that starts in between sees the mark, or is seen.
func (s *Sink) Begin(ctx context.Context, from copying.Identity) (m copying.Mark, err error) {
	if err := s.store.refuseUsed(ctx); err != nil {
		return m, err
	}
	fresh := false
	err = s.store.write(ctx, func(tx pgx.Tx) error {
		m, fresh, err = begin(ctx, tx, from)
		return err
	})
	if err != nil {
		return m, err
	}
	err = s.store.refuseUsed(ctx)
	if err != nil && fresh {
		err = errors.Join(err, s.Finish(context.WithoutCancel(ctx)))
	}
	return m, err
}

// begin reads the mark of an earlier copy from the source, or makes a fresh one.
func begin(ctx context.Context, tx pgx.Tx, from copying.Identity) (m copying.Mark, fresh bool, err error) {
	var kept []byte
	err = tx.QueryRow(ctx, readMark).Scan(&kept)
	if err == nil {
		m, err = copying.Resume(kept, from)
		return m, false, err
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return m, false, err
	}
	var used bool
	if err := tx.QueryRow(ctx, holdsAny).Scan(&used); err != nil {
		return m, false, err
	}
	if used {
		return m, false, fmt.Errorf("%w: the database holds a store", copying.ErrOccupied)
	}
	m = copying.Mark{Source: from}
	_, err = tx.Exec(ctx, writeMark, m.Encode())
	return m, true, err
}

// Export reads everything.
func (s *Sink) Export(ctx context.Context, from []byte, each func(copying.Piece) error) error {
	tx, err := s.store.beginExport(ctx, false)
	if err != nil {
		return err
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // it only read
	return s.store.export(ctx, tx, from, each)
}

// Import keeps a piece in one transaction.
func (s *Sink) Import(ctx context.Context, p copying.Piece, m copying.Mark) error {
	return s.store.write(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, unlimited); err != nil {
			return err
		}
		var queue pgx.Batch
		if err := s.store.queuePiece(&queue, p); err != nil {
			return err
		}
		queue.Queue(writeMark, m.Encode())
		if err := tx.SendBatch(ctx, &queue).Close(); err != nil {
			return err
		}
		if err := s.store.importQuarantine(ctx, tx, p.Quarantine); err != nil {
			return err
		}
		return s.store.importTotals(ctx, tx, p.Totals)
	})
}

// Finish takes the mark away.
func (s *Sink) Finish(ctx context.Context) error {
	_, err := s.store.pool.Exec(ctx, clearMark)
	return err
}

// queuePiece writes what a piece holds as the fold would.
func (s *Store) queuePiece(queue *pgx.Batch, p copying.Piece) error {
	rows, all := newStep(s, nil), newStep(s, nil)
	var named keys
	for _, part := range p.Parts {
		b := s.imported(part)
		all.batches = append(all.batches, b)
		if part.Batch != nil {
			rows.batches = append(rows.batches, b)
			named.add(b.slot, b.key)
			stats := rows.total(b.slot, b.key.Plan)
			stats.Batches++
			stats.Feedback.Add(part.Batch.Tally())
		}
	}
	if len(rows.batches) > 0 {
		queue.Queue(nameBatches, named.slots, named.plans, named.ids)
		rows.queueBatches(queue)
	}
	all.queueRecipients(queue)
	s.queueLog(queue, p.Parts)
	for _, m := range p.Minutes {
		slot := s.slotOf(store.BatchKey{Plan: m.Plan})
		all.minutes[slotMinute{slot, store.MinuteKey{Minute: m.Minute, Plan: m.Plan, Status: m.Status}}] += m.Messages
	}
	all.queueMinutes(queue)
	queueTotals(queue, rows.totals)
	return nil
}

// imported is a part as the fold has batches.
func (s *Store) imported(part copying.Part) *batchArrivals {
	b := &batchArrivals{key: part.Key, slot: s.slotOf(part.Key), born: part.Born}
	b.rows = store.Rows{Batch: part.Batch, Chunk: part.Chunk + 1, Recipients: make(map[string]*store.Row, len(part.Recipients))}
	for _, r := range part.Recipients {
		b.rows.Recipients[dlr.Digits(r.Number)] = &store.Row{Recipient: r, New: true, Changed: true}
	}
	return b
}

// queueLog writes chunks of report logs.
func (s *Store) queueLog(queue *pgx.Batch, parts []copying.Part) {
	chunks := newStep(s, nil)
	for _, part := range parts {
		for _, c := range part.Log {
			chunks.batches = append(chunks.batches, &batchArrivals{
				key: part.Key, slot: s.slotOf(part.Key), rows: store.Rows{Chunk: c.Number, Log: c.Reports},
			})
		}
	}
	chunks.queueReports(queue)
}

// importQuarantine writes entries of the quarantine. Their ids keep the order in which those of the same millisecond come.
func (s *Store) importQuarantine(ctx context.Context, tx pgx.Tx, entries []store.QuarantineEntry) error {
	if len(entries) == 0 {
		return nil
	}
	var before int
	if err := tx.QueryRow(ctx, countQuarantined).Scan(&before); err != nil {
		return err
	}
	var (
		slots                      []int16
		received                   []time.Time
		ids, plans, reasons, types []string
		raws                       [][]byte
	)
	for i, e := range entries {
		slots, received = append(slots, s.slotOf(store.BatchKey{Plan: e.Plan})), append(received, e.ReceivedAt)
		ids, plans = append(ids, fmt.Sprintf("%012d", before+i)), append(plans, text(e.Plan))
		reasons, types = append(reasons, text(string(e.Reason))), append(types, text(string(e.Type)))
		raws = append(raws, notNull(e.Raw))
	}
	_, err := tx.Exec(ctx, saveQuarantined, slots, received, ids, plans, reasons, types, raws)
	return err
}

// importTotals makes the totals of plans what they were. Batches have added what stands with them, slot by slot, since they do not
// leave it; the rest goes where news of no batch would.
func (s *Store) importTotals(ctx context.Context, tx pgx.Tx, plans []store.PlanStats) error {
	if len(plans) == 0 {
		return nil
	}
	present, err := totalsIn(ctx, tx)
	if err != nil {
		return fmt.Errorf("totals: %w", err)
	}
	rest := make(map[slotPlan]*store.PlanStats, len(plans))
	for _, wanted := range plans {
		rest[slotPlan{s.slotOf(store.BatchKey{Plan: wanted.Plan}), wanted.Plan}] = &wanted
	}
	for _, have := range present {
		wanted := rest[slotPlan{s.slotOf(store.BatchKey{Plan: have.Plan}), have.Plan}]
		if wanted == nil {
			continue
		}
		figures := columnsOf(wanted)
		for i, n := range columnsOf(&have) {
			*figures[i] -= *n
		}
	}
	var queue pgx.Batch
	queueTotals(&queue, rest)
	return tx.SendBatch(ctx, &queue).Close()
}
