package boltstore

import (
	"slices"

	"github.com/dlrloop/dlrloop/store"
)

// work is what one step folds: frames and parts of frames that follow each other in the journal.
type work struct {
	from, to position // without salt and extra
	parts    []part
	size     int    // rows that it may write
	end      uint64 // backlog.added up to its end
	bytes    int    // of memory that the backlog holds for frames that end in it
}

// part is what a step folds of one frame.
type part struct {
	seq      uint64
	first    int             // the place in the frame of the first arrival
	arrivals []store.Arrival // the first and the last may be a part of one
}

// busy reports whether w is so large that the next step is worth waiting for.
func (w work) busy() bool { return w.size >= busyStep }

// completed is how many arrivals are folded whole at the end of w and were not before.
func (w work) completed() int {
	completed := 0
	for _, p := range w.parts {
		completed += len(p.arrivals)
	}
	if w.to.within.recipients > 0 {
		completed--
	}
	return completed
}

// progress is how far a frame is folded: the arrivals folded whole, and how many recipients of the one after them.
type progress struct{ arrivals, recipients int }

// rest is how many rows folding the rest of a frame may write.
func (p progress) rest(arrivals []store.Arrival) (rows uint64) {
	for _, a := range arrivals[p.arrivals:] {
		rows += uint64(rowsOf(a))
	}
	return rows - uint64(p.recipients)
}

// room is what one step may still write and hold in memory.
type room struct {
	rows   int // to write
	bytes  int // of memory for rows and raw reports
	row    int // bytes that each row takes
	frames int // bytes of frames to read back
}

// rawCopies is how often a step holds the bytes of a raw report: as they came, packed or compressed, and in a page.
const rawCopies = 3

// most is how many rows fit beside raw bytes.
func (r room) most(raw int) int { return min(r.rows, (r.bytes-rawCopies*raw)/r.row) }

// divide takes as much of a frame as there is room for, beginning at done, and returns where the rest begins; whole says that
// there is none. At least the next arrival is taken if it must, or MaxRecipients of its recipients.
func (r *room) divide(arrivals []store.Arrival, done progress, must bool) (taken []store.Arrival, next progress, whole bool) {
	next = done
	taken = arrivals[min(done.arrivals, len(arrivals)):]
	for i, a := range taken {
		from, names := next.recipients, a.Recipients()
		from = min(from, names) // another version may have written the position, which reads another number of them
		raw := 0
		if from == 0 {
			raw = rawOf(a)
		}
		rows, most := 1+names-from, r.most(raw)
		to := names
		if rows > most {
			divisible := names > store.MaxRecipients
			switch {
			case divisible && (must || most > store.MaxRecipients):
				to = min(from+max(most-1, store.MaxRecipients), names)
			case !must:
				return taken[:i], next, false
			}
		}
		if from > 0 || to < names {
			taken = slices.Clone(taken)
			taken[i] = arrivals[next.arrivals].Part(from, to) // which remembers what the parts share
		}
		r.rows -= to - from + 1
		r.bytes -= (to-from+1)*r.row + rawCopies*raw
		if to < names {
			return taken[:i+1], progress{next.arrivals, to}, false
		}
		next = progress{arrivals: next.arrivals + 1}
		must = false
	}
	return taken, progress{}, true
}

// rawOf is how many bytes of an arrival a step writes as they came.
func rawOf(a store.Arrival) int {
	switch n := a.News.(type) {
	case store.Report:
		return len(n.Raw)
	case store.Quarantined:
		return len(n.Raw)
	}
	return 0
}
