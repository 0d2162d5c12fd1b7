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
	// The size of a report is known without reading it, so a page reads only the reports that it returns.
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
)

// readMinutes sums the message counts in slot $1 from minute $2 to before minute $3. It includes plan $4, or all plans
// if $4 is empty.
const readMinutes slotSQL = `
SELECT minute, plan, status, sum(messages)::bigint AS messages
FROM minute_count WHERE slot = $1 AND minute >= $2 AND minute < $3 AND ($4::text = '' OR plan = $4)
GROUP BY minute, plan, status`

// Reports returns one page of a batch's raw reports, in the order of their commits. A page ends early once its raw
// bodies total 16 MiB. Reports returns store.ErrNotFound for an unknown batch and an error that wraps store.ErrCursor
// for an invalid cursor.
func (s *Store) Reports(ctx context.Context, key store.BatchKey, p store.Paging,
) (page store.Page[store.Logged], err error) {
	defer func() { err = s.readError(err) }()
	after, err := decodeCursor("reports", p.Cursor)
	if err != nil {
		return page, err
	}
	if p.Cursor == "" {
		after.Place = -1
	}
	if err := s.exists(ctx, key); err != nil {
		return page, err
	}
	type found struct {
		Chunk, Place int64
		ReceivedAt   time.Time
		Type         string
		Source       store.Source
		Raw          []byte
		All          int
	}
	all, err := collect(ctx, s, pgx.RowToStructByPos[found], listReports,
		s.slotOf(key), escape(key.Plan), escape(key.BatchID), after.Chunk, after.Place, p.Size()+1, pageBytes)
	if err != nil {
		return page, err
	}
	if len(all) == 0 {
		return page, nil
	}
	shown := all[:min(p.Size(), len(all))]
	for _, f := range shown {
		page.Items = append(page.Items, store.Logged{
			ReceivedAt: f.ReceivedAt.UTC(), Type: dlr.Type(unescape(f.Type)), Source: f.Source, Raw: f.Raw,
		})
	}
	if last := shown[len(shown)-1]; len(shown) < last.All {
		page.Next = position{List: "reports", Chunk: last.Chunk, Place: last.Place}.encode()
	}
	return page, nil
}

// Timeseries returns the message counts of the minutes from <= minute < to, sorted by minute, plan and status. An empty
// plan selects all plans. Minutes without messages are left out.
func (s *Store) Timeseries(ctx context.Context, plan string, from, to time.Time) ([]store.MinuteCount, error) {
	if plan != "" {
		plan = escape(plan)
	}
	found, err := overSlots(ctx, s, pgx.RowToStructByPos[store.MinuteCount], readMinutes, from, to, plan)
	if err != nil {
		return nil, s.readError(err)
	}
	for i := range found {
		found[i].Minute, found[i].Plan = found[i].Minute.UTC(), unescape(found[i].Plan)
	}
	order := func(a, b store.MinuteCount) int {
		return cmp.Or(a.Minute.Compare(b.Minute), strings.Compare(a.Plan, b.Plan), cmp.Compare(a.Status, b.Status))
	}
	slices.SortFunc(found, order)
	var counts []store.MinuteCount
	for _, c := range found {
		if last := len(counts) - 1; last >= 0 && order(counts[last], c) == 0 { // the same key in two slots
			counts[last].Messages += c.Messages
			continue
		}
		counts = append(counts, c)
	}
	return counts, nil
}
