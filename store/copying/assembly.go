package copying

import (
	"time"

	"github.com/dlrloop/dlrloop/store"
)

// The maximum size of a piece (a part of an export), in entries and in bytes of stored reports and callbacks. The
// destination imports a piece in one transaction, and a few pieces are in memory at a time.
const (
	pieceEntries = 20_000
	pieceBytes   = 8 << 20
)

// Assembly collects exported entries into pieces of limited size. Add entries with its methods, and call FlushFull
// after each entry: it passes a full piece to the function in the field Each.
type Assembly struct {
	Each  func(Piece) error
	piece Piece
	size  int
	bytes int
}

// part returns the last Part of the current piece. If that Part belongs to another batch than key, part first adds one.
func (a *Assembly) part(key store.BatchKey, firstAt time.Time) *Part {
	if n := len(a.piece.Parts); n == 0 || a.piece.Parts[n-1].Key != key {
		a.piece.Parts = append(a.piece.Parts, Part{Key: key, FirstAt: firstAt})
	}
	return &a.piece.Parts[len(a.piece.Parts)-1]
}

// Batch adds the row of a batch. firstAt becomes Part.FirstAt. chunk is the number of the last chunk in b's report log.
func (a *Assembly) Batch(b *store.Batch, firstAt time.Time, chunk uint64) {
	p := a.part(b.Key(), firstAt)
	p.Batch, p.Chunk = b, chunk
	a.count(0)
}

// Recipient adds one recipient of the batch with this key. firstAt becomes Part.FirstAt.
func (a *Assembly) Recipient(key store.BatchKey, firstAt time.Time, r store.Recipient) {
	p := a.part(key, firstAt)
	p.Recipients = append(p.Recipients, r)
	a.count(0)
}

// Log adds one chunk (a group of reports) of a batch's report log. firstAt becomes Part.FirstAt.
func (a *Assembly) Log(key store.BatchKey, firstAt time.Time, c Chunk) {
	p := a.part(key, firstAt)
	p.Log = append(p.Log, c)
	for _, l := range c.Reports {
		a.count(len(l.Raw))
	}
}

// Minute adds the message count of one minute, plan and status.
func (a *Assembly) Minute(m store.MinuteCount) {
	a.piece.Minutes = append(a.piece.Minutes, m)
	a.count(0)
}

// Quarantined adds a callback that could not be parsed.
func (a *Assembly) Quarantined(q store.QuarantineEntry) {
	a.piece.Quarantine = append(a.piece.Quarantine, q)
	a.count(len(q.Raw))
}

// Inbound adds an inbound message.
func (a *Assembly) Inbound(m store.InboundMessage) {
	a.piece.Inbound = append(a.piece.Inbound, m)
	a.count(len(m.Raw))
}

// Total adds the totals of one plan.
func (a *Assembly) Total(t store.PlanStats) {
	a.piece.Totals = append(a.piece.Totals, t)
	a.count(0)
}

func (a *Assembly) count(bytes int) {
	a.size++
	a.bytes += bytes
}

// Full reports whether the current piece has reached its maximum size, so that the caller should call Flush.
func (a *Assembly) Full() bool { return a.size >= pieceEntries || a.bytes >= pieceBytes }

// Flush passes the current piece to the function in the field Each and begins a new piece. It does nothing if the piece
// is empty. next becomes Piece.Next: the encoded position at which the export continues after this piece.
func (a *Assembly) Flush(next []byte) error {
	if a.size == 0 {
		return nil
	}
	a.piece.Next = next
	p := a.piece
	a.piece, a.size, a.bytes = Piece{}, 0, 0
	return a.Each(p)
}
