package cli

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/dlrloop/dlrloop/store/copying"
)

const (
	barWidth = 24
	// The minimum time between two lines of progress: barEvery on a terminal, lineEvery otherwise.
	barEvery  = time.Second / 10
	lineEvery = 10 * time.Second
)

// bar writes the progress of dlrloop copy to w: on a terminal as one line that changes, otherwise as a new line every
// 10 seconds.
type bar struct {
	w        io.Writer
	terminal bool
	phase    copying.Phase
	started  time.Time // start of the phase
	before   int       // batches and recipients that were done at the start of the phase
	shown    time.Time // time of the last line
	last     copying.Progress
}

func newBar(w io.Writer, terminal bool) *bar { return &bar{w: w, terminal: terminal} }

// show is called with each progress p of a copy, and writes some of them: at most one every barEvery on a terminal, and
// at most one every lineEvery elsewhere. Elsewhere it also writes the first progress of each phase (copying or
// verifying).
func (b *bar) show(p copying.Progress) {
	now := time.Now()
	if p.Phase != b.phase {
		b.finishPhase()
		b.phase, b.started, b.shown, b.before = p.Phase, now, now, rowsOf(p.Done)
		if !b.terminal {
			b.write(p, now)
		}
	}
	b.last = p
	every := lineEvery
	if b.terminal {
		every = barEvery
	}
	if now.Sub(b.shown) >= every {
		b.shown = now
		b.write(p, now)
	}
}

// finishPhase writes the last progress of a phase (copying or verifying) and a line break. If the output is not a
// terminal, it does nothing.
func (b *bar) finishPhase() {
	if b.phase != "" && b.terminal {
		b.write(b.last, time.Now())
		fmt.Fprintln(b.w)
	}
}

func (b *bar) end() { b.finishPhase() }

func (b *bar) write(p copying.Progress, now time.Time) {
	line := b.line(p, now.Sub(b.started))
	if b.terminal {
		fmt.Fprintf(b.w, "\r\x1b[K%s", line)
		return
	}
	fmt.Fprintln(b.w, line)
}

func rowsOf(s copying.Size) int { return s.Batches + s.Recipients }

func (b *bar) line(p copying.Progress, took time.Duration) string {
	done, total := rowsOf(p.Done), max(rowsOf(p.Total), rowsOf(p.Done))
	share := 1.0
	if total > 0 {
		share = float64(done) / float64(total)
	}
	var line strings.Builder
	fmt.Fprintf(&line, "%-9s ", p.Phase)
	if b.terminal {
		full := int(share * barWidth)
		fmt.Fprintf(&line, "[%s%s] ", strings.Repeat("#", full), strings.Repeat("-", barWidth-full))
	}
	fmt.Fprintf(&line, "%3d%%  %d of %s, %s, %s", int(share*100), p.Done.Batches,
		count(max(p.Total.Batches, p.Done.Batches), "batch"),
		count(p.Done.Recipients, "recipient"), megabytes(p.Done.Bytes))
	if rate := float64(done-b.before) / cmp.Or(took.Seconds(), 1e-9); took >= time.Second && rate > 0 {
		left := time.Duration(float64(total-done) / rate * float64(time.Second))
		fmt.Fprintf(&line, ", %.0f/s, %s left", rate, left.Round(time.Second))
	}
	return line.String()
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB of reports", float64(n)/1e6) }
