package pgstore

import (
	"context"
	"fmt"

	"github.com/dlrloop/dlrloop/store"
)

// The number of rows of each stream of which Events reads the heads at once: few at first, since a row may have many
// events, and then more.
const (
	leastHeads = 16
	mostHeads  = 256
)

// maxReads is the maximum number of times that one call of Events reads the streams if rows or streams are missing.
const maxReads = 3

// Events returns up to limit events after the cursor, about in the order of their time. The events of one batch have
// the order of their versions, whichever replicas stored them. store.EventLog documents the errors. A page also ends
// when its rows have 4 MiB.
func (s *Store) Events(ctx context.Context, cursor string, limit int) (page store.EventPage, err error) {
	page, err = s.readPage(ctx, cursor, limit)
	return page, s.readError(err)
}

func (s *Store) readPage(ctx context.Context, cursor string, limit int) (page store.EventPage, err error) {
	streams, start, err := s.locate(ctx, cursor)
	if err != nil {
		return page, err
	}
	if cursor == "" {
		cursor = start.encode(s.databaseID())
	}
	if limit > 0 {
		taken, start, err := s.takeEvents(ctx, streams, start, limit)
		if err != nil {
			return page, err
		}
		if page, err = s.readTaken(ctx, taken, start); err != nil || len(page.Events) > 0 {
			return page, err
		}
	}
	return store.EventPage{Next: cursor, Cursor: func(int) string { return cursor }}, nil
}

// takeEvents returns the segments of the rows with the next events, up to limit. from is the place before them, with a
// place in each stream; so is start, which has a place in more streams if it read the streams again.
func (s *Store) takeEvents(ctx context.Context, streams *eventStreams, from eventPosition, limit int,
) (taken []segment, start eventPosition, err error) {
	var m eventMerge
	start = from
	m.begin(streams, start)
	for reads := 1; ; reads++ {
		var full bool
		for n := int64(leastHeads); ; n = min(2*n, mostHeads) {
			heads, err := s.readHeads(ctx, m.streams, m.at, n)
			if err != nil {
				return nil, start, err
			}
			m.read(heads, n)
			if taken, full = m.take(taken, limit); full || !m.cut {
				break
			}
		}
		// Other streams may have events at each call, so what is missing is read again even if some events were taken.
		if full || !m.again() || reads == maxReads {
			return taken, start, nil
		}
		if streams, err = s.readStreams(ctx); err != nil {
			return nil, start, err
		}
		extended, valid := streams.complete(start)
		at, kept := streams.complete(m.at)
		switch {
		case valid && kept:
			start = extended
			m.begin(streams, at)
		case len(taken) > 0:
			return taken, start, nil
		default:
			return nil, start, s.cursorGone(streams)
		}
	}
}

// locate returns the streams and the place of a cursor, with a place in each stream. It returns a
// *store.CursorGoneError if the cursor is from another database or if events after it were deleted.
func (s *Store) locate(ctx context.Context, cursor string) (*eventStreams, eventPosition, error) {
	var p eventPosition
	var id databaseID
	var err error
	if cursor != "" {
		if p, id, err = decodeEventCursor(cursor); err != nil {
			return nil, p, err
		}
	}
	streams, err := s.readStreams(ctx)
	if err != nil || cursor == "" {
		if err == nil {
			p = streams.oldest()
		}
		return streams, p, err
	}
	p, valid := streams.complete(p)
	if !valid || id != s.databaseID() {
		return nil, p, s.cursorGone(streams)
	}
	return streams, p, nil
}

func (s *Store) cursorGone(e *eventStreams) error {
	return &store.CursorGoneError{Oldest: e.oldest().encode(s.databaseID())}
}

// readTaken returns the page with the events of these segments. start is the place before them.
func (s *Store) readTaken(ctx context.Context, taken []segment, start eventPosition) (page store.EventPage, err error) {
	if len(taken) == 0 {
		return page, nil
	}
	heads := make([]*eventHead, len(taken))
	for i, g := range taken {
		heads[i] = g.head
	}
	events, err := s.readEvents(ctx, heads)
	if err != nil {
		return page, err
	}
	page = pageOf(taken, events, start, s.databaseID())
	if last := len(page.Events) - 1; last >= 0 {
		page.Next = page.Cursor(last)
	}
	return page, nil
}

// EventsEnd returns the cursor after the newest event.
func (s *Store) EventsEnd(ctx context.Context) (string, error) {
	streams, err := s.readStreams(ctx)
	if err != nil {
		return "", s.readError(err)
	}
	end, err := s.readEnd(ctx, streams)
	if err != nil {
		return "", s.readError(err)
	}
	return end.encode(s.databaseID()), nil
}

// EventBacklog counts the events after the cursor and returns the time of the first one. It returns the errors of
// Events. It reads only the last row of each stream, and the first event.
func (s *Store) EventBacklog(ctx context.Context, cursor string) (b store.EventBacklog, err error) {
	defer func() { err = s.readError(err) }()
	streams, at, err := s.locate(ctx, cursor)
	if err != nil {
		return b, err
	}
	end, err := s.readEnd(ctx, streams)
	if err != nil {
		return b, err
	}
	events := 0
	for id, last := range end.streams {
		events += int(max(last.total-at.streams[id].total, 0))
	}
	if events == 0 {
		return b, nil
	}
	page, err := s.readPage(ctx, cursor, 1)
	if err != nil {
		return b, fmt.Errorf("read the oldest event: %w", err)
	}
	if len(page.Events) == 0 {
		return b, nil // they are not visible in all slots yet
	}
	return store.EventBacklog{Events: events, Oldest: page.Events[0].At}, nil
}
