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

// listing is a list of batches over all slots.
type listing struct {
	name  string // that its cursors carry
	order func(a, b entry) int
	slotted
}

var (
	listBatches   = newest("")
	listOfPlan    = newest(" AND plan = $8")
	listReference = newest(" AND reference = $8")

	listPending       = pending("")
	listPendingOfPlan = pending(" AND plan = $6")
	listDead          = dead("")
	listDeadOfPlan    = dead(" AND plan = $5")

	// A slot's index has its days apart. Which there are is found by going from one to the one before it.
	listNumber = slotted{
		`row, plan, batch_id, first_at`,
		`(
    WITH RECURSIVE days (day) AS (
        SELECT max(r.day) FROM recipient r WHERE r.slot = $1 AND r.hash IS NOT NULL
        UNION ALL
        SELECT (SELECT max(r.day) FROM recipient r WHERE r.slot = $1 AND r.day < d.day AND r.hash IS NOT NULL) FROM days d WHERE d.day IS NOT NULL
    )
    SELECT r.row, r.plan, r.batch_id, r.first_at
    FROM days d JOIN recipient r ON r.slot = $1 AND r.day = d.day AND r.hash = $7 AND r.digits = $2 AND (r.first_at, r.plan, r.batch_id) < ($3, $4, $5)
    WHERE true` + notGone + `
) n`,
		`ORDER BY first_at DESC, plan DESC, batch_id DESC LIMIT $6`,
	}
)

// newest lists batches, those first heard of last first.
func newest(which string) listing {
	return listing{"batches", latest, slotted{
		`slot, plan, batch_id, first_at`,
		`batch WHERE slot = $1 AND first_at >= $2 AND first_at < $3 AND (first_at, plan, batch_id) < ($4, $5, $6)` + which,
		`ORDER BY first_at DESC, plan DESC, batch_id DESC LIMIT $7`,
	}}
}

// pending lists batches by when their tasks are due, plan by plan.
func pending(which string) listing {
	return listing{"pending", byPlan, slotted{
		`slot, plan, batch_id, due`,
		`batch WHERE slot = $1 AND due IS NOT NULL AND (plan, due, batch_id) > ($2, $3, $4)` + which,
		`ORDER BY plan, due, batch_id LIMIT $5`,
	}}
}

// dead lists batches with dead recipients.
func dead(which string) listing {
	return listing{"dead", byPlan, slotted{
		`slot, plan, batch_id, NULL::timestamptz`,
		`batch WHERE slot = $1 AND dead AND (plan, batch_id) > ($2, $3)` + which,
		`ORDER BY plan, batch_id LIMIT $4`,
	}}
}

// batchesLooked bounds the batches that a page looks at for few that are asked for.
const batchesLooked = 1000

// Batches lists batches, those first heard of last first.
func (s *Store) Batches(ctx context.Context, q store.BatchQuery) (page store.Page[*store.Batch], err error) {
	defer func() { err = s.readError(err) }()
	after, err := decodePlace("batches", q.Cursor)
	if err != nil {
		return page, err
	}
	to := pgtype.Timestamptz{InfinityModifier: pgtype.Infinity, Valid: true}
	if !q.To.IsZero() {
		to = pgtype.Timestamptz{Time: q.To, Valid: true}
	}
	look := q.Size() + 1
	if q.Status != "" || q.Plan != "" && q.ClientReference != "" {
		look = max(look, batchesLooked)
	}
	list, arguments := listBatches, []any{q.From, to, after.before(), text(after.Plan), text(after.ID), look}
	switch {
	case q.ClientReference != "":
		list, arguments = listReference, append(arguments, referenceOf(q.ClientReference))
	case q.Plan != "":
		list, arguments = listOfPlan, append(arguments, text(q.Plan))
	}
	return s.page(ctx, list, q.Size(), look, func(b *store.Batch) bool { return matches(b, q) }, arguments...)
}

// page reads a page of batches: of the first that the list has, those that match still.
func (s *Store) page(ctx context.Context, l listing, size, look int, match func(*store.Batch) bool, arguments ...any,
) (page store.Page[*store.Batch], err error) {
	found, err := s.find(ctx, look, l.order, l.slotted, arguments...)
	if err != nil {
		return page, err
	}
	batches, err := s.batchesOf(ctx, found)
	if err != nil {
		return page, err
	}
	for i, b := range batches {
		if len(page.Items) == size {
			page.Next = found[i-1].place(l.name).encode()
			return page, nil
		}
		if b != nil && match(b) {
			page.Items = append(page.Items, b)
		}
	}
	if len(found) == look {
		page.Next = found[look-1].place(l.name).encode()
	}
	return page, nil
}

func matches(b *store.Batch, q store.BatchQuery) bool {
	return (q.Plan == "" || b.Plan == q.Plan) &&
		(q.ClientReference == "" || b.ClientReference == q.ClientReference) &&
		(q.Status == "" || b.States[q.Status] > 0 || slices.ContainsFunc(b.Reported, func(r store.Reported) bool {
			return r.Status == q.Status && r.Claimed > 0
		}))
}

// Tasks lists the batches whose feedback is pending or dead.
func (s *Store) Tasks(ctx context.Context, q store.TaskQuery) (page store.Page[*store.Batch], err error) {
	defer func() { err = s.readError(err) }()
	list, ofPlan, match := listPending, listPendingOfPlan, func(b *store.Batch) bool { return b.Task != nil }
	if q.Dead {
		list, ofPlan, match = listDead, listDeadOfPlan, func(b *store.Batch) bool { return b.Dead != nil }
	}
	after, err := decodePlace(list.name, q.Cursor)
	if err != nil {
		return page, err
	}
	if !q.Due.IsZero() && q.Plan != "" && q.Cursor == "" {
		after.Plan, after.At = q.Plan, &q.Due
	}
	look := q.Size() + 1
	arguments := []any{text(after.Plan), after.after(), text(after.ID), look}
	if q.Dead {
		arguments = slices.Delete(arguments, 1, 2)
	}
	if q.Plan != "" {
		list, arguments = ofPlan, append(arguments, text(q.Plan))
	}
	return s.page(ctx, list, q.Size(), look, match, arguments...)
}

// RecipientBatches lists what is known of one number in all batches, the newest batch first.
func (s *Store) RecipientBatches(ctx context.Context, number string, p store.Paging) (page store.Page[store.RecipientInBatch], err error) {
	defer func() { err = s.readError(err) }()
	after, err := decodePlace("number", p.Cursor)
	if err != nil {
		return page, err
	}
	type found struct {
		Row      []byte
		Plan, ID string
		At       time.Time
	}
	digits := text(dlr.Digits(number))
	all, err := overSlots(ctx, s, pgx.RowToStructByPos[found], listNumber,
		digits, after.before(), text(after.Plan), text(after.ID), p.Size()+1, hashOf(digits))
	if err != nil {
		return page, err
	}
	slices.SortFunc(all, func(a, b found) int {
		return cmp.Or(b.At.Compare(a.At), strings.Compare(b.Plan, a.Plan), strings.Compare(b.ID, a.ID))
	})
	for i, f := range all {
		if i == p.Size() {
			last := all[i-1]
			page.Next = entry{plan: last.Plan, id: last.ID, at: last.At}.place("number").encode()
			break
		}
		r, err := decodeRecipient(f.Row, digits)
		if err != nil {
			return page, err
		}
		page.Items = append(page.Items, store.RecipientInBatch{Key: store.BatchKey{Plan: plain(f.Plan), BatchID: plain(f.ID)}, Recipient: r})
	}
	return page, nil
}
