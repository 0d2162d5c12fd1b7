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

// slotted is a read over all slots, written for one: its slot is $1, and from says so for every table. What end does to what one
// slot has, as to order and to cut it, does for what all of them have, too.
type slotted struct{ columns, from, end string }

// ofOne is the statement for slot $1.
func (q slotted) ofOne() string {
	return "SELECT " + q.columns + " FROM " + q.from + " " + q.end
}

// ofAll is the statement for the slots below $1.
func (q slotted) ofAll() string {
	return "SELECT " + q.columns + " FROM generate_series(0, $1::int - 1) AS s (n) CROSS JOIN LATERAL (\n" +
		strings.ReplaceAll(q.ofOne(), "slot = $1", "slot = s.n") + "\n) e " + q.end
}

// overSlots reads what q finds in all slots: by one statement where all lie in one database, else by one for each slot, one slot's
// after the other's.
func overSlots[E any](ctx context.Context, s *Store, scan pgx.RowToFunc[E], q slotted, arguments ...any) ([]E, error) {
	if !s.config.Dialect.oneSlot() {
		return collect(ctx, s, scan, q.ofAll(), append([]any{s.slots}, arguments...)...)
	}
	var (
		queue     pgx.Batch
		statement = q.ofOne()
	)
	for slot := range s.slots {
		queue.Queue(statement, append([]any{slot}, arguments...)...)
	}
	return collectQueue(ctx, s, scan, &queue)
}

// entry is a batch, or what else a read over slots found, by its key: texts are as they are kept.
type entry struct {
	slot     int16
	plan, id string
	at       time.Time // by which it is listed; zero for none
}

func entryOf(row pgx.CollectableRow) (e entry, err error) {
	var at *time.Time
	if err = row.Scan(&e.slot, &e.plan, &e.id, &at); at != nil {
		e.at = at.UTC()
	}
	return e, err
}

// place is where a page ends that ends with e.
func (e entry) place(list string) place {
	p := place{List: list, Plan: plain(e.plan), ID: plain(e.id)}
	if !e.at.IsZero() {
		p.At = &e.at
	}
	return p
}

// The orders of entries.
func earliest(a, b entry) int { return cmp.Or(a.at.Compare(b.at), strings.Compare(a.id, b.id)) }

func latest(a, b entry) int {
	return cmp.Or(b.at.Compare(a.at), strings.Compare(b.plan, a.plan), strings.Compare(b.id, a.id))
}
func byPlan(a, b entry) int { return cmp.Or(strings.Compare(a.plan, b.plan), earliest(a, b)) }
func byKey(a, b entry) int {
	return cmp.Or(cmp.Compare(a.slot, b.slot), strings.Compare(a.plan, b.plan), strings.Compare(a.id, b.id))
}

// find reads the first n entries of all slots in their order.
func (s *Store) find(ctx context.Context, n int, order func(a, b entry) int, q slotted, arguments ...any) ([]entry, error) {
	found, err := overSlots(ctx, s, entryOf, q, arguments...)
	slices.SortFunc(found, order)
	return found[:min(max(n, 0), len(found))], err
}

// split divides what a statement is about into what one transaction may be about, each in the order it has.
func split[E any](d Dialect, all []E, slot func(E) int16) (parts [][]E) {
	if !d.oneSlot() && len(all) > 0 {
		return [][]E{all}
	}
	places := make(map[int16]int)
	for _, e := range all {
		at, known := places[slot(e)]
		if !known {
			at = len(parts)
			places[slot(e)], parts = at, append(parts, nil)
		}
		parts[at] = append(parts[at], e)
	}
	return parts
}

// transactions divides entries into those that one transaction may be about, in the order in which all transactions lock them.
func (d Dialect) transactions(entries []entry) [][]entry {
	return split(d, slices.SortedFunc(slices.Values(entries), byKey), func(e entry) int16 { return e.slot })
}

// keysOf are the keys of entries.
func keysOf(entries []entry) (k keys) {
	for _, e := range entries {
		k.slots, k.plans, k.ids = append(k.slots, e.slot), append(k.plans, e.plan), append(k.ids, e.id)
	}
	return k
}

const readBatches = `
SELECT b.plan, b.batch_id, b.row FROM unnest($1::smallint[], $2::text[], $3::text[]) AS k (slot, plan, batch_id)
JOIN batch b ON b.slot = k.slot AND b.plan = k.plan AND b.batch_id = k.batch_id
WHERE NOT b.gone`

// batchesOf reads the batches of entries in the order of these; nil stands for one that is gone meanwhile.
func (s *Store) batchesOf(ctx context.Context, entries []entry) ([]*store.Batch, error) {
	type row struct {
		Plan, ID string
		Row      []byte
	}
	var queue pgx.Batch
	for _, part := range s.config.Dialect.transactions(entries) {
		k := keysOf(part)
		queue.Queue(readBatches, k.slots, k.plans, k.ids)
	}
	if s.config.Dialect.oneSlot() {
		narrow(&queue)
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
