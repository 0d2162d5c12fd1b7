package backlog

import "time"

const (
	// firstRate is the assumed fold rate in rows a second before any step was measured.
	firstRate = 20_000
	// minRate is the lowest rate that Measured assumes. If slow syncs lowered the rate further, the next step would be
	// smaller but take as long, and its measured rate would be lower still.
	minRate = 16_000
	// minMeasured is the minimum number of rows for a step to be measured. In smaller steps the fixed costs dominate.
	minMeasured = 256

	// Bounds of the estimated memory of one row in a step: the row and the pages changed for it, which in a large
	// database are one or two for each row.
	minRow = 1 << 9
	maxRow = 12 << 10

	// lag is how long a reader may have to wait for acknowledged arrivals, at the measured rate. Larger steps cost
	// less per report, since they write each page and each batch less often.
	lag = 800 * time.Millisecond
)

// firstAllowance is the allowance (see Queue.Reached) until the first fold step is measured.
const firstAllowance = firstRate * uint64(lag/time.Millisecond) / 1000

// Measured estimates the time and the memory per row of the next fold step, which applies arrivals in one transaction.
// Its estimates come from earlier steps. Only the fold's goroutine uses it.
type Measured struct {
	row  int     // memory per row in bytes
	rate float64 // rows per second
}

// NewMeasured returns the estimates to use until the first fold step is measured.
func NewMeasured() Measured { return Measured{maxRow, firstRate} }

// Step updates the estimates after a fold step: rows is how many rows it may have changed, duration its time without
// pauses, and memory the size of the changed pages in bytes. It ignores steps of less than 256 rows (minMeasured),
// because their fixed costs dominate.
func (m *Measured) Step(rows int, duration time.Duration, memory int) {
	if rows < minMeasured {
		return
	}
	rate := float64(rows) / max(duration, time.Microsecond).Seconds()
	m.rate = max(minRate, (m.rate+rate)/2)
	row := minRow + memory/rows
	if row < m.row {
		row = (3*m.row + row) / 4 // decreases only gradually
	}
	m.row = min(row, maxRow)
}

// Allowance returns how many acknowledged rows may wait for the fold so that a read waits for at most about 0.8 s.
func (m *Measured) Allowance() int { return int(m.rate * lag.Seconds()) }

// Room returns the limits of the next fold step (a transaction that applies arrivals). bytes is its memory limit.
func (m *Measured) Room(bytes int) Room {
	return Room{Rows: min(maxStep, m.Allowance()), Bytes: bytes, Row: m.row, Frames: bytes}
}
