package destinations

import (
	"fmt"
	"slices"
	"time"

	"github.com/dlrloop/dlrloop/store"
)

// verdict decides whether the application received what it should have received.
type verdict struct {
	h       *harness
	ordered bool     // the events of a batch must be accepted in order
	want    []string // the ids of all events
	crashes []crash
}

// crash is a moment at which dlrloop crashed.
type crash struct {
	accepted int             // how many events the application had accepted, repeats included
	settled  map[string]bool // the events before the stored cursor that are neither deferred nor dead: delivered for good
}

// crashed records a crash. Call it before the next start. It returns an error if an event is stored as deferred or dead
// although the next start will also read it from the event log.
func (v *verdict) crashed() error {
	d, kept := v.h.log.stored("app")
	c := crash{accepted: len(v.h.app.received()), settled: make(map[string]bool)}
	cursor, _ := v.h.log.at(d.Cursor)
	for _, e := range v.h.log.events[:cursor] {
		c.settled[e.ID()] = true
	}
	for _, e := range kept {
		if !c.settled[e.Event.ID()] {
			return fmt.Errorf("event %d of %s is stored, and behind the cursor %s", e.Event.Version, e.Event.BatchID, d.Cursor)
		}
		delete(c.settled, e.Event.ID())
	}
	v.crashes = append(v.crashes, c)
	return nil
}

// reach lets everything work again until nothing is left to deliver. It returns an error if an event was not accepted,
// or was accepted again without a reason, or if the events of a batch were not accepted in order.
func (v *verdict) reach() error {
	h := v.h
	h.log.failWith(nil, nil)
	h.app.respond(always(200))
	h.advance(2 * time.Minute)
	if _, err := h.log.RequeueEvents(h.t.Context(), "app", store.Now()); err != nil {
		return err
	}
	h.advance(3 * time.Hour)
	if err := v.repeats(); err != nil {
		return err
	}
	seen, last := make(map[string]bool), make(map[string]int64)
	for _, e := range h.app.accepted {
		if v.ordered && !seen[e.ID] && e.Version != last[e.Batch]+1 {
			return fmt.Errorf("event %d of %s follows event %d", e.Version, e.Batch, last[e.Batch])
		}
		last[e.Batch] = max(last[e.Batch], e.Version)
		seen[e.ID] = true
	}
	for _, id := range v.want {
		if !seen[id] {
			return fmt.Errorf("%d of %d events were received", len(seen), len(v.want))
		}
	}
	d, events := h.log.stored("app")
	if d.Cursor != fmt.Sprint(len(h.log.events)) || len(events) > 0 {
		return fmt.Errorf("in the end: cursor %s of %d, %d deferred events", d.Cursor, len(h.log.events), len(events))
	}
	if waiting := h.metric("waiting"); waiting != 0 {
		return fmt.Errorf("in the end %v events wait", waiting)
	}
	return nil
}

// repeats returns an error if an event was accepted again although the answer was not lost and dlrloop did not crash
// since then, or although the delivery had been stored before the crash.
func (v *verdict) repeats() error {
	answered, crashes := make(map[string]bool), v.crashes
	for n, e := range v.h.app.accepted {
		for len(crashes) > 0 && crashes[0].accepted <= n {
			clear(answered)
			crashes = crashes[1:]
		}
		settled := slices.ContainsFunc(v.crashes[:len(v.crashes)-len(crashes)], func(c crash) bool { return c.settled[e.ID] })
		if answered[e.ID] || settled {
			return fmt.Errorf("event %d of %s is repeated after %d of %d crashes; stored as delivered before: %v",
				e.Version, e.Batch, len(v.crashes)-len(crashes), len(v.crashes), settled)
		}
		answered[e.ID] = answered[e.ID] || !e.Lost
	}
	return nil
}
