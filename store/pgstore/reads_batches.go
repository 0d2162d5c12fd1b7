package pgstore

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// listing is a list of batches for the API: the statement that finds its entries in a slot, and their order.
type listing struct {
	name  string // the name in its cursors
	order func(a, b entry) int
	slotSQL
}

// The lists that Batches and Tasks return in pages. The lists of one plan and of all plans have the same name, so that
// they accept each other's cursors.
var (
	listBatches       = listing{"batches", latest, selectBatches}
	listOfPlan        = listing{"batches", latest, selectOfPlan}
	listReference     = listing{"batches", latest, selectReference}
	listPending       = listing{"pending", byPlan, selectPending}
	listPendingOfPlan = listing{"pending", byPlan, selectPendingOfPlan}
	listDead          = listing{"dead", byPlan, selectDead}
	listDeadOfPlan    = listing{"dead", byPlan, selectDeadOfPlan}
)

// SQL statements that find the entries of a list in one slot. Batches are in the order of first_at, the latest first;
// pending tasks in the order of plan and due time; dead feedback in the order of plan and batch id.
const (
	fromBatches = `
SELECT slot, plan, batch_id, first_at
FROM batch WHERE slot = $1 AND first_at >= $2 AND first_at < $3 AND (first_at, plan, batch_id) < ($4, $5, $6)`
	latestFirst = `
ORDER BY first_at DESC, plan DESC, batch_id DESC LIMIT $7`

	selectBatches   slotSQL = fromBatches + latestFirst
	selectOfPlan    slotSQL = fromBatches + ` AND plan = $8` + latestFirst
	selectReference slotSQL = fromBatches + ` AND reference = $8` + latestFirst

	fromPending = `
SELECT slot, plan, batch_id, due
FROM batch WHERE slot = $1 AND due IS NOT NULL AND (plan, due, batch_id) > ($2, $3, $4)`
	earliestFirst = `
ORDER BY plan, due, batch_id LIMIT $5`

	selectPending       slotSQL = fromPending + earliestFirst
	selectPendingOfPlan slotSQL = fromPending + ` AND plan = $6` + earliestFirst

	fromDead = `
SELECT slot, plan, batch_id, NULL::timestamptz
FROM batch WHERE slot = $1 AND dead AND (plan, batch_id) > ($2, $3)`
	lowestFirst = `
ORDER BY plan, batch_id LIMIT $4`

	selectDead       slotSQL = fromDead + lowestFirst
	selectDeadOfPlan slotSQL = fromDead + ` AND plan = $5` + lowestFirst

	// The index recipient_number groups a slot's rows by day. The recursive query finds the existing days, each from
	// the previous one.
	fromNumber = `
FROM (
    WITH RECURSIVE days (day) AS (
        SELECT max(r.day) FROM recipient r WHERE r.slot = $1 AND r.hash IS NOT NULL
        UNION ALL
        SELECT (SELECT max(r.day) FROM recipient r WHERE r.slot = $1 AND r.day < d.day AND r.hash IS NOT NULL) FROM days d WHERE d.day IS NOT NULL
    )
    SELECT r.slot, r.row, r.plan, r.batch_id, r.first_at
    FROM days d JOIN recipient r ON r.slot = $1 AND r.day = d.day AND r.hash = $7 AND r.digits = $2 AND (r.first_at, r.plan, r.batch_id) < ($3, $4, $5)
    WHERE true`
	latestOfNumber = `
) n
ORDER BY first_at DESC, plan DESC, batch_id DESC LIMIT $6`

	selectNumber slotSQL = `
SELECT row, plan, batch_id, first_at` + fromNumber + notHidden + latestOfNumber
)

// minScan is the minimum number of batches to read for a page if the index does not cover all conditions of the query.
const minScan = 1000

// Batches returns one page of the batches that match q, in the order of their first arrival, the latest first. A page
// may be short or empty although more batches follow: only an empty Next marks the end. An invalid cursor is an error
// that wraps store.ErrCursor.
func (s *Store) Batches(ctx context.Context, q store.BatchQuery) (page store.Page[*store.Batch], err error) {
	defer func() { err = s.readError(err) }()
	after, err := decodeCursor("batches", q.Cursor)
	if err != nil {
		return page, err
	}
	to := pgtype.Timestamptz{InfinityModifier: pgtype.Infinity, Valid: true}
	if !q.To.IsZero() {
		to = pgtype.Timestamptz{Time: q.To, Valid: true}
	}
	scan := q.Size() + 1
	if q.Status != "" || q.Plan != "" && q.ClientReference != "" {
		scan = max(scan, minScan)
	}
	list, arguments := listBatches, []any{q.From, to, after.before(), escape(after.Plan), escape(after.ID), scan}
	switch {
	case q.ClientReference != "":
		list, arguments = listReference, append(arguments, referenceOf(q.ClientReference))
	case q.Plan != "":
		list, arguments = listOfPlan, append(arguments, escape(q.Plan))
	}
	return s.page(ctx, list, q.Size(), scan, func(b *store.Batch) bool { return matches(b, q) }, arguments...)
}

// page returns one page of list l: the first size batches for which match returns true, of at most scan batches that it
// reads. arguments are the parameters of the list's SQL statement.
func (s *Store) page(ctx context.Context, l listing, size, scan int, match func(*store.Batch) bool, arguments ...any,
) (page store.Page[*store.Batch], err error) {
	found, err := s.find(ctx, scan, l.order, l.slotSQL, arguments...)
	if err != nil {
		return page, err
	}
	batches, err := s.batchesOf(ctx, found)
	if err != nil {
		return page, err
	}
	for i, b := range batches {
		if len(page.Items) == size {
			page.Next = found[i-1].position(l.name).encode()
			return page, nil
		}
		if b != nil && match(b) {
			page.Items = append(page.Items, b)
		}
	}
	if len(found) == scan {
		page.Next = found[scan-1].position(l.name).encode()
	}
	return page, nil
}

// matches reports whether b meets the conditions of q, except the times, which the SQL statement compares.
func matches(b *store.Batch, q store.BatchQuery) bool {
	return (q.Plan == "" || b.Plan == q.Plan) &&
		(q.ClientReference == "" || b.ClientReference == q.ClientReference) &&
		(q.Status == "" || b.States[q.Status] > 0 || slices.ContainsFunc(b.Reported, func(r store.Reported) bool {
			return r.Status == q.Status && r.Claimed > 0
		}))
}

// Tasks returns one page of the batches with pending feedback, by plan and due time. If q.Dead is set, it returns those
// with dead feedback (given up), by plan and id. An invalid cursor is an error that wraps store.ErrCursor.
func (s *Store) Tasks(ctx context.Context, q store.TaskQuery) (page store.Page[*store.Batch], err error) {
	defer func() { err = s.readError(err) }()
	list, ofPlan, match := listPending, listPendingOfPlan, func(b *store.Batch) bool { return b.Task != nil }
	if q.Dead {
		list, ofPlan, match = listDead, listDeadOfPlan, func(b *store.Batch) bool { return b.Dead != nil }
	}
	after, err := decodeCursor(list.name, q.Cursor)
	if err != nil {
		return page, err
	}
	if !q.Due.IsZero() && q.Plan != "" && q.Cursor == "" {
		after.Plan, after.At = q.Plan, &q.Due
	}
	scan := q.Size() + 1
	arguments := []any{escape(after.Plan), after.after(), escape(after.ID), scan}
	if q.Dead {
		arguments = slices.Delete(arguments, 1, 2)
	}
	if q.Plan != "" {
		list, arguments = ofPlan, append(arguments, escape(q.Plan))
	}
	return s.page(ctx, list, q.Size(), scan, match, arguments...)
}

// RecipientBatches returns one page of the batches that contain a phone number, with the state of the recipient in
// each, the newest batch first. number may have any spelling, since only its digits are compared.
func (s *Store) RecipientBatches(ctx context.Context, number string, p store.Paging,
) (page store.Page[store.RecipientInBatch], err error) {
	defer func() { err = s.readError(err) }()
	after, err := decodeCursor("number", p.Cursor)
	if err != nil {
		return page, err
	}
	type found struct {
		Row      []byte
		Plan, ID string
		At       time.Time
	}
	digits := escape(dlr.Digits(number))
	all, err := overSlots(ctx, s, pgx.RowToStructByPos[found], selectNumber,
		digits, after.before(), escape(after.Plan), escape(after.ID), p.Size()+1, hashOf(digits))
	if err != nil {
		return page, err
	}
	slices.SortFunc(all, func(a, b found) int {
		return cmp.Or(b.At.Compare(a.At), strings.Compare(b.Plan, a.Plan), strings.Compare(b.ID, a.ID))
	})
	for i, f := range all {
		if i == p.Size() {
			last := all[i-1]
			page.Next = entry{plan: last.Plan, id: last.ID, at: last.At}.position("number").encode()
			break
		}
		r, err := decodeRecipient(f.Row, digits)
		if err != nil {
			return page, err
		}
		key := store.BatchKey{Plan: unescape(f.Plan), BatchID: unescape(f.ID)}
		page.Items = append(page.Items, store.RecipientInBatch{Key: key, Recipient: r})
	}
	return page, nil
}
