package simulator

import (
	"encoding/json"
	"slices"
	"time"
)

// maxChanges bounds to_add and to_remove.
const maxChanges = 100

// update changes the members that the request names; null takes one away.
func (s *Simulator) update(c *call) (any, error) {
	r, err := readRevision(c.body)
	if err != nil {
		return nil, err
	}
	return s.revise(c, func(b *batch) (members, error) { return r.of(b.members) }, func(b *batch) EventKind {
		b.updated++
		return BatchUpdated
	})
}

// replace makes a batch anew of the request, but for its id and created_at.
func (s *Simulator) replace(c *call) (any, error) {
	m, err := readMembers(c.body)
	if err != nil {
		return nil, err
	}
	return s.revise(c, func(*batch) (members, error) { return m, nil }, func(b *batch) EventKind {
		b.replaced++
		return BatchReplaced
	})
}

// revise makes the batch that c names what say says, unless it has left, and counts it.
func (s *Simulator) revise(c *call, say func(*batch) (members, error), count func(*batch) EventKind) (any, error) {
	now := stamp(time.Now()).Time
	s.mu.Lock()
	defer s.unlock()
	b, err := s.find(c)
	if err != nil {
		return nil, err
	}
	s.catchUp(b, now)
	if !b.waits {
		return nil, forbidden("batch_already_dispatched", "The batch has left the queue")
	}
	m, err := say(b)
	if err != nil {
		return nil, err
	}
	d, err := s.draft(b.plan, m, b.created, now)
	if err != nil {
		return nil, err
	}
	s.tell(Event{Kind: count(b), Plan: b.plan.ID, Batch: b.id, Count: len(d.recipients)})
	s.adopt(b, d, now)
	return b.view(), nil
}

// revision is what an update says.
type revision struct {
	named       map[string]json.RawMessage // but for to and its changes
	add, remove []string
}

func readRevision(body []byte) (revision, error) {
	var r revision
	if err := decode(body, &r.named); err != nil {
		return r, err
	}
	if r.named == nil {
		return r, invalidJSON("the body is not JSON of the expected structure")
	}
	for _, change := range []struct {
		key  string
		into *[]string
	}{{"to_add", &r.add}, {"to_remove", &r.remove}} {
		value, ok := r.named[change.key]
		delete(r.named, change.key)
		if !ok || string(value) == "null" {
			continue
		}
		if err := decode(value, change.into); err != nil {
			return r, err
		}
		if n := len(*change.into); n < 1 || n > maxChanges {
			return r, violation("%s must have between 1 and %d elements", change.key, maxChanges)
		}
		if err := normalise(*change.into); err != nil {
			return r, err
		}
	}
	delete(r.named, "to")
	return r, nil
}

// of is m as r changes it. Adds come before removes.
func (r revision) of(m members) (members, error) {
	var said map[string]json.RawMessage
	if err := json.Unmarshal(encode(m), &said); err != nil {
		return m, err
	}
	for key, value := range r.named {
		said[key] = value
	}
	var changed members
	if err := decode(encode(said), &changed); err != nil {
		return m, err
	}
	for _, entry := range r.add {
		if !slices.Contains(changed.To, entry) {
			changed.To = append(changed.To, entry)
		}
	}
	changed.To = slices.DeleteFunc(changed.To, func(entry string) bool { return slices.Contains(r.remove, entry) })
	return changed, changed.check()
}
