package pgstore

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dlrloop/dlrloop/store"
)

const rewriteQuarantined keyedSQL = `
UPDATE quarantine q SET raw = k.raw, size = octet_length(k.raw)
FROM unnest($1::smallint[], $2::timestamptz[], $3::text[], $4::bytea[], $5::bytea[]) AS k (slot, received_at, id, old, raw)
WHERE q.slot = k.slot AND q.received_at = k.received_at AND q.id = k.id AND q.raw = k.old`

// quarantine erases the number from the quarantined callbacks, the newest first.
func (e *erasing) quarantine(ctx context.Context) error {
	for after := (position{}); ; {
		found, err := overSlots(ctx, e.Store, pgx.RowToStructByPos[quarantineKey],
			listQuarantine, after.before(), escape(after.ID), eraseRows)
		if err != nil {
			return err
		}
		slices.SortFunc(found, newestFirst)
		page := found[:min(eraseRows, len(found))]
		for size, i := 0, 0; i < len(page); i++ {
			if size += page[i].Size; size >= eraseBytes {
				page = page[:i+1]
			}
		}
		for again := true; again; {
			if again, err = e.quarantined(ctx, page); err != nil {
				return err
			}
		}
		if len(page) == len(found) && len(page) < eraseRows {
			return nil
		}
		last := page[len(page)-1]
		after = position{At: &last.At, ID: last.ID}
	}
}

// quarantinedBody is the key of a quarantine entry with its body, before and after the number was erased.
type quarantinedBody struct {
	slot        int16
	at          time.Time
	id          string
	old, erased []byte
}

// quarantined erases the number from the entries with these keys. It returns true if another call has changed some of
// them meanwhile, so that they must be read again.
func (e *erasing) quarantined(ctx context.Context, wanted []quarantineKey) (again bool, err error) {
	changed, err := e.readQuarantined(ctx, wanted)
	if err != nil {
		return false, err
	}
	for _, part := range split(e.config.Dialect, changed, func(b quarantinedBody) int16 { return b.slot }) {
		var (
			slots       []int16
			received    []time.Time
			ids         []string
			old, erased [][]byte
			grown, n    int
		)
		for _, b := range part {
			slots, received, ids = append(slots, b.slot), append(received, b.at), append(ids, b.id)
			old, erased = append(old, b.old), append(erased, b.erased)
			grown += len(b.erased) - len(b.old)
		}
		sql, arguments := e.keyed(rewriteQuarantined, slots, received, ids, old, erased)
		err := e.change(ctx, func(ctx context.Context, tx pgx.Tx) error {
			done, err := tx.Exec(ctx, sql, arguments...)
			n = int(done.RowsAffected())
			return err
		})
		if err != nil {
			return false, err
		}
		e.done.Quarantined += n
		e.bounds.grow(usage{bytes: grown})
		again = again || n < len(part)
	}
	return again, nil
}

// readQuarantined returns those of the entries that contain the number.
func (e *erasing) readQuarantined(ctx context.Context, wanted []quarantineKey) (changed []quarantinedBody, err error) {
	type row struct {
		At                     time.Time
		ID, Plan, Reason, Type string
		Raw                    []byte
	}
	for _, part := range split(e.config.Dialect, wanted, func(k quarantineKey) int16 { return k.Slot }) {
		var slots []int16
		var received []time.Time
		var ids []string
		slotOf := make(map[string]int16, len(part))
		for _, k := range part {
			slots, received, ids = append(slots, k.Slot), append(received, k.At), append(ids, k.ID)
			slotOf[k.ID] = k.Slot // ids are unique
		}
		sql, arguments := e.keyed(readQuarantine, slots, received, ids)
		rows, err := collect(ctx, e.Store, pgx.RowToStructByPos[row], sql, arguments...)
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			body := e.number.Body(store.BatchKey{Plan: unescape(r.Plan)}, r.Raw)
			if isErased(r.Raw, body) {
				changed = append(changed, quarantinedBody{slotOf[r.ID], r.At, r.ID, r.Raw, body})
			}
		}
	}
	return changed, nil
}
