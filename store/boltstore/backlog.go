package boltstore

import (
	"context"
	"sync"

	"github.com/dlrloop/dlrloop/store"
)

// group is what one frame of the journal holds.
type group struct {
	placed
	arrivals []store.Arrival // nil when they must be read back from the journal
	bytes    int             // of memory that the backlog holds for arrivals
	end      uint64          // backlog.added once the group was added
}

// backlog is what is durable and not folded. The committer adds, the fold takes, readers wait. Arrivals that do not fit into
// its memory stay in the journal until their turn comes.
//
// The counters added, folded and acknowledged count the rows that folding may write, in the order of the journal, since the
// store was opened.
type backlog struct {
	memory int                                   // most bytes of arrivals that it holds
	read   func(placed) ([]store.Arrival, error) // reads a frame's arrivals back

	mu           sync.Mutex
	groups       []group
	done         progress // of the first group
	bytes        int      // of arrivals that it holds, those of the present step included
	arrivals     int      // not folded
	added        uint64
	folded       uint64
	acknowledged uint64        // readers must see these
	wanted       uint64        // somebody waits for these
	allowance    uint64        // how many may be acknowledged and not folded
	stalled      bool          // the fold fails: acknowledgements do not wait for it
	ended        bool          // nothing is added any more
	news         chan struct{} // capacity 1: something for the fold to look at
	turned       chan struct{} // closed and replaced by turn
}

func newBacklog(memory int, read func(placed) ([]store.Arrival, error)) *backlog {
	return &backlog{
		memory: memory, read: read, allowance: firstAllowance,
		news: make(chan struct{}, 1), turned: make(chan struct{}),
	}
}

// add adds a frame's arrivals, which occupy so many bytes of memory.
func (b *backlog) add(p placed, arrivals []store.Arrival, bytes int) {
	rows := 0
	for _, a := range arrivals {
		rows += rowsOf(a)
	}
	b.mu.Lock()
	b.added += uint64(rows)
	g := group{placed: p, end: b.added}
	if b.bytes+bytes <= b.memory {
		g.arrivals, g.bytes = arrivals, bytes
		b.bytes += bytes
	}
	b.groups = append(b.groups, g)
	b.arrivals += p.arrivals
	b.mu.Unlock()
	b.poke()
}

// resume adds the frames that a start found, the first of them folded as far as done says. They do not count as rows: all
// are folded before the store is open, and the fold hurries, since whoever opens the store waits.
func (b *backlog) resume(tail []placed, done progress) {
	if len(tail) > 0 {
		b.wanted = 1
	}
	b.done = done
	b.arrivals -= done.arrivals
	for _, p := range tail {
		b.groups = append(b.groups, group{placed: p})
		b.arrivals += p.arrivals
	}
}

func (b *backlog) poke() {
	select {
	case b.news <- struct{}{}:
	default:
	}
}

// turn wakes all who wait. The caller holds mu.
func (b *backlog) turn() {
	close(b.turned)
	b.turned = make(chan struct{})
}

// rowsOf is how many rows folding a may write.
func rowsOf(a store.Arrival) int { return 1 + a.Recipients() }

// first is the first group and how far it is folded; false when there is none.
func (b *backlog) first() (g group, done progress, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.groups) == 0 {
		return group{}, progress{}, false
	}
	return b.groups[0], b.done, true
}

// take removes from the front what one step has room for: at least one arrival, or a part of one, if there is any. Only the
// fold calls it.
func (b *backlog) take(r room) (w work, err error) {
	for {
		g, done, ok := b.first()
		if !ok {
			return w, nil
		}
		if len(w.parts) == 0 {
			w.from = position{seq: g.seq - 1, within: done}
		}
		if g.arrivals == nil {
			if len(w.parts) > 0 && r.frames < g.body {
				return w, nil
			}
			if g.arrivals, err = b.read(g.placed); err != nil {
				if len(w.parts) > 0 {
					err = nil // the next step meets it again
				}
				return w, err
			}
			r.frames -= g.body
		}
		before := r.rows
		arrivals, next, whole := r.divide(g.arrivals, done, len(w.parts) == 0)
		w.size += before - r.rows
		b.advance(&w, g, arrivals, next, whole)
		if !whole {
			return w, nil
		}
	}
}

// advance adds to w what was taken of the first group. next is where the rest of the group begins.
func (b *backlog) advance(w *work, g group, taken []store.Arrival, next progress, whole bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(taken) > 0 || whole {
		w.parts = append(w.parts, part{g.seq, b.done.arrivals, taken})
	}
	if whole {
		b.groups[0] = group{} // its memory is the step's
		if b.groups = b.groups[1:]; len(b.groups) == 0 {
			b.groups = nil
		}
		b.done = progress{}
		w.to, w.end, w.bytes = position{seq: g.seq}, g.end, w.bytes+g.bytes
	} else {
		b.groups[0].arrivals, b.done = g.arrivals, next
		if len(taken) > 0 {
			w.to, w.end = position{seq: g.seq - 1, within: next}, g.end-min(g.end, next.rest(g.arrivals))
		}
	}
}

// reached says that w is folded, and how many rows may be acknowledged from now on before they are folded.
func (b *backlog) reached(w work, allowance int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.arrivals -= w.completed()
	b.bytes -= w.bytes
	b.folded, b.allowance, b.stalled = w.end, uint64(allowance), false
	b.turn()
}

// stall says that the fold failed and tries again.
func (b *backlog) stall() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stalled = true
	b.turn()
}

// How much of the allowance, and of the memory, may be used before the fold hurries, in eighths.
const (
	idle    = 6 // while it waits to begin a step
	folding = 7 // while it folds one
)

// state tells the fold whether it must hurry, since somebody waits or much is used, and whether nothing more comes.
func (b *backlog) state(eighths uint64) (hurry, ended bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	hurry = b.folded < b.wanted || 8*(b.added-b.folded) > eighths*b.allowance || 8*b.bytes > int(eighths)*b.memory
	return hurry, b.ended
}

// unfolded is how many arrivals are not folded.
func (b *backlog) unfolded() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.arrivals
}

// acknowledge returns once so much is folded that a reader who sees all that was added before the call waits for no more than
// the allowance. It does not wait while the fold fails: then the journal's size is the limit.
func (b *backlog) acknowledge(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	target := b.added
	for b.folded+b.allowance < target && !b.stalled && !b.ended {
		if err := b.await(ctx, target-b.allowance); err != nil {
			return err
		}
	}
	b.acknowledged = max(b.acknowledged, target)
	return nil
}

// wait returns when everything that is acknowledged now is folded.
func (b *backlog) wait(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	target := b.acknowledged
	for b.folded < target && !b.ended {
		if err := b.await(ctx, target); err != nil {
			return err
		}
	}
	if b.folded < target {
		return store.ErrClosed
	}
	return nil
}

// await has the fold hurry to fold up to target, and waits until something changes. The caller holds mu.
func (b *backlog) await(ctx context.Context, target uint64) error {
	b.wanted = max(b.wanted, target)
	turned := b.turned
	b.mu.Unlock()
	defer b.mu.Lock()
	b.poke()
	select {
	case <-turned:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// end says that nothing is added any more.
func (b *backlog) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
	b.turn()
	b.poke()
}
