package api

import (
	"context"
	"slices"

	"golang.org/x/sync/semaphore"

	"github.com/dlrloop/dlrloop/store"
)

const (
	// feedKept is how many bytes of events one answer of the feed holds in memory, roughly. A larger event is held alone.
	feedKept = 256 << 10
	// feedReads is how many answers may read the event log at the same time; others wait. A page that the store returns
	// may have several megabytes before it is cut to feedKept.
	feedReads = 4
	// largeFactor is how many bytes of memory are reserved per byte of a large event: for its texts, for its JSON with the
	// text of an inbound message twice, and for the buffers in which the JSON grows.
	largeFactor = 8
	// defaultFeedMemory is used if Config.FeedMemory is zero, in bytes.
	defaultFeedMemory = 32 << 20
)

// feedMemory limits the memory that all open answers to GET /api/v1/events use together, even if their clients accept
// no data. Each answer may hold about feedKept bytes of events. To hold a larger event, an answer must first reserve
// memory from a budget that all answers share, and waits until enough is free.
type feedMemory struct {
	reads  chan struct{} // holds an element for each read of the event log; capacity feedReads
	large  *semaphore.Weighted
	budget int64 // size of large, in bytes
}

func newFeedMemory(budget int64) feedMemory {
	return feedMemory{make(chan struct{}, feedReads), semaphore.NewWeighted(budget), budget}
}

// readPage replaces s.page with the events after s.cursor: as many as fit into feedKept bytes, or a single event that
// is larger than feedKept. For such a large event it reserves memory, and blocks until enough is free; release frees
// the memory. It returns the error of the store, or the error of ctx if ctx ends first.
func (s *feedStream) readPage(ctx context.Context) error {
	s.release()
	size, err := s.readSome(ctx)
	if err != nil || size <= feedKept {
		return err
	}
	s.page = store.EventPage{} // a reader that waits keeps no page in memory
	need := min(int64(size)*largeFactor, s.memory.budget)
	if err := s.memory.large.Acquire(ctx, need); err != nil {
		return err
	}
	s.reserved, s.most = need, 1
	s.w.limitEvent(s.times.large)
	_, err = s.readSome(ctx)
	return err
}

// readSome reads up to s.most events after s.cursor. It keeps in s.page as many as fit into feedKept bytes, but always
// the first event, and returns their size in bytes, or 0 if no event follows s.cursor. At most feedReads calls read at
// the same time; if ctx ends while readSome waits for its turn, it returns the cause of ctx.
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

// release drops the events in s.page and frees the memory that was reserved for a large event. Call it when these
// events are sent, and at the end of the stream. Calling it again does nothing.
func (s *feedStream) release() {
	s.page = store.EventPage{}
	if s.reserved > 0 {
		s.memory.large.Release(s.reserved)
		s.reserved = 0
		s.w.limitEvent(0)
	}
}

// sizeOf estimates how many bytes of memory an event occupies.
func sizeOf(e *store.Event) int {
	n := 600 + len(e.ClientReference) + len(e.Number) + len(e.Detail) + len(e.Raw) + 48*len(e.Counts)
	for _, r := range e.Recipients {
		n += 16 + len(r)
	}
	return n
}
