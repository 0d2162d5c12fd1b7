package backlog

import (
	"context"
	"sync"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
	"github.com/dlrloop/dlrloop/store/journal"
)

// group is one journal frame in the backlog.
type group struct {
	journal.Ref
	arrivals []store.Arrival // nil if they must be read back from the journal
	bytes    int             // estimated memory of arrivals; 0 if arrivals is nil
	end      uint64          // value of Queue.added after this group
}

// Queue is the queue of frames that are durable but not folded. The committer's goroutine adds frames, the fold
// takes them, and readers wait for them. Arrivals that do not fit into its memory stay in the journal until the fold
// reads them back.
//
// The counters added, folded and acknowledged count rows that folding may write, in journal order, since the store was
// opened.
type Queue struct {
	memory int                                        // maximum estimated bytes of arrivals in memory
	read   func(journal.Ref) ([]store.Arrival, error) // reads a frame's arrivals back from the journal

	mu           sync.Mutex // guards the fields below
	groups       []group
	done         schema.Progress // how far the first group is folded
	bytes        int             // memory of the arrivals in groups and in the fold's present step
	arrivals     int             // number of arrivals that are not folded
	added        uint64
	folded       uint64
	acknowledged uint64        // a read waits until folded reaches this
	wanted       uint64        // a caller waits until folded reaches this
	allowance    uint64        // maximum of rows acknowledged but not folded
	stalled      bool          // the last fold step failed: acknowledge does not wait
	ended        bool          // nothing will be added any more
	Wake         chan struct{} // capacity 1; wakes the fold
	changed      chan struct{} // broadcast closes and replaces it
}

// New returns an empty Queue. memory is the maximum of estimated bytes of arrivals that it keeps. read reads the
// arrivals of a frame back from the journal.
func New(memory int, read func(journal.Ref) ([]store.Arrival, error)) *Queue {
	return &Queue{
		memory: memory, read: read, allowance: firstAllowance,
		Wake: make(chan struct{}, 1), changed: make(chan struct{}),
	}
}

// Add appends the frame p. bytes is the estimated memory of its arrivals.
func (b *Queue) Add(p journal.Ref, arrivals []store.Arrival, bytes int) {
	rows := 0
	for _, a := range arrivals {
		rows += rowsOf(a)
	}
	b.mu.Lock()
	b.added += uint64(rows)
	g := group{Ref: p, end: b.added}
	if b.bytes+bytes <= b.memory {
		g.arrivals, g.bytes = arrivals, bytes
		b.bytes += bytes
	}
	b.groups = append(b.groups, g)
	b.arrivals += p.Arrivals
	b.mu.Unlock()
	b.Signal()
}

// Resume adds the frames that Open found unfolded; done says how far the first of them is folded. They do not count in
// added, because all are folded before Open returns. The fold does not pause for them.
func (b *Queue) Resume(tail []journal.Ref, done schema.Progress) {
	if len(tail) > 0 {
		b.wanted = 1
	}
	b.done = done
	b.arrivals -= done.Arrivals
	for _, p := range tail {
		b.groups = append(b.groups, group{Ref: p})
		b.arrivals += p.Arrivals
	}
}

// Signal wakes the fold. It does not block.
func (b *Queue) Signal() {
	select {
	case b.Wake <- struct{}{}:
	default:
	}
}

// broadcast wakes all goroutines in waitChange. The caller holds mu.
func (b *Queue) broadcast() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// rowsOf returns how many rows folding a may write: the batch and its recipients.
func rowsOf(a store.Arrival) int { return 1 + a.Entry.Names() }

// first returns the first group and how far it is folded, or false if the backlog is empty.
func (b *Queue) first() (g group, done schema.Progress, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.groups) == 0 {
		return group{}, schema.Progress{}, false
	}
	return b.groups[0], b.done, true
}

// Take removes from the front as many arrivals as fit into one step, at least one arrival or a part of a large report.
// w has no parts if the backlog is empty. Only the fold calls take.
func (b *Queue) Take(r Room) (w Work, err error) {
	for {
		g, done, ok := b.first()
		if !ok {
			return w, nil
		}
		if len(w.Parts) == 0 {
			w.From = schema.Position{Seq: g.Seq - 1, Within: done}
		}
		if g.arrivals == nil {
			if len(w.Parts) > 0 && r.Frames < g.Body {
				return w, nil
			}
			if g.arrivals, err = b.read(g.Ref); err != nil {
				if len(w.Parts) > 0 {
					err = nil // the next step returns it
				}
				return w, err
			}
			r.Frames -= g.Body
		}
		before := r.Rows
		arrivals, next, whole := r.divide(g.arrivals, done, len(w.Parts) == 0)
		w.Size += before - r.Rows
		b.advance(&w, g, arrivals, next, whole)
		if !whole {
			return w, nil
		}
	}
}

// advance moves what was taken of the first group to w. next is where the rest of the group begins; whole means that
// there is none.
func (b *Queue) advance(w *Work, g group, taken []store.Arrival, next schema.Progress, whole bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(taken) > 0 || whole {
		w.Parts = append(w.Parts, Part{g.Seq, b.done.Arrivals, taken})
	}
	if whole {
		b.groups[0] = group{} // the step owns its memory now
		if b.groups = b.groups[1:]; len(b.groups) == 0 {
			b.groups = nil
		}
		b.done = schema.Progress{}
		w.To, w.end, w.bytes = schema.Position{Seq: g.Seq}, g.end, w.bytes+g.bytes
	} else {
		b.groups[0].arrivals, b.done = g.arrivals, next
		if len(taken) > 0 {
			w.To, w.end = schema.Position{Seq: g.Seq - 1, Within: next}, g.end-min(g.end, remaining(next, g.arrivals))
		}
	}
}

// Reached records that w is folded, and sets how many rows may from now on be acknowledged before they are folded.
func (b *Queue) Reached(w Work, allowance int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.arrivals -= w.completed()
	b.bytes -= w.bytes
	b.folded, b.allowance, b.stalled = w.end, uint64(allowance), false
	b.broadcast()
}

// Stall records that a fold step failed and will be retried, so that acknowledge does not wait for it.
func (b *Queue) Stall() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stalled = true
	b.broadcast()
}

// How much of the allowance, and of the memory, may be in use before the fold stops pausing, in eighths.
const (
	WhileIdle    = 6 // between two steps
	WhileFolding = 7 // during a step
)

// State reports whether the fold must not pause (urgent): a caller waits, or more than eighths/8 of the allowance or
// of the memory is in use. ended means that nothing will be added any more.
func (b *Queue) State(eighths uint64) (urgent, ended bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	urgent = b.folded < b.wanted || 8*(b.added-b.folded) > eighths*b.allowance || 8*b.bytes > int(eighths)*b.memory
	return urgent, b.ended
}

// Lag returns the number of rows that are added but not folded, and the allowance.
func (b *Queue) Lag() (unfolded, allowance uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.added - b.folded, b.allowance
}

// Unfolded returns the number of arrivals that are durable but not folded.
func (b *Queue) Unfolded() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.arrivals
}

// Acknowledge blocks until at most allowance rows added before the call are unfolded. This limits how long a reader
// waits for them. It does not wait while the fold fails (then the journal's size is the limit) or after end. If ctx
// ends it returns the cause.
func (b *Queue) Acknowledge(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	target := b.added
	for b.folded+b.allowance < target && !b.stalled && !b.ended {
		if err := b.waitChange(ctx, target-b.allowance); err != nil {
			return err
		}
	}
	b.acknowledged = max(b.acknowledged, target)
	return nil
}

// Wait blocks until everything acknowledged before the call is folded. It returns ErrClosed if that will not happen,
// and the cause of ctx if ctx ends.
func (b *Queue) Wait(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	target := b.acknowledged
	for b.folded < target && !b.ended {
		if err := b.waitChange(ctx, target); err != nil {
			return err
		}
	}
	if b.folded < target {
		return store.ErrClosed
	}
	return nil
}

// waitChange asks the fold to fold up to target without pausing, and blocks until the next broadcast. The caller holds
// mu, which is released meanwhile.
func (b *Queue) waitChange(ctx context.Context, target uint64) error {
	b.wanted = max(b.wanted, target)
	changed := b.changed
	b.mu.Unlock()
	defer b.mu.Lock()
	b.Signal()
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// End records that nothing will be added any more.
func (b *Queue) End() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
	b.broadcast()
	b.Signal()
}
