package backlog

import (
	"slices"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
	"github.com/dlrloop/dlrloop/store/fold"
)

const (
	// maxStep is the maximum number of rows of one step, however fast the fold is.
	maxStep = 100_000
	// BusyStep is the number of rows from which a fold step counts as large. After a large step the fold waits up to
	// Config.FoldEvery, so that the next step is large too.
	BusyStep = 512
)

// Work is the input of one fold step (transaction): consecutive journal frames. The first and the last may be
// incomplete.
type Work struct {
	From, To schema.Position // before and after the step; without salt and ends
	Parts    []Part
	Size     int    // maximum number of rows that the step writes
	end      uint64 // value of Queue.added at the end of this step
	bytes    int    // backlog memory of the frames that end in this step
}

// Part holds arrivals of one journal frame that one fold step applies to the database: all of the frame's, or some.
type Part struct {
	Seq      uint64
	First    int             // index in the frame of the first arrival
	Arrivals []store.Arrival // the first and the last may be parts of reports
}

// Busy reports whether the fold step is large: it may change BusyStep rows or more.
func (w Work) Busy() bool { return w.Size >= BusyStep }

// completed returns how many arrivals are applied completely once the step is done. It does not count an arrival whose
// last recipients belong to a later step.
func (w Work) completed() int {
	completed := 0
	for _, p := range w.Parts {
		completed += len(p.Arrivals)
	}
	if w.To.Within.Recipients > 0 {
		completed--
	}
	return completed
}

// remaining returns how many rows the rest of a frame may change. arrivals holds all arrivals of the frame, and p is
// how far they are applied to the database already.
func remaining(p schema.Progress, arrivals []store.Arrival) (rows uint64) {
	for _, a := range arrivals[p.Arrivals:] {
		rows += uint64(rowsOf(a))
	}
	return rows - uint64(p.Recipients)
}

// Room holds how much more one fold step may contain. Each call of divide subtracts what it adds to the step.
type Room struct {
	Rows   int // rows that may still be written
	Bytes  int // memory left for rows and raw reports
	Row    int // estimated memory of one row in bytes
	Frames int // bytes of frames that may still be read back from the journal
}

// rawCopies is how many copies of a raw report a fold step holds in memory: the original, a packed or compressed copy,
// and one in a page of the database.
const rawCopies = 3

// most returns how many more rows fit into the fold step together with a report of this many raw bytes.
func (r Room) most(raw int) int { return min(r.Rows, (r.Bytes-rawCopies*raw)/r.Row) }

// divide takes from a frame's arrivals, beginning at done, those that fit into the limits r, and subtracts their cost
// from r. If must is set, it takes at least one arrival, or MaxRecipients recipients of a large report. whole is true
// if the taken arrivals complete the frame; otherwise the rest of the frame begins at next.
func (r *Room) divide(
	arrivals []store.Arrival, done schema.Progress, must bool,
) (taken []store.Arrival, next schema.Progress, whole bool) {
	next = done
	taken = arrivals[min(done.Arrivals, len(arrivals)):]
	for i, a := range taken {
		from, names := next.Recipients, a.Entry.Names()
		from = min(from, names) // the version that wrote the position may have read more recipients in the report
		raw := 0
		if from == 0 {
			raw = len(a.Entry.RawBytes())
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
		r.Rows -= to - from + 1
		r.Bytes -= (to-from+1)*r.Row + rawCopies*raw
		if to < names {
			return taken[:i+1], schema.Progress{Arrivals: next.Arrivals, Recipients: to}, false
		}
		next = schema.Progress{Arrivals: next.Arrivals + 1}
		must = false
	}
	return taken, schema.Progress{}, true
}
