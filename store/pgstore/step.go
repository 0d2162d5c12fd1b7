package pgstore

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/dlrloop/dlrloop/store"
)

// step is one try of one transaction of a lane.
type step struct {
	s           *Store
	batches     []*batchArrivals // in the order of their keys, in which all transactions lock them
	quarantined []recorded
	gone        []entry // batches among them that retention is deleting: nothing is saved
	counts      int16   // the slot that counts are added in
	trial       bool    // what it writes is deleted before the commit

	totals  map[slotPlan]*store.PlanStats // what is to be added
	minutes map[slotMinute]int
	changes []store.Changes
	mark    mark // what the transaction is found again by
}

// batchArrivals are the arrivals of one batch in a step, and its rows.
type batchArrivals struct {
	key      store.BatchKey
	slot     int16
	arrivals []store.Arrival
	rows     store.Rows
	found    bool      // its row is there and locked
	born     time.Time // zero while it is new
	lease    string    // that the row has; empty for none
}

type slotPlan struct {
	slot int16
	plan string
}

type slotMinute struct {
	slot int16
	store.MinuteKey
}

func newStep(s *Store, group []recorded) *step {
	st := &step{s: s, totals: make(map[slotPlan]*store.PlanStats), minutes: make(map[slotMinute]int)}
	if len(group) > 0 {
		st.counts = s.countsOf(group[0].slot)
	}
	byKey := make(map[store.BatchKey]*batchArrivals, len(group))
	for _, r := range group {
		if _, ok := r.arrival.News.(store.Quarantined); ok {
			st.quarantined = append(st.quarantined, r)
			continue
		}
		key := store.BatchKey{Plan: r.arrival.Plan, BatchID: r.arrival.News.Batch()}
		b := byKey[key]
		if b == nil {
			b = &batchArrivals{key: key, slot: r.slot}
			byKey[key] = b
			st.batches = append(st.batches, b)
		}
		b.arrivals = append(b.arrivals, r.arrival)
	}
	slices.SortFunc(st.batches, func(a, b *batchArrivals) int {
		return cmp.Or(cmp.Compare(a.slot, b.slot), strings.Compare(text(a.key.Plan), text(b.key.Plan)), strings.Compare(text(a.key.BatchID), text(b.key.BatchID)))
	})
	return st
}

func (st *step) fold() {
	for _, b := range st.batches {
		changes := store.Fold(&b.rows, b.arrivals, st.s.config.Policies(b.key.Plan))
		st.changes = append(st.changes, changes)
		st.total(st.counts, b.key.Plan).Apply(changes)
		counts := make(map[store.MinuteKey]int)
		changes.Minutes(counts)
		for k, n := range counts {
			st.minutes[slotMinute{st.counts, k}] += n
		}
		if b.born.IsZero() {
			b.born = st.s.births.next(b.rows.Batch.FirstAt)
		}
		b.endLease()
	}
	for _, q := range st.quarantined {
		st.total(st.counts, q.arrival.Plan).Quarantined++
	}
}

// endLease ends the lease whose settlement was folded. A settlement of an earlier lease leaves the present one alone.
func (b *batchArrivals) endLease() {
	for _, a := range b.arrivals {
		if n, ok := a.News.(store.Settlement); ok && b.lease != "" && n.Lease == b.lease {
			b.lease = ""
		}
	}
}

// total is what the step adds to the totals of a slot and plan.
func (st *step) total(slot int16, plan string) *store.PlanStats {
	k := slotPlan{slot, plan}
	t := st.totals[k]
	if t == nil {
		t = &store.PlanStats{Plan: plan}
		st.totals[k] = t
	}
	return t
}
