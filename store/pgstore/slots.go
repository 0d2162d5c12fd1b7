package pgstore

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/packed"
)

// slotSQL is a SELECT on one slot (hash partition), with the condition slot = $1 for each table. The generated map
// allSlots holds a second form, which reads all slots; its $1 is their number. In that form, ORDER BY or GROUP BY (with
// LIMIT) in the last line applies first to the rows of each slot, then to all rows together.
type slotSQL string

// overSlots returns the result rows of query q in all slots (hash partitions), each converted by scan. With Citus and
// Portable it runs one statement for each slot and returns the rows slot by slot, so the caller must sort, merge and
// limit them. Otherwise it runs one statement.
func overSlots[E any](ctx context.Context, s *Store, scan pgx.RowToFunc[E], q slotSQL, arguments ...any,
) ([]E, error) {
	if !s.config.Dialect.oneSlot() {
		return collect(ctx, s, scan, allSlots[q], append([]any{s.slots}, arguments...)...)
	}
	var queue pgx.Batch
	for slot := range s.slots {
		queue.Queue(string(q), append([]any{slot}, arguments...)...)
	}
	return collectQueue(ctx, s, scan, &queue)
}

// entry is the key of a row that a slotSQL found, mostly of a batch. Its plan and id are escaped (see escape).
type entry struct {
	slot     int16
	plan, id string
	at       time.Time // the time that orders the list; zero if the list has none
}

// entryOf scans an entry from a row of slot, plan, batch id and time. The time may be NULL.
func entryOf(row pgx.CollectableRow) (e entry, err error) {
	var at *time.Time
	if err = row.Scan(&e.slot, &e.plan, &e.id, &at); at != nil {
		e.at = at.UTC()
	}
	return e, err
}

// position returns the cursor position after the entry, in the list with this name.
func (e entry) position(list string) position {
	p := position{List: list, Plan: unescape(e.plan), ID: unescape(e.id)}
	if !e.at.IsZero() {
		p.At = &e.at
	}
	return p
}

// earliest orders entries by time and then by id, for slices.SortFunc.
func earliest(a, b entry) int { return cmp.Or(a.at.Compare(b.at), strings.Compare(a.id, b.id)) }

func latest(a, b entry) int {
	return cmp.Or(b.at.Compare(a.at), strings.Compare(b.plan, a.plan), strings.Compare(b.id, a.id))
}
func byPlan(a, b entry) int { return cmp.Or(strings.Compare(a.plan, b.plan), earliest(a, b)) }

// byKey compares entries by key: all transactions lock batches in this order, so that they cannot deadlock.
func byKey(a, b entry) int {
	return cmp.Or(cmp.Compare(a.slot, b.slot), strings.Compare(a.plan, b.plan), strings.Compare(a.id, b.id))
}

// find returns the first n entries, in the given order, of all entries that the query q finds in any slot.
func (s *Store) find(ctx context.Context, n int, order func(a, b entry) int, q slotSQL, arguments ...any,
) ([]entry, error) {
	found, err := overSlots(ctx, s, entryOf, q, arguments...)
	slices.SortFunc(found, order)
	return found[:min(max(n, 0), len(found))], err
}

// split divides a slice into parts, one for each transaction that is needed: a single part or, with Citus and Portable,
// one part per slot (hash partition). slot returns the slot of an element. The elements of a part keep their order.
func split[E any](d Dialect, all []E, slot func(E) int16) (parts [][]E) {
	if !d.oneSlot() && len(all) > 0 {
		return [][]E{all}
	}
	index := make(map[int16]int)
	for _, e := range all {
		at, known := index[slot(e)]
		if !known {
			at = len(parts)
			index[slot(e)], parts = at, append(parts, nil)
		}
		parts[at] = append(parts[at], e)
	}
	return parts
}

// transactions divides entries into parts, one for each transaction that is needed (see split). It sorts each part by
// key, the order in which all transactions lock batches.
func (d Dialect) transactions(entries []entry) [][]entry {
	return split(d, slices.SortedFunc(slices.Values(entries), byKey), func(e entry) int16 { return e.slot })
}

// keysOf returns the keys of entries, one slice per column, as arguments of unnest.
func keysOf(entries []entry) (k keys) {
	for _, e := range entries {
		k.slots, k.plans, k.ids = append(k.slots, e.slot), append(k.plans, e.plan), append(k.ids, e.id)
	}
	return k
}

// readBatches reads the rows of batches by key. It omits hidden batches, which retention is deleting.
const readBatches keyedSQL = `
SELECT b.plan, b.batch_id, b.row FROM unnest($1::smallint[], $2::text[], $3::text[]) AS k (slot, plan, batch_id)
JOIN batch b ON b.slot = k.slot AND b.plan = k.plan AND b.batch_id = k.batch_id
WHERE NOT b.gone`

// batchesOf reads the batches with the keys in entries, in the same order, with nil for a batch that no longer exists.
func (s *Store) batchesOf(ctx context.Context, entries []entry) ([]*store.Batch, error) {
	type row struct {
		Plan, ID string
		Row      []byte
	}
	var queue pgx.Batch
	for _, part := range s.config.Dialect.transactions(entries) {
		k := keysOf(part)
		s.queue(&queue, readBatches, k.slots, k.plans, k.ids)
	}
	found, err := collectQueue(ctx, s, pgx.RowToStructByPos[row], &queue)
	if err != nil {
		return nil, err
	}
	rows := make(map[[2]string][]byte, len(found))
	for _, f := range found {
		rows[[2]string{f.Plan, f.ID}] = f.Row
	}
	batches := make([]*store.Batch, len(entries))
	for i, e := range entries {
		if encoded, ok := rows[[2]string{e.plan, e.id}]; ok {
			if batches[i], err = packed.DecodeBatch(encoded); err != nil {
				return nil, err
			}
		}
	}
	return batches, nil
}
