package destinations

// slot represents one event of a window. It stays in the window until the cursor passes the event, even if the event is
// delivered, deferred or dead before.
type slot struct {
	end  place // after the event and the events behind it that the destination does not receive
	item *item // nil once the event is delivered or dead
	dead bool  // so that passDead moves the cursor past it
}

// waits reports whether the event of the slot is neither delivered nor deferred nor dead, so that the cursor must wait
// for it.
func (s *slot) waits() bool { return s.item != nil && s.item.id == 0 }

// place is the position after an event in the event log. Its cursor is built only when it is needed, because a cursor
// may have kilobytes.
type place struct {
	cursorOf func(i int) string // store.EventPage.Cursor of the page with the event before the place
	index    int                // of that event in the page
}

func (p place) cursor() string { return p.cursorOf(p.index) }

// window holds the events that were read from the event log and that the cursor of the destination has not passed, in
// the order of the log. Its first event still waits; later ones may be delivered, deferred or dead already. The zero
// value is an empty window.
type window struct {
	slots []*slot
	items int // slots whose event waits
	bytes int // of the items of these slots
}

// add appends an event that was just read. end is the place after it.
func (w *window) add(i *item, end place) {
	i.slot = &slot{end: end, item: i}
	w.slots = append(w.slots, i.slot)
	w.items++
	w.bytes += i.bytes
}

// skip extends the last slot over events that the destination does not receive. end is the place after these events. If
// the window is empty, skip returns false: the cursor may then move to end at once.
func (w *window) skip(end place) bool {
	if len(w.slots) == 0 {
		return false
	}
	w.slots[len(w.slots)-1].end = end
	return true
}

// leave must be called just before an event that waits is marked as deferred, delivered or dead. It only adjusts the
// number and bytes of the waiting events.
func (w *window) leave(i *item) {
	w.items--
	w.bytes -= i.bytes
}

// advance removes the events at the front that do not wait. It returns the cursor after them, or "" if there are none,
// and the deferred ones among them, which must be stored in the same save as that cursor.
func (w *window) advance() (cursor string, deferred []*item) {
	n := 0
	for n < len(w.slots) && !w.slots[n].waits() {
		if i := w.slots[n].item; i != nil {
			i.slot = nil
			deferred = append(deferred, i)
		}
		n++
	}
	if n > 0 {
		cursor = w.slots[n-1].end.cursor()
	}
	clear(w.slots[:n])
	if w.slots = w.slots[n:]; len(w.slots) == 0 {
		w.slots = nil
	}
	return cursor, deferred
}

// finished returns how many events of the window are already delivered, deferred or dead. The cursor has not passed
// them, because an earlier event still waits.
func (w *window) finished() int { return len(w.slots) - w.items }
