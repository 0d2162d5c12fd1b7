package simulator

import (
	"encoding/json"
	"slices"
	"time"
)

// maxChanges is the largest number of entries in to_add and in to_remove.
const maxChanges = 100

// update changes the members that the request names. null removes a member.
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

// replace replaces everything of a batch but its id and created_at.
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

// revise sets the batch named by c to the members that edit returns. It answers 403 if the batch was dispatched.
// count increments the batch's counter and returns the kind of event to emit.
func (s *Simulator) revise(c *call, edit func(*batch) (members, error), count func(*batch) EventKind) (any, error) {
	now := stamp(time.Now()).Time
	s.mu.Lock()
	defer s.unlock()
	b, err := s.find(c)
	if err != nil {
		return nil, err
	}
	s.dispatchIfDue(b, now)
	if !b.waits {
		return nil, forbidden("batch_already_dispatched", "The batch has left the queue")
	}
	m, err := edit(b)
	if err != nil {
		return nil, err
	}
	d, err := s.draft(b.plan, m, b.created, now)
	if err != nil {
		return nil, err
	}
	s.emit(Event{Kind: count(b), Plan: b.plan.ID, Batch: b.id, Count: len(d.recipients)})
	s.applyDraft(b, d, now)
	return b.view(), nil
}

// revision is the parsed body of an update.
type revision struct {
	named       map[string]json.RawMessage // all members but to, to_add and to_remove
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

// of returns m with the changes of r. It adds before it removes.
func (r revision) of(m members) (members, error) {
	var merged map[string]json.RawMessage
	if err := json.Unmarshal(encode(m), &merged); err != nil {
		return m, err
	}
	for key, value := range r.named {
		merged[key] = value
	}
	var changed members
	if err := decode(encode(merged), &changed); err != nil {
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
