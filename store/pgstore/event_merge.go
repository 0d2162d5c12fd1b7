package pgstore

import (
	"cmp"

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

	missing missing // what this read does not find
	before  missing // what the earlier reads of the same call did not find; if it is still missing, it was lost or deleted
}

// missing holds what a read of the streams did not find although later rows follow it. It may not be visible yet.
type missing struct {
	rows    map[int64]int64 // by stream, the seq of the row that follows the missing ones
	streams map[int64]bool  // streams in deps that have no row in event_stream
}

// begin begins another read, with these streams, from the place at, which has a place in each of them. heads are up to
// n rows after that of each stream.
func (m *eventMerge) begin(streams *eventStreams, at eventPosition, heads map[int64][]*eventHead, n int64) {
	m.streams, m.at, m.heads, m.more = streams, at.clone(), heads, make(map[int64]bool)
	for id, h := range heads {
		m.more[id] = h[len(h)-1].seq == at.streams[id].seq+n
	}
	m.before = m.missing
	m.missing = missing{make(map[int64]int64), make(map[int64]bool)}
}

// again reports whether another read may find what this one did not.
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

// take returns the next segments, with up to limit events.
func (m *eventMerge) take(limit int) (taken []segment) {
	for size := 0; limit > 0; {
		h := m.next()
		if h == nil || len(taken) > 0 && size+h.size > pageEventBytes {
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
	return taken
}

// next returns the oldest row that may come next, or nil if there is none.
func (m *eventMerge) next() (oldest *eventHead) {
	for id, heads := range m.heads {
		if len(heads) == 0 {
			if m.more[id] {
				return nil // its next row, which is not read yet, may be the oldest
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
	page.Cursor = func(i int) string {
		p, rest := start.clone(), i+1
		for _, g := range taken {
			if n := g.to - g.from; rest < n {
				g.to = g.from + rest
			}
			if g.to == g.from {
				break
			}
			p.streams[g.head.stream] = g.place()
			rest -= g.to - g.from
		}
		return p.encode(id)
	}
	return page
}
