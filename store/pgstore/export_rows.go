package pgstore

import (
	"cmp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/copying"
	"github.com/dlrloop/dlrloop/store/packed"
)

// exportPage is the number of batches whose rows an export reads in one round trip to the database.
const exportPage = 256

// exportBatches finds the keys of $5 batches in slot $1 after the key ($2, $3, $4), in the order of first_at.
const exportBatches slotSQL = `
SELECT slot, plan, batch_id, first_at
FROM batch WHERE slot = $1 AND (first_at, plan, batch_id) > ($2, $3, $4)
ORDER BY first_at, plan, batch_id LIMIT $5`

// SQL statements that read the rows of an export in the order of their keys, so that a batch of any size can be
// streamed. In all but exportRow the last parameters say where to start.
const (
	exportRow = `SELECT chunk, row FROM batch WHERE slot = $1 AND plan = $2 AND batch_id = $3`

	exportRecipients = `
SELECT digits, row FROM recipient WHERE slot = $1 AND plan = $2 AND batch_id = $3 AND digits >= $4 ORDER BY digits`

	exportLog = `
SELECT chunk, received_at, type, source, raw FROM report_log
WHERE slot = $1 AND plan = $2 AND batch_id = $3 AND chunk >= $4 ORDER BY chunk, place`

	exportMinutes = `
SELECT minute, plan, status, sum(messages)::bigint FROM minute_count WHERE (minute, plan, status) > ($1::timestamptz, $2::text, $3::text)
GROUP BY minute, plan, status HAVING sum(messages) <> 0 ORDER BY minute, plan, status`

	exportQuarantine = `
SELECT received_at, id, slot, plan, reason, type, raw FROM quarantine
WHERE (received_at, id, slot) > ($1::timestamptz, $2::text, $3::bigint)
ORDER BY received_at, id, slot`
)

const exportInbound = `
SELECT plan, arrived_at, raw, id FROM inbound WHERE (plan, id) > ($1::text, $2::text) ORDER BY plan, id`

// exported is a batch to export, with its key in both forms: as stored (see escape) and unescaped.
type exported struct {
	entry // the key; texts are escaped
	named store.BatchKey
}

// batches exports all batches that follow the given position, page by page: first the batch rows of a page, then the
// recipients, then the report logs of its batches.
func (e *exporter) batches(at exportPosition) error {
	for {
		page, err := e.page(at.After)
		if err != nil || len(page) == 0 {
			return err
		}
		for ; at.Part <= copying.PartLog; at = (exportPosition{After: at.After, Part: at.Part + 1}) {
			if err := e.part(page, at); err != nil {
				return err
			}
		}
		last := page[len(page)-1]
		at = exportPosition{After: position{At: &last.at, Plan: last.plan, ID: last.id}}
		if err := e.flushFull(at); err != nil {
			return err
		}
	}
}

// page returns the keys of the next batches after the given position, at most exportPage, ordered by column first_at.
func (e *exporter) page(after position) (page []exported, err error) {
	var queue pgx.Batch
	found := func(rows pgx.Rows) error {
		entries, err := pgx.CollectRows(rows, entryOf)
		for _, k := range entries {
			page = append(page, exported{k, store.BatchKey{Plan: unescape(k.plan), BatchID: unescape(k.id)}})
		}
		return err
	}
	if e.oneSlot {
		for slot := range e.slots {
			queue.Queue(string(exportBatches), slot, after.after(), after.Plan, after.ID, exportPage).Query(found)
		}
	} else {
		queue.Queue(allSlots[exportBatches], e.slots, after.after(), after.Plan, after.ID, exportPage).Query(found)
	}
	err = e.tx.SendBatch(e.ctx, &queue).Close()
	slices.SortFunc(page, func(a, b exported) int {
		return cmp.Or(a.at.Compare(b.at), strings.Compare(a.plan, b.plan), strings.Compare(a.id, b.id))
	})
	return page[:min(len(page), exportPage)], err
}

// part exports the rows of one kind for all batches of a page, in one round trip. at.Part selects the kind: batch rows,
// recipients or report logs. The other fields of at say where to start.
func (e *exporter) part(page []exported, at exportPosition) error {
	var queue pgx.Batch
	for i := at.Batch; i < len(page); i++ {
		b := page[i]
		if i > at.Batch {
			at.Digits, at.Chunk = "", 0
		}
		on := exportPosition{After: at.After, Part: at.Part, Batch: i}
		switch at.Part {
		case copying.PartRow:
			queue.Queue(exportRow, b.slot, b.plan, b.id).Query(func(rows pgx.Rows) error { return e.row(b, rows) })
		case copying.PartRecipients:
			queue.Queue(exportRecipients, b.slot, b.plan, b.id, at.Digits).
				Query(func(rows pgx.Rows) error { return e.recipients(b, on, rows) })
		case copying.PartLog:
			queue.Queue(exportLog, b.slot, b.plan, b.id, at.Chunk).Query(func(rows pgx.Rows) error { return e.log(b, on, rows) })
		}
	}
	return e.tx.SendBatch(e.ctx, &queue).Close()
}

// row exports the batch row of b. rows holds the result of exportRow, a single row.
func (e *exporter) row(b exported, rows pgx.Rows) error {
	var (
		chunk int64
		row   []byte
	)
	_, err := pgx.ForEachRow(rows, []any{&chunk, &row}, func() error {
		decoded, err := packed.DecodeBatch(row)
		if err == nil {
			e.Batch(decoded, b.at, uint64(chunk))
		}
		return err
	})
	return err
}

// recipients exports the recipients of batch b. rows holds the result of exportRecipients. at is the position of b in
// the export.
func (e *exporter) recipients(b exported, at exportPosition, rows pgx.Rows) error {
	var (
		digits string
		row    []byte
	)
	_, err := pgx.ForEachRow(rows, []any{&digits, &row}, func() error {
		r, err := decodeRecipient(row, digits)
		if err != nil {
			return err
		}
		e.Recipient(b.named, b.at, *r)
		at.Digits = digits + "\x01" // the next possible digits: stored texts contain no NUL
		return e.flushFull(at)
	})
	return err
}

// log exports the report log of batch b. rows holds the result of exportLog. at is the position of b in the export. A
// chunk (the reports of one commit) is complete when the rows of the next chunk begin.
func (e *exporter) log(b exported, at exportPosition, rows pgx.Rows) error {
	var (
		chunk, next int64
		l           store.Logged
		reports     []store.Logged
	)
	whole := func() error {
		if len(reports) == 0 {
			return nil
		}
		e.Log(b.named, b.at, copying.Chunk{Number: uint64(chunk), Reports: reports})
		reports, at.Chunk = nil, chunk+1
		return e.flushFull(at)
	}
	_, err := pgx.ForEachRow(rows, []any{&next, &l.ReceivedAt, &l.Type, &l.Source, &l.Raw}, func() error {
		if next != chunk {
			if err := whole(); err != nil {
				return err
			}
			chunk = next
		}
		l.ReceivedAt, l.Type = l.ReceivedAt.UTC(), dlr.Type(unescape(string(l.Type)))
		reports = append(reports, l)
		return nil
	})
	if err != nil {
		return err
	}
	return whole()
}

// minutes exports the message counts per minute, plan and status that follow the given position.
func (e *exporter) minutes(at exportPosition) error {
	rows, err := e.query(exportMinutes, at.After.after(), at.After.Plan, at.After.ID)
	if err != nil {
		return err
	}
	var (
		m            store.MinuteCount
		plan, status string
	)
	_, err = pgx.ForEachRow(rows, []any{&m.Minute, &plan, &status, &m.Messages}, func() error {
		m.Minute, m.Plan, m.Status = m.Minute.UTC(), unescape(plan), dlr.Status(status)
		e.Minute(m)
		at.After = position{At: &m.Minute, Plan: plan, ID: status}
		return e.flushFull(at)
	})
	return err
}

// quarantine exports the quarantined callbacks that follow the given position, the oldest first.
func (e *exporter) quarantine(at exportPosition) error {
	rows, err := e.query(exportQuarantine, at.After.after(), at.After.ID, at.After.Place)
	if err != nil {
		return err
	}
	var (
		q                      store.QuarantineEntry
		id, plan, reason, kind string
		slot                   int64
	)
	_, err = pgx.ForEachRow(rows, []any{&q.ReceivedAt, &id, &slot, &plan, &reason, &kind, &q.Raw}, func() error {
		received := q.ReceivedAt
		q.ReceivedAt, q.Plan = q.ReceivedAt.UTC(), unescape(plan)
		q.Reason, q.Type = dlr.Reason(unescape(reason)), dlr.Type(unescape(kind))
		e.Quarantined(q)
		at.After = position{At: &received, ID: id, Place: slot}
		return e.flushFull(at)
	})
	return err
}

// inbound exports the inbound messages after position at, by plan and id.
func (e *exporter) inbound(at exportPosition) error {
	rows, err := e.query(exportInbound, at.After.Plan, at.After.ID)
	if err != nil {
		return err
	}
	var (
		m    store.InboundMessage
		plan string
		id   string
	)
	_, err = pgx.ForEachRow(rows, []any{&plan, &m.ArrivedAt, &m.Raw, &id}, func() error {
		parsed, err := parseInbound(plan, m)
		if err != nil {
			return err
		}
		e.Inbound(parsed)
		at.After = position{Plan: plan, ID: id}
		return e.flushFull(at)
	})
	return err
}

// plans exports the totals of all plans in one piece. It ignores the position.
func (e *exporter) plans(exportPosition) error {
	totals, err := totalsIn(e.ctx, e.tx)
	for _, t := range totals {
		e.Total(t)
	}
	return err
}
