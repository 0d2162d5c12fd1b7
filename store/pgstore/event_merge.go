package pgstore

import (
	"cmp"
	"maps"
	"slices"

	"github.com/dlrloop/dlrloop/store"
)

// pageEventBytes is the total size in bytes of the rows at which a page of events ends, however few events they have.
const pageEventBytes = 4 << 20

// eventMerge merges the rows of all streams, oldest first, such that the events of each batch keep their order: a row
// comes only after its deps. A row that comes later in its stream than the first one missing is not read yet, because
// the missing one may only not be visible yet.
type eventMerge struct {
	streams *eventStreams
	at      eventPosition          // the place after the rows taken so far
	heads   map[int64][]*eventHead // the rows after that, in the order of seq
	more    map[int64]bool         // streams that may have rows after those in heads
	cut     bool                   // the rows after those in heads are needed

	missing missing // what is not found
	before  missing // what was not found before; if it still is not, it was lost or deleted
}

// missing holds what a read of the streams did not find although later rows follow it. It may not be visible yet.
type missing struct {
	rows    map[int64]int64 // by stream, the seq of the row that follows the missing ones
	streams map[int64]bool  // streams in deps that have no row in event_stream
}

// begin sets the streams, which were just read, and the place to start from, with a place in each of them.
func (m *eventMerge) begin(streams *eventStreams, at eventPosition) {
	m.streams, m.at, m.before = streams, at.clone(), m.missing
	m.missing = missing{make(map[int64]int64), make(map[int64]bool)}
}

// read sets the heads, which readHeads returned for this n.
func (m *eventMerge) read(heads map[int64][]*eventHead, n int64) {
	m.heads, m.more, m.cut = heads, make(map[int64]bool), false
	for id, h := range heads {
		m.more[id] = h[len(h)-1].seq == h[0].seq+n-1
	}
}

// again reports whether reading the streams and their rows again may find what is missing.
func (m *eventMerge) again() bool { return len(m.missing.rows)+len(m.missing.streams) > 0 }

// segment is a part of a row of events.
type segment struct {
	head     *eventHead
	from, to int // which events of the row
}

// place returns the place after the segment, in its stream.
func (g segment) place() streamPosition {
	if g.to == g.head.events {
		return streamPosition{seq: g.head.seq, total: g.head.total}
	}
	return streamPosition{seq: g.head.seq - 1, offset: g.to, total: g.head.total - int64(g.head.events-g.to)}
}

// take returns taken with the next segments added, up to limit events and pageEventBytes in all, and whether these
// limits are reached.
func (m *eventMerge) take(taken []segment, limit int) (more []segment, full bool) {
	size := 0
	for _, g := range taken {
		size, limit = size+g.head.size, limit-(g.to-g.from)
	}
	for limit > 0 {
		h := m.next()
		if h == nil {
			return taken, false
		}
		if len(taken) > 0 && size+h.size > pageEventBytes {
			break
		}
		size += h.size
		g := segment{head: h}
		if at := m.at.streams[h.stream]; at.seq == h.seq-1 {
			g.from = at.offset
		}
		g.to = min(h.events, g.from+limit)
		if m.at.streams[h.stream] = g.place(); g.to == h.events {
			m.heads[h.stream] = m.heads[h.stream][1:]
		}
		if g.to > g.from {
			taken = append(taken, g)
			limit -= g.to - g.from
		}
	}
	return taken, true
}

// next returns the oldest row that may come next, or nil if there is none.
func (m *eventMerge) next() (oldest *eventHead) {
	for id, heads := range m.heads {
		if len(heads) == 0 {
			if m.more[id] {
				m.cut = true // its next row, which is not read yet, may be the oldest
				return nil
			}
			continue
		}
		if h := heads[0]; m.follows(h) && m.passed(h.deps) && (oldest == nil || byAge(h, oldest) < 0) {
			oldest = h
		}
	}
	return oldest
}

// follows reports whether no row is missing before h in its stream.
func (m *eventMerge) follows(h *eventHead) bool {
	if h.seq <= m.at.streams[h.stream].seq+1 || h.seq <= m.before.rows[h.stream] {
		return true
	}
	m.missing.rows[h.stream] = h.seq
	return false
}

// passed reports whether the reader has passed all these rows.
func (m *eventMerge) passed(deps map[int64]int64) bool {
	for id, seq := range deps {
		if _, exists := m.streams.rows[id]; !exists {
			if !m.before.streams[id] {
				m.missing.streams[id] = true
				return false
			}
		} else if m.at.streams[id].seq < seq {
			return false
		}
	}
	return true
}

// byAge orders rows by time and then by stream.
func byAge(a, b *eventHead) int {
	return cmp.Or(a.newest.Compare(b.newest), cmp.Compare(a.stream, b.stream))
}

// pageOf returns the page with these segments, whose events are given by key. start is the place before the page, and
// id identifies the database. The page ends before the first segment whose events are missing: they were deleted.
func pageOf(taken []segment, events map[eventKey][]store.Event, start eventPosition, id databaseID,
) (page store.EventPage) {
	for i, g := range taken {
		all, ok := events[eventKey{g.head.stream, g.head.seq}]
		if !ok {
			taken = taken[:i]
			break
		}
		page.Events = append(page.Events, all[g.from:g.to]...)
	}
	page.Cursor = cursors(taken, start, id)
	return page
}

// cursors returns EventPage.Cursor for a page with these segments. Its caller may call it for each event of the page.
func cursors(taken []segment, start eventPosition, id databaseID) func(i int) string {
	streams := slices.Sorted(maps.Keys(start.streams))
	index := make(map[int64]int, len(streams))
	places := make([]streamPosition, len(streams))
	for i, stream := range streams {
		index[stream], places[i] = i, start.streams[stream]
	}
	return func(i int) string {
		at, rest := slices.Clone(places), i+1
		for _, g := range taken {
			g.to = min(g.to, g.from+rest)
			if g.to == g.from {
				break
			}
			at[index[g.head.stream]] = g.place()
			rest -= g.to - g.from
		}
		return encodePlaces(id, start.deleted, streams, at)
	}
}
