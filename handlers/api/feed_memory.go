package api

import (
	"context"
	"slices"

	"golang.org/x/sync/semaphore"

	"github.com/dlrloop/dlrloop/store"
)

const (
	// feedKept is roughly how many bytes of events an answer of the feed holds, unless a single event is larger.
	feedKept = 256 << 10
	// feedReads is how many answers read the event log at the same time. A page of the log has up to several megabytes
	// until it is cut to feedKept.
	feedReads = 4
	// largeFactor is how much memory sending an event takes, as a multiple of its size: its texts, the JSON with the
	// text of an inbound message twice, and the buffers in which the JSON grows.
	largeFactor = 8
	// defaultFeedMemory is the default of Config.FeedMemory.
	defaultFeedMemory = 32 << 20
)

// feedMemory limits the memory of all answers of the feed together. A client that accepts no data holds what its answer
// holds, so each holds little, and a large event only with a share of a common budget.
type feedMemory struct {
	reads  chan struct{} // holds an element for each read of the event log; capacity feedReads
	large  *semaphore.Weighted
	budget int64 // of large
}

func newFeedMemory(budget int64) feedMemory {
	return feedMemory{make(chan struct{}, feedReads), semaphore.NewWeighted(budget), budget}
}

// readPage reads up to s.most events after the cursor and keeps as many as fit into feedKept, or one that is larger.
// For that one it first acquires a share of the budget, which release returns. It returns the error of the store, or
// that of ctx if ctx ends before there is room.
func (s *feedStream) readPage(ctx context.Context) error {
	s.release()
	size, err := s.readSome(ctx)
	if err != nil || size <= feedKept {
		return err
	}
	s.page = store.EventPage{} // a reader that waits keeps no page in memory
	share := min(int64(size)*largeFactor, s.memory.budget)
	if err := s.memory.large.Acquire(ctx, share); err != nil {
		return err
	}
	s.share, s.most = share, 1
	s.w.limitEvent(s.times.large)
	_, err = s.readSome(ctx)
	return err
}

// readSome reads up to s.most events and keeps as many as fit into feedKept, but at least one. It returns their size.
func (s *feedStream) readSome(ctx context.Context) (size int, err error) {
	select {
	case s.memory.reads <- struct{}{}:
		defer func() { <-s.memory.reads }()
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	page, err := s.config.Events.Events(ctx, s.cursor, s.most)
	if err != nil {
		return 0, err
	}
	n := 0
	for ; n < len(page.Events); n++ {
		e := &page.Events[n]
		if !s.filter.selects(e) {
			*e = store.Event{Type: store.ReportReceived} // which no filter selects
		}
		more := sizeOf(e)
		if n > 0 && size+more > feedKept {
			break
		}
		size += more
	}
	if s.most = feedPage; n < len(page.Events) {
		page.Next, page.Events = page.Cursor(n-1), slices.Clone(page.Events[:n])
		s.most = min(2*n, feedPage)
	}
	s.page = page
	return size, nil
}

// release returns the share of the last page, if it has one. Call it after the last use of the page.
func (s *feedStream) release() {
	s.page = store.EventPage{}
	if s.share > 0 {
		s.memory.large.Release(s.share)
		s.share = 0
		s.w.limitEvent(0)
	}
}

// sizeOf returns roughly how many bytes an event occupies in memory.
func sizeOf(e *store.Event) int {
	n := 600 + len(e.ClientReference) + len(e.Number) + len(e.Detail) + len(e.Raw) + 48*len(e.Counts)
	for _, r := range e.Recipients {
		n += 16 + len(r)
	}
	return n
}
