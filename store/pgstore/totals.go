package pgstore

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dlrloop/dlrloop/store"
)

// SQL statements that add to the stored counts and totals. Column total.awaited holds the number of missing messages.
const (
	addMinutes keyedSQL = `
INSERT INTO minute_count (slot, minute, plan, status, messages)
SELECT slot, minute, plan, status, messages
FROM unnest($1::smallint[], $2::timestamptz[], $3::text[], $4::text[], $5::bigint[]) AS k (slot, minute, plan, status, messages)
ON CONFLICT (slot, minute, plan, status) DO UPDATE SET messages = minute_count.messages + excluded.messages`

	addTotals keyedSQL = `
INSERT INTO total (slot, plan, batches, recipients, duplicates, polled, quarantined,
    pending_tasks, dead_tasks, owed, dropped, sent, dead, awaited)
SELECT slot, plan, batches, recipients, duplicates, polled, quarantined, pending_tasks, dead_tasks, owed, dropped, sent, dead, awaited
FROM unnest($1::smallint[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
    $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[])
    AS k (slot, plan, batches, recipients, duplicates, polled, quarantined, pending_tasks, dead_tasks, owed, dropped, sent, dead, awaited)
ON CONFLICT (slot, plan) DO UPDATE SET
    batches = total.batches + excluded.batches, recipients = total.recipients + excluded.recipients,
    duplicates = total.duplicates + excluded.duplicates, polled = total.polled + excluded.polled,
    quarantined = total.quarantined + excluded.quarantined,
    pending_tasks = total.pending_tasks + excluded.pending_tasks, dead_tasks = total.dead_tasks + excluded.dead_tasks,
    owed = total.owed + excluded.owed, dropped = total.dropped + excluded.dropped, sent = total.sent + excluded.sent,
    dead = total.dead + excluded.dead, awaited = total.awaited + excluded.awaited`

	addMessages keyedSQL = `
INSERT INTO message_total (slot, plan, status, class, messages)
SELECT slot, plan, status, class, messages
FROM unnest($1::smallint[], $2::text[], $3::text[], $4::text[], $5::bigint[]) AS k (slot, plan, status, class, messages)
ON CONFLICT (slot, plan, status, class) DO UPDATE SET messages = message_total.messages + excluded.messages`
)

// countsOf returns the slot (hash partition) to which a group adds its counts. slot is that of its first arrival. With
// Postgres any slot is correct, because counts are only read as sums over all slots. If possible, each lane (goroutine
// that commits) of each replica gets a slot of its own, so that lanes do not wait for each other's locked rows.
func (s *Store) countsOf(slot int16) int16 {
	if s.config.Dialect != Postgres {
		return slot
	}
	return int16((s.firstCountSlot + int(slot)%len(s.lanes)) % s.slots)
}

// queueMinutes adds to queue the statement that adds the message counts of the transaction to table minute_count.
func (st *step) queueMinutes(queue *pgx.Batch) {
	var (
		slots           []int16
		minutes         []time.Time
		plans, statuses []string
		messages        []int64
	)
	sorted := slices.SortedFunc(maps.Keys(st.minutes), func(a, b slotMinute) int {
		return cmp.Or(cmp.Compare(a.slot, b.slot), a.Minute.Compare(b.Minute),
			strings.Compare(a.Plan, b.Plan), cmp.Compare(a.Status, b.Status))
	})
	for _, k := range sorted {
		slots, minutes = append(slots, k.slot), append(minutes, k.Minute)
		plans, statuses = append(plans, escape(k.Plan)), append(statuses, string(k.Status))
		messages = append(messages, int64(st.minutes[k]))
	}
	if len(slots) > 0 {
		st.s.queue(queue, addMinutes, slots, minutes, plans, statuses, messages)
	}
}

// queueTotals adds to queue the statements that add totals to the rows of tables total and message_total.
func (s *Store) queueTotals(queue *pgx.Batch, totals map[slotPlan]*store.PlanStats) {
	var (
		slots   []int16
		plans   []string
		columns [12][]int64

		messageSlots             []int16
		messagePlans             []string
		messageStatuses, classes []string
		messages                 []int64
	)
	sorted := slices.SortedFunc(maps.Keys(totals), func(a, b slotPlan) int {
		return cmp.Or(cmp.Compare(a.slot, b.slot), strings.Compare(a.plan, b.plan))
	})
	for _, k := range sorted {
		t := totals[k]
		slots, plans = append(slots, k.slot), append(plans, escape(k.plan))
		for i, n := range columnsOf(t) {
			columns[i] = append(columns[i], int64(*n))
		}
		for _, m := range t.Messages {
			messageSlots, messagePlans = append(messageSlots, k.slot), append(messagePlans, escape(k.plan))
			messageStatuses, classes = append(messageStatuses, string(m.Status)), append(classes, string(m.Class))
			messages = append(messages, int64(m.Messages))
		}
	}
	if len(messages) > 0 {
		s.queue(queue, addMessages, messageSlots, messagePlans, messageStatuses, classes, messages)
	}
	if len(slots) > 0 {
		arguments := []any{plans}
		for _, c := range columns {
			arguments = append(arguments, c)
		}
		s.queue(queue, addTotals, slots, arguments...)
	}
}

// columnsOf returns pointers to the numbers in t, in the order of the columns of table total.
func columnsOf(t *store.PlanStats) [12]*int {
	f := &t.Feedback
	return [12]*int{
		&t.Batches, &t.Recipients, &t.Duplicates, &t.Polled, &t.Quarantined,
		&f.PendingTasks, &f.DeadTasks, &f.Owed, &f.Dropped, &f.Sent, &f.Dead, &f.Missing,
	}
}
