package boltstore

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
	"github.com/dlrloop/dlrloop/store/fold"
	"github.com/dlrloop/dlrloop/store/journal"
)

// eventMemory is the estimated memory of one event in a fold step, in bytes.
const eventMemory = 600

// logID identifies the event log of one store in cursors and in the keys of quarantined callbacks. It is a hash of the
// journal's random salt, which must remain secret: who knows it could forge journal frames.
type logID [8]byte

func logIDOf(salt journal.Salt) logID {
	sum := sha256.Sum256(append([]byte("event log "), salt[:]...))
	return logID(sum[:8])
}

// stepEvents collects the events of one fold step.
type stepEvents struct {
	lists [][]store.Event // each list keeps its order
	count int
}

// add adds events that must stay in this order. It keeps the slice.
func (e *stepEvents) add(events ...store.Event) {
	if len(events) > 0 {
		e.lists = append(e.lists, events)
		e.count += len(events)
	}
}

// noted adds the event of an arrival that belongs to no batch, if the policy of its plan has events. key is that of a
// quarantined callback in BucketQuarantine.
func (st *step) noted(a store.Arrival, key []byte) {
	policy := st.s.config.Policies(a.Plan)
	if !policy.Events {
		return
	}
	name := ""
	if key != nil {
		id := logIDOf(st.s.journal.Salt()) // a copy of the store may use the same key again
		name = hex.EncodeToString(key) + hex.EncodeToString(id[:4])
	}
	if e, ok := fold.EventOf(a, name, policy); ok {
		st.events.add(e)
	}
}

// inOrder yields all events by time. Events of one list keep their order even if their times do not rise.
func (e *stepEvents) inOrder() func(yield func(*store.Event) bool) {
	type place struct {
		at      int64
		list, i int
	}
	order := make([]place, 0, e.count)
	for list, events := range e.lists {
		at := events[0].At.UnixMilli()
		for i := range events {
			at = max(at, events[i].At.UnixMilli())
			order = append(order, place{at, list, i})
		}
	}
	slices.SortStableFunc(order, func(a, b place) int { return cmp.Compare(a.at, b.at) })
	return func(yield func(*store.Event) bool) {
		for _, p := range order {
			if !yield(&e.lists[p.list][p.i]) {
				return
			}
		}
	}
}

// keepEvents appends the events of the step to the event log.
func (st *step) keepEvents() error {
	if st.events.count == 0 {
		return nil
	}
	bucket := st.tx.Bucket(schema.BucketEvents)
	bucket.FillPercent = 0.9 // keys only rise
	row, bytes := make([]store.Event, 0, min(st.events.count, schema.MaxEvents)), 0
	flush := func() error {
		key := schema.EventKey(st.eventRange.Next)
		st.eventRange.Next += uint64(len(row))
		packed := st.s.eventCompressor.Pack(key, row)
		row, bytes = row[:0], 0
		st.yielder.yield()
		return bucket.Put(key, packed)
	}
	for e := range st.events.inOrder() {
		size := schema.EventBytes(e)
		if len(row) == schema.MaxEvents || len(row) > 0 && bytes+size > schema.MaxEventBytes {
			if err := flush(); err != nil {
				return err
			}
		}
		row = append(row, *e)
		bytes += size
	}
	if err := flush(); err != nil {
		return err
	}
	return st.eventRange.Save(st.tx)
}
