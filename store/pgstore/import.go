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
	"github.com/dlrloop/dlrloop/store/fold"
)

// Sink is a database that receives the content of another store in a copy.
type Sink struct{ store *Store }

var _ copying.Sink = (*Sink)(nil)

// SQL statements of a copy to this database. Table copy_mark holds the mark of an unfinished copy: how far it has come.
const (
	// unlimited turns off the timeouts of a transaction, because statements of a copy may take long.
	unlimited = `SELECT set_config('statement_timeout', '0', true), set_config('idle_in_transaction_session_timeout', '0', true)`

	readMark  = `SELECT mark FROM copy_mark WHERE id = 1`
	writeMark = `INSERT INTO copy_mark (id, mark) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET mark = excluded.mark`
	clearMark = `DELETE FROM copy_mark WHERE id = 1`

	countQuarantined = `SELECT count(*) FROM quarantine`

	holdsAny = `
SELECT EXISTS (SELECT 1 FROM batch) OR EXISTS (SELECT 1 FROM recipient) OR EXISTS (SELECT 1 FROM report_log)
    OR EXISTS (SELECT 1 FROM minute_count) OR EXISTS (SELECT 1 FROM total) OR EXISTS (SELECT 1 FROM quarantine)
    OR EXISTS (SELECT 1 FROM inbound) OR EXISTS (SELECT 1 FROM event_log) OR EXISTS (SELECT 1 FROM destination WHERE NOT deleted)`
)

// refuseUnfinished returns copying.ErrUnfinished if the database is the destination of an unfinished copy.
func (s *Store) refuseUnfinished(ctx context.Context) error {
	var mark []byte
	err := s.pool.QueryRow(ctx, readMark).Scan(&mark)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil
	case err != nil:
		return fmt.Errorf("read the mark of a copy: %w", err)
	}
	return copying.ErrUnfinished
}

// OpenSink opens the database of c as the destination of a copy, and migrates its schema. If c.NoMigrate is set, an
// older schema is an error instead. The caller must call Close.
func OpenSink(ctx context.Context, c Config) (*Sink, error) {
	s, err := openBare(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	return &Sink{s}, nil
}

// Close closes all connections of the sink. It always returns nil.
func (s *Sink) Close() error {
	s.store.pool.Close()
	return nil
}

// Begin starts a copy into the database, or resumes an unfinished copy of the same source, and returns its mark: how
// far the copy has come. The error wraps copying.ErrInUse if a replica is running, or copying.ErrOccupied if the
// database holds a store. Begin looks for replicas before and after it writes the mark: a replica that starts in
// between either reads the mark or is found.
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

// begin returns the mark of an unfinished copy of the source from. If the database is empty, begin writes and returns a
// new mark, and fresh is true. If it has other content, the error wraps copying.ErrOccupied or copying.ErrOtherSource.
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

// Export passes the copied content to the function each, piece by piece, to verify the copy. from is nil, or the field
// Next of the last verified piece to continue after that piece. Export stops at the first error and returns it.
func (s *Sink) Export(ctx context.Context, from []byte, each func(copying.Piece) error) error {
	tx, err := s.store.beginExport(ctx, false)
	if err != nil {
		return err
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // it only read
	return s.store.export(ctx, tx, from, each)
}

// Import writes piece p of the source's content, and the new mark m (how far the copy has come), in one transaction.
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

// Finish deletes the mark of a complete copy, so that replicas may start on the database.
func (s *Sink) Finish(ctx context.Context) error {
	_, err := s.store.pool.Exec(ctx, clearMark)
	return err
}

// queuePiece adds to queue the statements that write a piece of a copy, except its quarantine entries and totals.
func (s *Store) queuePiece(queue *pgx.Batch, p copying.Piece) error {
	rows, all := newStep(s, nil), newStep(s, nil)
	var inserted keys
	for _, part := range p.Parts {
		b := s.imported(part)
		all.batches = append(all.batches, b)
		if part.Batch != nil {
			rows.batches = append(rows.batches, b)
			inserted.add(b.slot, b.key)
			stats := rows.total(b.slot, b.key.Plan)
			stats.Batches++
			stats.Feedback.Add(part.Batch.Tally())
		}
	}
	if len(rows.batches) > 0 {
		s.queue(queue, insertBatches, inserted.slots, inserted.plans, inserted.ids)
		rows.queueBatches(queue)
	}
	all.queueRecipients(queue)
	s.queueLog(queue, p.Parts)
	for _, m := range p.Minutes {
		slot := s.slotOf(store.BatchKey{Plan: m.Plan})
		all.minutes[slotMinute{slot, fold.MinuteKey{Minute: m.Minute, Plan: m.Plan, Status: m.Status}}] += m.Messages
	}
	all.queueMinutes(queue)
	for _, m := range p.Inbound {
		all.inbound = append(all.inbound, s.inboundRowOf(m))
	}
	s.queueInbound(queue, saveInbound, all.inbound)
	s.queueTotals(queue, rows.totals)
	return nil
}

// imported returns part, the copied rows of one batch, as a batchArrivals without arrivals, so that step can save it.
func (s *Store) imported(part copying.Part) *batchArrivals {
	b := &batchArrivals{key: part.Key, slot: s.slotOf(part.Key), firstAt: part.FirstAt}
	recipients := make(map[string]*fold.Row, len(part.Recipients))
	b.rows = fold.Rows{Batch: part.Batch, Chunk: part.Chunk + 1, Recipients: recipients}
	for _, r := range part.Recipients {
		b.rows.Recipients[dlr.Digits(r.Number)] = &fold.Row{Recipient: r, New: true, Changed: true}
	}
	return b
}

// queueLog adds to queue the statement that writes the copied report logs in parts.
func (s *Store) queueLog(queue *pgx.Batch, parts []copying.Part) {
	chunks := newStep(s, nil)
	for _, part := range parts {
		for _, c := range part.Log {
			chunks.batches = append(chunks.batches, &batchArrivals{
				key: part.Key, slot: s.slotOf(part.Key), rows: fold.Rows{Chunk: c.Number, Log: c.Reports},
			})
		}
	}
	chunks.queueReports(queue)
}

// importQuarantine writes quarantined callbacks. Consecutive ids keep the order of callbacks of the same millisecond.
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
		ids, plans = append(ids, fmt.Sprintf("%012d", before+i)), append(plans, escape(e.Plan))
		reasons, types = append(reasons, escape(string(e.Reason))), append(types, escape(string(e.Type)))
		raws = append(raws, notNull(e.Raw))
	}
	sql, arguments := s.keyed(saveQuarantined, slots, received, ids, plans, reasons, types, raws)
	_, err := tx.Exec(ctx, sql, arguments...)
	return err
}

// importTotals makes the stored totals of each plan equal to plans, the totals of the source. The import of batches has
// already added a part, so importTotals adds only the difference. It adds it in one slot (hash partition) per plan: the
// slot of the BatchKey with this plan and an empty batch id.
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
	s.queueTotals(&queue, rest)
	return tx.SendBatch(ctx, &queue).Close()
}
