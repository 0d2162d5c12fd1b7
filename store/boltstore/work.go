package boltstore

import (
	"slices"

	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/fold"
)

// work is the input of one step: frames, and parts of frames, that follow each other in the journal.
type work struct {
	from, to schema.Position // before and after the step; without salt and ends
	parts    []part
	size     int    // maximum number of rows that the step writes
	end      uint64 // value of backlog.added up to this end
	bytes    int    // backlog memory of the frames that end in this step
}

// part is the part of one frame that a step folds.
type part struct {
	seq      uint64
	first    int             // index in the frame of the first arrival
	arrivals []store.Arrival // the first and the last may be parts of reports
}

// busy reports whether the step is large (see busyStep).
func (w work) busy() bool { return w.size >= busyStep }

// completed returns the number of arrivals whose folding the step completes.
func (w work) completed() int {
	completed := 0
	for _, p := range w.parts {
		completed += len(p.arrivals)
	}
	if w.to.Within.Recipients > 0 {
		completed--
	}
	return completed
}

// remaining returns how many rows folding the rest of a frame may write. p is how far the frame is folded.
func remaining(p schema.Progress, arrivals []store.Arrival) (rows uint64) {
	for _, a := range arrivals[p.Arrivals:] {
		rows += uint64(rowsOf(a))
	}
	return rows - uint64(p.Recipients)
}

// room is what one step may still write and hold in memory.
type room struct {
	rows   int // rows that may still be written
	bytes  int // memory left for rows and raw reports
	row    int // estimated memory of one row in bytes
	frames int // bytes of frames that may still be read back from the journal
}

// rawCopies is how many copies of a raw report a step holds: the original, one packed or compressed, and one in a
// page.
const rawCopies = 3

// most returns how many rows fit in addition to a raw report of that many bytes.
func (r room) most(raw int) int { return min(r.rows, (r.bytes-rawCopies*raw)/r.row) }

// divide takes as much of a frame as fits into r, beginning at done. next is where the rest begins; whole means that
// nothing is left. If must is set, it takes at least the next arrival, or MaxRecipients of its recipients.
func (r *room) divide(
	arrivals []store.Arrival, done schema.Progress, must bool,
) (taken []store.Arrival, next schema.Progress, whole bool) {
	next = done
	taken = arrivals[min(done.Arrivals, len(arrivals)):]
	for i, a := range taken {
		from, names := next.Recipients, a.News.Names()
		from = min(from, names) // the version that wrote the position may have read more recipients in the report
		raw := 0
		if from == 0 {
			raw = len(a.News.RawBytes())
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
			// Part is called on the backlog's element, because it caches there what all parts share.
			taken[i] = fold.Part(&arrivals[next.Arrivals], from, to)
		}
		r.rows -= to - from + 1
		r.bytes -= (to-from+1)*r.row + rawCopies*raw
		if to < names {
			return taken[:i+1], schema.Progress{Arrivals: next.Arrivals, Recipients: to}, false
		}
		next = schema.Progress{Arrivals: next.Arrivals + 1}
		must = false
	}
	return taken, schema.Progress{}, true
}
