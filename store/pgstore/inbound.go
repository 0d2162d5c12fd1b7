package pgstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// The statements that write and read inbound messages by their keys.
const (
	saveInbound keyedSQL = `
INSERT INTO inbound (slot, plan, id, arrived_at, sender, receiver, size, raw)
SELECT slot, plan, id, arrived_at, nullif(sender, ''), nullif(receiver, ''), octet_length(raw), raw
FROM unnest($1::smallint[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::text[], $7::bytea[])
    AS k (slot, plan, id, arrived_at, sender, receiver, raw)
ON CONFLICT (slot, plan, id) DO NOTHING`

	// saveInboundWithEvents returns the keys of the messages that it inserts.
	saveInboundWithEvents keyedSQL = saveInbound + `
RETURNING plan, id`

	readInbound keyedSQL = `
SELECT m.plan, m.arrived_at, m.raw
FROM unnest($1::smallint[], $2::text[], $3::text[]) AS k (slot, plan, id)
JOIN inbound m ON m.slot = k.slot AND m.plan = k.plan AND m.id = k.id`
)

// The statements that find the keys of the messages before a position and not before a time, the newest first: of all
// plans, of one plan, and from or to one phone number.
const (
	listInbound slotSQL = `
SELECT slot, arrived_at, plan, id, size
FROM inbound WHERE slot = $1 AND (arrived_at, plan, id) < ($2, $3, $4) AND arrived_at >= $5
ORDER BY arrived_at DESC, plan DESC, id DESC LIMIT $6`

	listInboundOfPlan slotSQL = `
SELECT slot, arrived_at, plan, id, size
FROM inbound WHERE slot = $1 AND plan = $7 AND (arrived_at, plan, id) < ($2, $3, $4) AND arrived_at >= $5
ORDER BY arrived_at DESC, plan DESC, id DESC LIMIT $6`

	listInboundOfNumber slotSQL = `
SELECT slot, arrived_at, plan, id, size
FROM ((SELECT slot, arrived_at, plan, id, size FROM inbound WHERE slot = $1 AND sender = $8 AND ($7 = '' OR plan = $7)
    AND (arrived_at, plan, id) < ($2, $3, $4) AND arrived_at >= $5
    ORDER BY arrived_at DESC, plan DESC, id DESC LIMIT $6)
    UNION
    (SELECT slot, arrived_at, plan, id, size FROM inbound WHERE slot = $1 AND receiver = $8 AND ($7 = '' OR plan = $7)
    AND (arrived_at, plan, id) < ($2, $3, $4) AND arrived_at >= $5
    ORDER BY arrived_at DESC, plan DESC, id DESC LIMIT $6)) m
ORDER BY arrived_at DESC, plan DESC, id DESC LIMIT $6`
)

// inboundRow holds the columns of an inbound message; the texts are escaped.
type inboundRow struct {
	slot                       int16
	plan, id, sender, receiver string
	arrivedAt                  time.Time
	raw                        []byte

	arrival store.Arrival // the arrival with the message; zero in a copy
	new     bool          // see step.inbound
}

// inboundRowOf returns the columns of m.
func (s *Store) inboundRowOf(m store.InboundMessage) inboundRow {
	return inboundRow{
		slot: s.slotOf(store.BatchKey{Plan: m.Plan, BatchID: m.ID}), plan: escape(m.Plan), id: escape(m.ID),
		sender: digitsOf(m.Inbound.From), receiver: digitsOf(m.Inbound.To), arrivedAt: m.ArrivedAt, raw: notNull(m.Raw),
	}
}

// digitsOf returns the escaped digits of a phone number; empty if it has none.
func digitsOf(number string) string {
	digits := dlr.Digits(number)
	if digits == "" {
		return ""
	}
	return escape(digits)
}

// queueInbound adds to queue the statement q, which inserts the messages of rows that are not stored yet. It adds
// nothing if there are no rows. It sorts rows by key, so that concurrent transactions insert in the same order.
func (s *Store) queueInbound(queue *pgx.Batch, q keyedSQL, rows []inboundRow) *pgx.QueuedQuery {
	if len(rows) == 0 {
		return nil
	}
	slices.SortStableFunc(rows, func(a, b inboundRow) int {
		return cmp.Or(cmp.Compare(a.slot, b.slot), strings.Compare(a.plan, b.plan), strings.Compare(a.id, b.id))
	})
	var (
		slots                         []int16
		plans, ids, senders, receives []string
		arrived                       []time.Time
		raws                          [][]byte
	)
	for _, r := range rows {
		slots, arrived, raws = append(slots, r.slot), append(arrived, r.arrivedAt), append(raws, r.raw)
		plans, ids = append(plans, r.plan), append(ids, r.id)
		senders, receives = append(senders, r.sender), append(receives, r.receiver)
	}
	return s.queue(queue, q, slots, plans, ids, arrived, senders, receives, raws)
}

// InboundMessage returns the inbound message with this id, or store.ErrNotFound.
func (s *Store) InboundMessage(ctx context.Context, plan, id string) (m store.InboundMessage, err error) {
	defer func() { err = s.readError(err) }()
	slot := s.slotOf(store.BatchKey{Plan: plan, BatchID: id})
	sql, arguments := s.keyed(readInbound, []int16{slot}, []string{escape(plan)}, []string{escape(id)})
	return one(ctx, s, inboundOf, sql, arguments...)
}

// inboundOf returns the message in a row of plan, arrived_at and raw.
func inboundOf(row pgx.CollectableRow) (m store.InboundMessage, err error) {
	var plan string
	if err := row.Scan(&plan, &m.ArrivedAt, &m.Raw); err != nil {
		return m, err
	}
	return parseInbound(plan, m)
}

// parseInbound completes m, which holds the columns of a row: it parses Raw and sets Plan from the escaped plan.
func parseInbound(plan string, m store.InboundMessage) (store.InboundMessage, error) {
	c, err := dlr.Parse(m.Raw)
	if err == nil && c.Inbound == nil {
		err = errors.New("it is a report")
	}
	if err != nil {
		return m, fmt.Errorf("%w: the body of an inbound message cannot be read: %w", store.ErrDamaged, err)
	}
	m.Plan, m.ArrivedAt, m.Inbound.Inbound = unescape(plan), m.ArrivedAt.UTC(), c.Inbound
	return m, nil
}

// inboundKey is the key of an inbound message with the size of its body in bytes. The texts are escaped.
type inboundKey struct {
	Slot     int16
	At       time.Time
	Plan, ID string
	Size     int
}

// InboundMessages returns one page of the inbound messages that match q, the newest first. A page also ends when its
// bodies have 16 MiB. An invalid cursor is an error that wraps store.ErrCursor.
func (s *Store) InboundMessages(
	ctx context.Context, q store.InboundQuery,
) (page store.Page[store.InboundMessage], err error) {
	defer func() { err = s.readError(err) }()
	after, err := decodeCursor("inbound", q.Cursor)
	if err != nil {
		return page, err
	}
	found, err := s.findInbound(ctx, q, after)
	if err != nil {
		return page, err
	}
	shown, bytes := 0, 0
	for shown < min(q.Size(), len(found)) && bytes < pageBytes {
		bytes += found[shown].Size
		shown++
	}
	if shown < len(found) {
		last := found[shown-1]
		page.Next = position{List: "inbound", At: &last.At, Plan: unescape(last.Plan), ID: unescape(last.ID)}.encode()
	}
	page.Items, err = s.inboundMessages(ctx, found[:shown])
	return page, err
}

// findInbound returns the keys of up to one more message than a page holds, from the position after, newest first.
func (s *Store) findInbound(ctx context.Context, q store.InboundQuery, after position) ([]inboundKey, error) {
	if to := ceilMicro(q.To); !q.To.IsZero() && (after.At == nil || after.At.After(to)) {
		after = position{At: &to} // an empty plan and id: before all messages of that time
	}
	from := pgtype.Timestamptz{InfinityModifier: pgtype.NegativeInfinity, Valid: true}
	if !q.From.IsZero() {
		from = pgtype.Timestamptz{Time: ceilMicro(q.From), Valid: true}
	}
	statement := listInbound
	arguments := []any{after.before(), escape(after.Plan), escape(after.ID), from, q.Size() + 1}
	switch {
	case q.Number != "":
		statement, arguments = listInboundOfNumber, append(arguments, planOf(q), escape(dlr.Digits(q.Number)))
	case q.Plan != "":
		statement, arguments = listInboundOfPlan, append(arguments, escape(q.Plan))
	}
	found, err := overSlots(ctx, s, pgx.RowToStructByPos[inboundKey], statement, arguments...)
	slices.SortFunc(found, func(a, b inboundKey) int {
		return cmp.Or(b.At.Compare(a.At), strings.Compare(b.Plan, a.Plan), strings.Compare(b.ID, a.ID))
	})
	return found, err
}

// planOf returns the escaped plan of q; empty for all plans.
func planOf(q store.InboundQuery) string {
	if q.Plan == "" {
		return ""
	}
	return escape(q.Plan)
}

// ceilMicro returns t rounded up to whole microseconds, the precision of PostgreSQL.
func ceilMicro(t time.Time) time.Time {
	if whole := t.Truncate(time.Microsecond); whole.Before(t) {
		return whole.Add(time.Microsecond)
	}
	return t
}

// inboundMessages reads the messages with these keys, in their order. It skips messages that were deleted meanwhile.
func (s *Store) inboundMessages(ctx context.Context, wanted []inboundKey) (found []store.InboundMessage, err error) {
	var queue pgx.Batch
	for _, part := range split(s.config.Dialect, wanted, func(k inboundKey) int16 { return k.Slot }) {
		var k keys
		for _, e := range part {
			k.slots, k.plans, k.ids = append(k.slots, e.Slot), append(k.plans, e.Plan), append(k.ids, e.ID)
		}
		s.queue(&queue, readInbound, k.slots, k.plans, k.ids)
	}
	found, err = collectQueue(ctx, s, inboundOf, &queue)
	slices.SortFunc(found, func(a, b store.InboundMessage) int {
		return cmp.Or(b.ArrivedAt.Compare(a.ArrivedAt), strings.Compare(escape(b.Plan), escape(a.Plan)),
			strings.Compare(escape(b.ID), escape(a.ID)))
	})
	return found, err
}
