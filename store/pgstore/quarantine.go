package pgstore

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

const (
	saveQuarantined = `
INSERT INTO quarantine (slot, received_at, id, plan, reason, type, size, raw)
SELECT slot, received_at, id, plan, reason, type, octet_length(raw), raw
FROM unnest($1::smallint[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bytea[])
    AS k (slot, received_at, id, plan, reason, type, raw)`

	// The oldest go. The table holds few thousand entries, and few are ever added.
	evictQuarantined = `
DELETE FROM quarantine q USING (
    SELECT slot, received_at, id, row_number() OVER w AS entries, sum(size) OVER w AS bytes
    FROM quarantine WINDOW w AS (ORDER BY received_at DESC, id DESC ROWS UNBOUNDED PRECEDING)
) k
WHERE q.slot = k.slot AND q.received_at = k.received_at AND q.id = k.id AND (k.entries > $1 OR k.bytes > $2)`

	listQuarantined = `
WITH n AS (
    SELECT q.slot, q.received_at, q.id FROM generate_series(0, $1::int - 1) AS s (slot) CROSS JOIN LATERAL (
        SELECT slot, received_at, id FROM quarantine
        WHERE slot = s.slot AND (received_at, id) < ($2::timestamptz, $3::text)
        ORDER BY received_at DESC, id DESC LIMIT $4
    ) q ORDER BY q.received_at DESC, q.id DESC LIMIT $4
), sized AS (
    SELECT q.*, count(*) OVER () AS entries, sum(q.size) OVER (ORDER BY q.received_at DESC, q.id DESC) - q.size AS before
    FROM n JOIN quarantine q ON q.slot = n.slot AND q.received_at = n.received_at AND q.id = n.id
)
SELECT received_at, id, plan, reason, type, raw, entries FROM sized WHERE before < $5 ORDER BY received_at DESC, id DESC`
)

// queueQuarantined keeps the callbacks that were not understood; the oldest go when there are too many.
func (st *step) queueQuarantined(queue *pgx.Batch) {
	if len(st.quarantined) == 0 {
		return
	}
	var (
		slots                      []int16
		received                   []time.Time
		ids, plans, reasons, types []string
		raws                       [][]byte
		group                      = rand.Text()
	)
	for i, r := range st.quarantined {
		n := r.arrival.News.(store.Quarantined)
		slots, received = append(slots, r.slot), append(received, r.arrival.At)
		ids, plans = append(ids, fmt.Sprintf("%s %06d", group, i)), append(plans, text(r.arrival.Plan))
		reasons, types = append(reasons, text(string(n.Reason))), append(types, text(string(n.Type)))
		raws = append(raws, notNull(n.Raw))
	}
	queue.Queue(saveQuarantined, slots, received, ids, plans, reasons, types, raws)
	queue.Queue(evictQuarantined, st.s.config.QuarantineEntries, st.s.config.QuarantineBytes).Exec(func(done pgconn.CommandTag) error {
		st.evicted = int(done.RowsAffected())
		return nil
	})
}

// pageBytes ends a page of raw reports before it is full: a full report may be megabytes.
const pageBytes = 16 << 20

// Quarantine lists callbacks that were not understood, the newest first.
func (s *Store) Quarantine(ctx context.Context, p store.Paging) (page store.Page[store.QuarantineEntry], err error) {
	after, err := decodePlace("quarantine", p.Cursor)
	if err != nil {
		return page, err
	}
	var (
		e    store.QuarantineEntry
		id   string
		last place
		all  int
	)
	rows, err := s.query(ctx, listQuarantined, s.slots, after.before(), text(after.ID), p.Size()+1, pageBytes)
	if err != nil {
		return page, err
	}
	_, err = pgx.ForEachRow(rows, []any{&e.ReceivedAt, &id, &e.Plan, &e.Reason, &e.Type, &e.Raw, &all}, func() error {
		if len(page.Items) < p.Size() {
			e.ReceivedAt, e.Plan = e.ReceivedAt.UTC(), plain(e.Plan)
			e.Reason, e.Type = dlr.Reason(plain(string(e.Reason))), dlr.Type(plain(string(e.Type)))
			page.Items = append(page.Items, e)
			last = place{List: "quarantine", At: &page.Items[len(page.Items)-1].ReceivedAt, ID: id}
		}
		return nil
	})
	if len(page.Items) < all {
		page.Next = last.encode()
	}
	return page, s.readError(err)
}
