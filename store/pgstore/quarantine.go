package pgstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// SQL statements that insert quarantined callbacks (kept because they were not understood) and read them by key.
const (
	saveQuarantined keyedSQL = `
INSERT INTO quarantine (slot, received_at, id, plan, reason, type, size, raw)
SELECT slot, received_at, id, plan, reason, type, octet_length(raw), raw
FROM unnest($1::smallint[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bytea[])
    AS k (slot, received_at, id, plan, reason, type, raw)`

	readQuarantine keyedSQL = `
SELECT q.received_at, q.id, q.plan, q.reason, q.type, q.raw
FROM unnest($1::smallint[], $2::timestamptz[], $3::text[]) AS k (slot, received_at, id)
JOIN quarantine q ON q.slot = k.slot AND q.received_at = k.received_at AND q.id = k.id`
)

// listQuarantine finds the keys of the $4 newest quarantine entries of slot $1 before the position ($2, $3).
const listQuarantine slotSQL = `
SELECT slot, received_at, id, size
FROM quarantine WHERE slot = $1 AND (received_at, id) < ($2, $3)
ORDER BY received_at DESC, id DESC LIMIT $4`

// queueQuarantined adds to queue the statement that inserts the quarantined callbacks of the transaction.
func (st *step) queueQuarantined(queue *pgx.Batch) {
	if len(st.quarantined) == 0 {
		return
	}
	var (
		slots                      []int16
		received                   []time.Time
		ids, plans, reasons, types []string
		raws                       [][]byte
	)
	for i, r := range st.quarantined {
		n := r.arrival.Entry.(store.Quarantined)
		slots, received = append(slots, r.slot), append(received, r.arrival.At)
		ids, plans = append(ids, st.quarantineID(i)), append(plans, escape(r.arrival.Plan))
		reasons, types = append(reasons, escape(string(n.Reason))), append(types, escape(string(n.Type)))
		raws = append(raws, notNull(n.Raw))
	}
	st.s.queue(queue, saveQuarantined, slots, received, ids, plans, reasons, types, raws)
}

// quarantineID returns the id of the i-th quarantined callback of the transaction.
func (st *step) quarantineID(i int) string { return fmt.Sprintf("%s %06d", st.quarantineGroup, i) }

// pageBytes is the total size in bytes at which raw reports fill a page, however few they are: one may have megabytes.
const pageBytes = 16 << 20

// quarantineKey is the key of a quarantine entry and the bytes of its raw body. Its fields are in the order of columns.
type quarantineKey struct {
	Slot int16
	At   time.Time
	ID   string
	Size int
}

// newestFirst orders quarantine entries by time and then by id, both descending.
func newestFirst(a, b quarantineKey) int {
	return cmp.Or(b.At.Compare(a.At), strings.Compare(b.ID, a.ID))
}

// Quarantine returns one page of the quarantined callbacks of all plans, the newest first. A page ends early once its
// raw bodies total 16 MiB. An invalid cursor is an error that wraps store.ErrCursor.
func (s *Store) Quarantine(ctx context.Context, p store.Paging) (page store.Page[store.QuarantineEntry], err error) {
	defer func() { err = s.readError(err) }()
	after, err := decodeCursor("quarantine", p.Cursor)
	if err != nil {
		return page, err
	}
	found, err := overSlots(ctx, s, pgx.RowToStructByPos[quarantineKey],
		listQuarantine, after.before(), escape(after.ID), p.Size()+1)
	if err != nil {
		return page, err
	}
	slices.SortFunc(found, newestFirst)
	shown, bytes := 0, 0
	for shown < min(p.Size(), len(found)) && bytes < pageBytes {
		bytes += found[shown].Size
		shown++
	}
	if shown < len(found) {
		page.Next = position{List: "quarantine", At: &found[shown-1].At, ID: found[shown-1].ID}.encode()
	}
	page.Items, err = s.quarantineOf(ctx, found[:shown])
	return page, err
}

// quarantineOf returns the entries with the given keys, the newest first. It skips entries deleted meanwhile.
func (s *Store) quarantineOf(ctx context.Context, wanted []quarantineKey) (entries []store.QuarantineEntry, err error) {
	type row struct {
		At                     time.Time
		ID, Plan, Reason, Type string
		Raw                    []byte
	}
	var queue pgx.Batch
	for _, part := range split(s.config.Dialect, wanted, func(e quarantineKey) int16 { return e.Slot }) {
		var slots []int16
		var received []time.Time
		var ids []string
		for _, e := range part {
			slots, received, ids = append(slots, e.Slot), append(received, e.At), append(ids, e.ID)
		}
		s.queue(&queue, readQuarantine, slots, received, ids)
	}
	rows, err := collectQueue(ctx, s, pgx.RowToStructByPos[row], &queue)
	slices.SortFunc(rows, func(a, b row) int { return cmp.Or(b.At.Compare(a.At), strings.Compare(b.ID, a.ID)) })
	for _, r := range rows {
		entries = append(entries, store.QuarantineEntry{
			Plan: unescape(r.Plan), ReceivedAt: r.At.UTC(),
			Quarantined: store.Quarantined{Reason: dlr.Reason(unescape(r.Reason)), Type: dlr.Type(unescape(r.Type)), Raw: r.Raw},
		})
	}
	return entries, err
}
