package backlog

import (
	"context"
	"sync"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
	"github.com/dlrloop/dlrloop/store/journal"
)

// group is a journal frame that is not yet applied to the database: its place in the journal and, unless the memory
// limit excludes them, its arrivals.
type group struct {
	journal.Ref
	arrivals []store.Arrival // nil if they must be read back from the journal
	bytes    int             // estimated memory of arrivals; 0 if arrivals is nil
	end      uint64          // value of Queue.added after this group
}

// Queue holds, in journal order, the frames that are durable in the journal but not folded (applied to the database).
// The committer's goroutine adds frames, the fold's goroutine takes them, and readers wait for the fold. Arrivals
// beyond the memory limit are read back from the journal when taken. Progress is counted in database rows that may
// change.
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

// New returns an empty Queue that keeps arrivals of at most limit bytes (estimated) in memory. For frames beyond the
// limit, Take calls read, which must return the arrivals of a frame from the journal.
func New(limit int, read func(journal.Ref) ([]store.Arrival, error)) *Queue {
	return &Queue{
		memory: limit, read: read, allowance: firstAllowance,
		Wake: make(chan struct{}, 1), changed: make(chan struct{}),
	}
}

// Add appends frame p, which is durable in the journal. arrivals is its content, which the caller must not use after
// the call. bytes is the estimated memory of arrivals. Only the committer's goroutine calls Add.
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

// Resume adds the frames in tail, which a crash left in the journal; done is how far the first of them is applied to
// the database already. Their rows do not count as added, because Open applies all of them before it returns. Resume
// must be called before any other goroutine uses the Queue.
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

// Signal wakes the fold's goroutine, which waits for Wake. It does not block.
func (b *Queue) Signal() {
	select {
	case b.Wake <- struct{}{}:
	default:
	}
}

// broadcast wakes all goroutines that block in waitChange. The caller holds mu.
func (b *Queue) broadcast() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// rowsOf returns how many database rows an arrival may change: one for its batch, and one for each recipient it names.
func rowsOf(a store.Arrival) int { return 1 + a.Entry.Names() }

// first returns the oldest frame and how far it is applied to the database already. ok is false if the Queue is empty.
func (b *Queue) first() (g group, done schema.Progress, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.groups) == 0 {
		return group{}, schema.Progress{}, false
	}
	return b.groups[0], b.done, true
}

// Take removes the input of the next fold step from the front of the Queue: the arrivals that fit into the limits r,
// but at least one arrival, or MaxRecipients recipients of a large report. The Work has no parts if the Queue is empty.
// Take returns an error if it cannot read the first frame from the journal. Only the fold's goroutine calls it.
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

// advance adds taken, the next arrivals of the first frame g, to the step's input w. If whole is set, they complete the
// frame, which advance then removes from the Queue. Otherwise the rest of the frame begins at next.
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

// Reached records that the arrivals in w are applied to the database, and wakes the goroutines that wait for that.
// allowance is from now on the maximum number of rows that are acknowledged but not yet applied.
func (b *Queue) Reached(w Work, allowance int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.arrivals -= w.completed()
	b.bytes -= w.bytes
	b.folded, b.allowance, b.stalled = w.end, uint64(allowance), false
	b.broadcast()
}

// Stall records that applying arrivals to the database failed. Until Reached is called, Acknowledge does not wait.
func (b *Queue) Stall() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stalled = true
	b.broadcast()
}

// These are values of eighths for Queue.State: the fold must not pause if more eighths of a limit are in use.
const (
	WhileIdle    = 6 // between two steps
	WhileFolding = 7 // during a step
)

// State reports whether the fold is urgent and must not pause: a goroutine waits for it, or more than eighths/8 of the
// memory limit or of the allowance (see Reached) is in use. Pass WhileIdle or WhileFolding as eighths. The result ended
// reports whether End was called.
func (b *Queue) State(eighths uint64) (urgent, ended bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	urgent = b.folded < b.wanted || 8*(b.added-b.folded) > eighths*b.allowance || 8*b.bytes > int(eighths)*b.memory
	return urgent, b.ended
}

// Lag returns how many rows wait for the fold, and how many may wait before Acknowledge blocks (the allowance).
func (b *Queue) Lag() (unfolded, allowance uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.added - b.folded, b.allowance
}

// Unfolded returns the number of arrivals that are durable in the journal but not yet applied to the database.
func (b *Queue) Unfolded() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.arrivals
}

// Acknowledge blocks while more rows than the allowance (see Reached) wait for the fold, so that later reads do not
// wait too long. Rows added after the call do not count. It returns nil at once after End, and while fold steps fail,
// because then only the journal's size is limited. If ctx ends first, it returns the cause of ctx.
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

// Wait blocks a read until every arrival that was acknowledged before the call is applied to the database. It returns
// ErrClosed if End is called before that, and the cause of ctx if ctx ends.
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

// waitChange blocks until the next broadcast. If ctx ends first, it returns the cause of ctx. The fold becomes urgent
// until Queue.folded reaches target. The caller holds mu, which waitChange releases while it blocks.
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

// End records that no more frames will be added. It wakes the fold and all goroutines that wait for the fold.
func (b *Queue) End() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
	b.broadcast()
	b.Signal()
}
