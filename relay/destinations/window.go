package destinations

// slot is the place of one event in the window.
type slot struct {
	end  place // after the event and the events behind it that the destination does not receive
	item *item // nil once the event is delivered or dead
	dead bool
}

// waits reports whether the event of the slot is neither delivered nor deferred nor dead.
func (s *slot) waits() bool { return s.item != nil && s.item.id == 0 }

// place is a place in the event log. It takes less memory than its cursor, which may have kilobytes.
type place struct {
	cursorOf func(i int) string // store.EventPage.Cursor of the page with the event before the place
	index    int                // of that event in the page
}

func (p place) cursor() string { return p.cursorOf(p.index) }

// window is the part of the event log that was read behind the cursor of a destination: the events up to the first one
// that is not delivered, deferred or dead have left it. The zero value is an empty window.
type window struct {
	slots []*slot
	items int // slots whose event waits
	bytes int // of the items of these slots
}

// add adds an item at the end.
func (w *window) add(i *item, end place) {
	i.slot = &slot{end: end, item: i}
	w.slots = append(w.slots, i.slot)
	w.items++
	w.bytes += i.bytes
}

// skip records that events which the destination does not receive follow, up to end. It returns false if the window is
// empty.
func (w *window) skip(end place) bool {
	if len(w.slots) == 0 {
		return false
	}
	w.slots[len(w.slots)-1].end = end
	return true
}

// leave must be called before an item of the window becomes deferred, delivered or dead: it no longer waits.
func (w *window) leave(i *item) {
	w.items--
	w.bytes -= i.bytes
}

// advance removes the slots at the front whose events do not wait. It returns the cursor after them, or "" if there are
// none, and their deferred items, which must be stored together with that cursor.
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

// finished returns how many slots behind the first one have an event that does not wait.
func (w *window) finished() int { return len(w.slots) - w.items }
