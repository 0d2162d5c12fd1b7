package boltstore

import (
	"context"
	"sync"

	"github.com/dlrloop/dlrloop/store"
)

// group is what one frame of the journal holds.
type group struct {
	seq      uint64
	arrivals []store.Arrival
	rows     int // that folding it may write
}

// backlog is what is durable and not folded. The committer adds, the fold takes, readers wait.
type backlog struct {
	mu       sync.Mutex
	groups   []group
	arrivals int
	rows     int           // of the groups
	durable  uint64        // sequence of the last frame added
	folded   uint64        // sequence of the last frame folded
	wanted   bool          // a reader waits
	ended    bool          // nothing is added any more
	news     chan struct{} // capacity 1: something for the fold to look at
	turned   chan struct{} // closed and replaced whenever folded or ended changes
}

func newBacklog() *backlog {
	return &backlog{news: make(chan struct{}, 1), turned: make(chan struct{})}
}

func (b *backlog) add(seq uint64, arrivals []store.Arrival) {
	rows := 0
	for _, a := range arrivals {
		rows += rowsOf(a)
	}
	b.mu.Lock()
	b.groups = append(b.groups, group{seq, arrivals, rows})
	b.arrivals += len(arrivals)
	b.rows += rows
	b.durable = seq
	b.mu.Unlock()
	b.poke()
}

func (b *backlog) poke() {
	select {
	case b.news <- struct{}{}:
	default:
	}
}

// rowsOf is how many rows folding a may write.
func rowsOf(a store.Arrival) int {
	rows := 1
	switch n := a.News.(type) {
	case store.Report:
		for _, e := range n.Entries {
			rows += len(e.Recipients)
		}
	case store.Facts:
		rows += len(n.Numbers)
	case store.Confirmation:
		rows += len(n.Recipients)
	case store.Settlement:
		rows += len(n.Recipients)
	case store.Requeue:
		rows += len(n.Recipients)
	}
	return rows
}

// take removes whole groups from the front: at least one if there is any, and as many as write up to most rows.
func (b *backlog) take(most int) []group {
	b.mu.Lock()
	defer b.mu.Unlock()
	taken, rows := 0, 0
	for taken < len(b.groups) && (taken == 0 || rows+b.groups[taken].rows <= most) {
		rows += b.groups[taken].rows
		taken++
	}
	groups := b.groups[:taken:taken]
	b.rows -= rows
	if b.groups = b.groups[taken:]; len(b.groups) == 0 {
		b.groups, b.wanted = nil, false
	}
	return groups
}

// reached says that everything up to seq is folded.
func (b *backlog) reached(seq uint64, groups ...group) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, g := range groups {
		b.arrivals -= len(g.arrivals)
	}
	b.folded, b.durable = seq, max(b.durable, seq)
	close(b.turned)
	b.turned = make(chan struct{})
}

// state tells the fold what it has to do.
func (b *backlog) state() (rows int, wanted, ended bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rows, b.wanted, b.ended
}

// unfolded is how many arrivals are not folded.
func (b *backlog) unfolded() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.arrivals
}

// wait returns when everything that is durable now is folded.
func (b *backlog) wait(ctx context.Context) error {
	b.mu.Lock()
	target := b.durable
	for b.folded < target && !b.ended {
		b.wanted = true
		turned := b.turned
		b.mu.Unlock()
		b.poke()
		select {
		case <-turned:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		b.mu.Lock()
	}
	defer b.mu.Unlock()
	if b.folded < target {
		return store.ErrClosed
	}
	return nil
}

// end says that nothing is added any more.
func (b *backlog) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
	close(b.turned)
	b.turned = make(chan struct{})
	b.poke()
}
