package boltstore

import (
	"time"

	bolt "go.etcd.io/bbolt"
)

const (
	// firstRate is how many rows a second the fold is expected to write before any step was measured.
	firstRate = 20_000
	// leastRate keeps steps large enough for a disk whose syncs are slow: a smaller step would take as long, and make the next
	// one smaller still.
	leastRate = 16_000
	// leastMeasured is how many rows make a step worth measuring: what does not depend on the rows is little then.
	leastMeasured = 256

	// The memory that a row of a step takes: the row itself, and pages, of which a large database has one or two for each.
	leastRow = 1 << 9
	mostRow  = 12 << 10
	// nodeBytes is what bbolt holds of a page that it changes, beside the page.
	nodeBytes = 8 << 10

	// lag is how long a reader may have to wait for what was acknowledged, at the measured rate. Larger steps cost less for each
	// report, since they write each page and each batch less often.
	lag = 800 * time.Millisecond
)

// firstAllowance is the allowance before any step was measured.
const firstAllowance = firstRate * uint64(lag/time.Millisecond) / 1000

// measured is what the last steps tell about the next. Only the fold uses it.
type measured struct {
	row  int     // bytes of memory for each row
	rate float64 // rows a second
}

func newMeasured() measured { return measured{mostRow, firstRate} }

// step takes a step's figures in: the rows it may have written, and how long it worked.
func (m *measured) step(rows int, worked time.Duration, stats bolt.TxStats) {
	if rows < leastMeasured {
		return
	}
	rate := float64(rows) / max(worked, time.Microsecond).Seconds()
	m.rate = max(leastRate, (m.rate+rate)/2)
	row := leastRow + int(stats.GetPageAlloc()+nodeBytes*stats.GetNodeCount())/rows
	if row < m.row {
		row = (3*m.row + row) / 4 // less only after several steps
	}
	m.row = min(row, mostRow)
}

// allowance is how many rows may be acknowledged before they are folded.
func (m *measured) allowance() int { return int(m.rate * lag.Seconds()) }

// room is that of the next step, which may take so many bytes of memory.
func (m *measured) room(bytes int) room {
	return room{rows: min(maxStep, m.allowance()), bytes: bytes, row: m.row, frames: bytes}
}
