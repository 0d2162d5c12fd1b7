package destinations

// slot is the place of one event in the window.
type slot struct {
	cursor string // after the event and the events behind it that the destination does not receive
	item   *item  // nil once the event is delivered, deferred or dead
}

// window is the part of the event log that was read behind the cursor of a destination: the events up to the first one
// that is not delivered, deferred or dead have left it. The zero value is an empty window.
type window struct {
	slots []*slot
	items int // slots with an item
	bytes int // of these items
}

// add adds an item at the end.
func (w *window) add(i *item, cursor string) {
	i.slot = &slot{cursor: cursor, item: i}
	w.slots = append(w.slots, i.slot)
	w.items++
	w.bytes += i.bytes
}

// skip records that an event which the destination does not receive follows, and returns false if the window is empty.
func (w *window) skip(cursor string) bool {
	if len(w.slots) == 0 {
		return false
	}
	w.slots[len(w.slots)-1].cursor = cursor
	return true
}

// finish removes an item from its slot, and the finished slots at the front. It returns the cursor after those, or ""
// if there are none.
func (w *window) finish(i *item) (cursor string) {
	i.slot.item, i.slot = nil, nil
	w.items--
	w.bytes -= i.bytes
	n := 0
	for n < len(w.slots) && w.slots[n].item == nil {
		cursor = w.slots[n].cursor
		w.slots[n] = nil
		n++
	}
	if w.slots = w.slots[n:]; len(w.slots) == 0 {
		w.slots = nil
	}
	return cursor
}

// finished returns how many slots are finished but not at the front.
func (w *window) finished() int { return len(w.slots) - w.items }
