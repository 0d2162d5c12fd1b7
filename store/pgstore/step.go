package pgstore

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"slices"
	"strings"
	"time"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/fold"
)

// step is one run of the transaction that commits a group of arrivals. Each retry is a new step.
type step struct {
	s           *Store
	batches     []*batchArrivals // ordered by key: all transactions lock batches in this order
	quarantined []recorded
	inbound     []inboundRow // with events, the field new tells which of them load has inserted
	hidden      []entry      // batches of the step that retention is deleting; if there are any, nothing is saved
	counts      int16        // the slot of the totals and minute counts that this step adds to
	trial       bool         // the rows written are deleted again before the commit; see newTrial

	quarantineGroup string // the beginning of the ids of the quarantined callbacks; random

	events    bool       // some plan of the group has Policy.Events
	stream    *stream    // of the lane
	eventRows []eventRow // the rows that the step appends to stream

	totals  map[slotPlan]*store.PlanStats // additions to tables total and message_total
	minutes map[slotMinute]int
}

// batchArrivals holds the arrivals of one batch in a step (run of a transaction), and that batch's rows and changes.
type batchArrivals struct {
	key      store.BatchKey
	slot     int16
	arrivals []store.Arrival
	rows     fold.Rows
	found    bool   // the batch has a row, which is locked now
	loaded   []byte // the row as it was locked; nil for a new batch
	saved    []byte // the row as the step saves it
	changes  []store.Changes
	firstAt  time.Time // zero until a new batch is folded
	lease    string    // lease token in the row; empty if there is none

	stream, seq *int64 // the row of the latest event; nil if there is none, and unknown without step.events
}

// slotPlan is the key of a row of table total, which holds totals per plan in each slot (hash partition).
type slotPlan struct {
	slot int16
	plan string
}

// slotMinute is the key of a row of table minute_count, which holds message counts in each slot (hash partition).
type slotMinute struct {
	slot int16
	fold.MinuteKey
}

// newStep returns a step (run of a transaction) for the arrivals of group, sorted by batch. It reads nothing yet.
func newStep(s *Store, group []recorded) *step {
	st := &step{s: s, totals: make(map[slotPlan]*store.PlanStats), minutes: make(map[slotMinute]int)}
	if len(group) > 0 {
		st.counts, st.stream = s.countsOf(group[0].slot), s.streamOf(&group[0])
	}
	st.events = s.anyEvents(group)
	byKey := make(map[store.BatchKey]*batchArrivals, len(group))
	for _, r := range group {
		key := r.arrival.Key()
		if m, ok := r.arrival.Entry.(store.Inbound); ok {
			row := s.inboundRowOf(store.InboundMessage{Plan: r.arrival.Plan, ArrivedAt: r.arrival.At, Inbound: m})
			row.arrival = r.arrival
			st.inbound = append(st.inbound, row)
			continue
		}
		if key.BatchID == "" {
			st.quarantined = append(st.quarantined, r)
			continue
		}
		b := byKey[key]
		if b == nil {
			b = &batchArrivals{key: key, slot: r.slot}
			byKey[key] = b
			st.batches = append(st.batches, b)
		}
		b.arrivals = append(b.arrivals, r.arrival)
	}
	slices.SortFunc(st.batches, func(a, b *batchArrivals) int {
		return cmp.Or(cmp.Compare(a.slot, b.slot), strings.Compare(escape(a.key.Plan), escape(b.key.Plan)),
			strings.Compare(escape(a.key.BatchID), escape(b.key.BatchID)))
	})
	if len(st.quarantined) > 0 {
		st.quarantineGroup = rand.Text()
	}
	return st
}

// fold applies the arrivals to the loaded rows, in memory, and adds what changed to the totals of the transaction.
func (st *step) fold() {
	for _, b := range st.batches {
		policy := st.s.config.Policies(b.key.Plan)
		policy.Events = policy.Events && st.events
		changes := fold.Fold(&b.rows, b.arrivals, policy)
		b.changes = append(b.changes, changes)
		fold.AddChanges(st.total(st.counts, b.key.Plan), changes)
		counts := make(map[fold.MinuteKey]int)
		fold.AddMinutes(counts, changes)
		for k, n := range counts {
			st.minutes[slotMinute{st.counts, k}] += n
		}
		if b.firstAt.IsZero() {
			b.firstAt = st.s.firstAtClock.next(b.rows.Batch.FirstAt)
		}
		if slices.Contains(changes.Settled, b.lease) {
			b.lease = "" // a late settlement of an earlier lease does not affect it
		}
	}
	for _, q := range st.quarantined {
		st.total(st.counts, q.arrival.Plan).Quarantined++
	}
	if st.events {
		st.packEvents()
	}
}

// addCommitted adds to st the changes of earlier runs that were committed after all, so that the observer counts what
// is stored. unconfirmed holds the runs of the same transaction whose COMMIT was not confirmed. Such a run was
// committed if the row that it saved for a batch equals the row that st loaded.
func (st *step) addCommitted(unconfirmed []*step) {
	for i, b := range st.batches {
		for _, run := range slices.Backward(unconfirmed) {
			if earlier := run.batches[i]; bytes.Equal(b.loaded, earlier.saved) {
				b.changes = slices.Concat(earlier.changes, b.changes)
				break
			}
		}
	}
}

// total returns the numbers that the transaction adds to the totals of a plan in a slot. The caller may change them.
func (st *step) total(slot int16, plan string) *store.PlanStats {
	k := slotPlan{slot, plan}
	t := st.totals[k]
	if t == nil {
		t = &store.PlanStats{Plan: plan}
		st.totals[k] = t
	}
	return t
}
