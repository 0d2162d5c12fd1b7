package pgstore

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

const (
	// The size of a report is known without reading it, so a page costs what it holds.
	listReports = `
WITH n AS (
    SELECT chunk, place, octet_length(raw) AS size FROM report_log
    WHERE slot = $1 AND plan = $2 AND batch_id = $3 AND (chunk, place) > ($4, $5) ORDER BY chunk, place LIMIT $6
), sized AS (
    SELECT chunk, place, count(*) OVER () AS entries, sum(size) OVER (ORDER BY chunk, place) - size AS before FROM n
)
SELECT l.chunk, l.place, l.received_at, l.type, l.source, l.raw, z.entries
FROM sized z JOIN report_log l ON l.slot = $1 AND l.plan = $2 AND l.batch_id = $3 AND l.chunk = z.chunk AND l.place = z.place
WHERE z.before < $7 ORDER BY l.chunk, l.place`

	readMinutes = `
SELECT minute, plan, status, sum(messages)::bigint FROM minute_count
WHERE slot IN (SELECT generate_series(0, $1::int - 1)) AND minute >= $2 AND minute < $3 AND ($4::text = '' OR plan = $4)
GROUP BY minute, plan, status`
)

// Reports lists a batch's report log.
func (s *Store) Reports(ctx context.Context, key store.BatchKey, p store.Paging) (page store.Page[store.Logged], err error) {
	after, err := decodePlace("reports", p.Cursor)
	if err != nil {
		return page, err
	}
	if p.Cursor == "" {
		after.Place = -1
	}
	if err := s.exists(ctx, key); err != nil {
		return page, err
	}
	rows, err := s.query(ctx, listReports, s.slotOf(key), text(key.Plan), text(key.BatchID), after.Chunk, after.Place, p.Size()+1, pageBytes)
	if err != nil {
		return page, err
	}
	var (
		l    store.Logged
		at   place
		last place
		all  int
	)
	_, err = pgx.ForEachRow(rows, []any{&at.Chunk, &at.Place, &l.ReceivedAt, &l.Type, &l.Source, &l.Raw, &all}, func() error {
		if len(page.Items) < p.Size() {
			l.ReceivedAt, l.Type = l.ReceivedAt.UTC(), dlr.Type(plain(string(l.Type)))
			page.Items = append(page.Items, l)
			last = place{List: "reports", Chunk: at.Chunk, Place: at.Place}
		}
		return nil
	})
	if len(page.Items) < all {
		page.Next = last.encode()
	}
	return page, s.readError(err)
}

// Timeseries reads messages by minute, plan and status.
func (s *Store) Timeseries(ctx context.Context, plan string, from, to time.Time) ([]store.MinuteCount, error) {
	if plan != "" {
		plan = text(plan)
	}
	rows, err := s.query(ctx, readMinutes, s.slots, from, to, plan)
	if err != nil {
		return nil, err
	}
	counts, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c store.MinuteCount, err error) {
		err = row.Scan(&c.Minute, &c.Plan, &c.Status, &c.Messages)
		c.Minute, c.Plan = c.Minute.UTC(), plain(c.Plan)
		return c, err
	})
	slices.SortFunc(counts, func(a, b store.MinuteCount) int {
		return cmp.Or(a.Minute.Compare(b.Minute), strings.Compare(a.Plan, b.Plan), cmp.Compare(a.Status, b.Status))
	})
	return counts, s.readError(err)
}
