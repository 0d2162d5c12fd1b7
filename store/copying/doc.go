// Package copying copies the contents of one store into another store, without folding anything again. Neither store
// may be in use. An interrupted copy can be resumed. At the end Run reads the destination back and compares both
// stores by counts and checksums over every entry.
//
// References into the report log stay valid: an entry has the same chunk and index in both stores. Leases of feedback
// tasks are not copied: a leased task is due in the destination as if it had not been claimed.
//
// Events are not copied either, and neither is the progress of the destinations that receive them. The event log of the
// copy is empty, and cursors of the source are refused. So a copy is refused while an event waits for a destination:
// see CheckDelivered.
package copying

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/dlrloop/dlrloop/store"
)

// The errors of a copy, and of opening a store that holds an unfinished copy. Compare with errors.Is.
var (
	// ErrUnfinished means that the store holds an unfinished copy. Only the copy may open it.
	ErrUnfinished = errors.New("the store holds an unfinished copy: resume it (dlrloop copy with the same source), " +
		"or empty the store")
	// ErrOccupied means that the destination holds data that is not from this copy.
	ErrOccupied = errors.New("the destination is not empty")
	// ErrOtherSource means that the destination holds an unfinished copy from another store, or that the source has
	// changed since the copy started.
	ErrOtherSource = errors.New("the destination holds an unfinished copy from another source")
	// ErrInUse means that another process uses the store.
	ErrInUse = errors.New("the store is in use")
)

// Reader reads all contents of a store, to copy or to verify them.
type Reader interface {
	// Export calls each with all contents of the store after position, in pieces. position is empty for the beginning,
	// or Piece.Next from an earlier Export of the same state. each may keep the piece. Export stops at the first error
	// of each and returns it.
	Export(ctx context.Context, position []byte, each func(Piece) error) error
	Close() error
}

// Source is the store to copy from. No other process may use it during the copy.
type Source interface {
	Reader
	// Identity returns the id of the store and of its present state.
	Identity(ctx context.Context) (Identity, error)
	// Size counts the batches and recipients, for progress reports. It may take long.
	Size(ctx context.Context) (Size, error)
}

// Sink is the store to copy into. It is also a Reader, so that Run can read the copy back and verify it.
type Sink interface {
	Reader
	// Begin marks the store as unfinished, so that nothing else opens it, and returns the mark of an earlier copy, or a
	// mark with only Source set if there is none. Begin returns ErrOccupied, ErrOtherSource or ErrInUse if the copy
	// cannot start.
	Begin(ctx context.Context, source Identity) (Mark, error)
	// Import stores a piece and the new mark in one transaction.
	Import(ctx context.Context, p Piece, m Mark) error
	// Finish deletes the mark: the copy is complete and the store can be opened.
	Finish(ctx context.Context) error
}

// Identity identifies a store and its present contents. A copy is resumed only if the source's Identity is unchanged.
type Identity struct {
	Store string `json:"store"` // constant for the life of the store
	State string `json:"state"` // changes whenever the contents change
}

// Mark records how far a copy has come. The destination stores the mark until the copy is verified.
type Mark struct {
	Source   Identity `json:"source"`
	Position []byte   `json:"position,omitempty"` // where the next piece starts
	Done     Size     `json:"done"`
	Whole    bool     `json:"whole,omitempty"` // all pieces are imported; the destination is not verified yet
}

// Resume decodes the mark that an interrupted copy left in the destination. It returns ErrOtherSource if that copy had
// another source, or if the source has changed since.
func Resume(encoded []byte, source Identity) (m Mark, err error) {
	if err := json.Unmarshal(encoded, &m); err != nil {
		return m, fmt.Errorf("read the mark of an earlier copy: %w", err)
	}
	switch {
	case m.Source.Store != source.Store:
		return m, ErrOtherSource
	case m.Source.State != source.State:
		return m, fmt.Errorf("%w: it is the same store, but it has changed since the copy started", ErrOtherSource)
	}
	return m, nil
}

// Encode returns the mark as JSON, the form that Resume decodes.
func (m Mark) Encode() []byte {
	encoded, err := json.Marshal(m)
	if err != nil {
		panic(err) // cannot happen: every field has a JSON form
	}
	return encoded
}

// Size counts copied entries. Source.Size sets only Batches and Recipients.
type Size struct {
	Batches    int   `json:"batches"`
	Recipients int   `json:"recipients"`
	Reports    int   `json:"reports"`
	Bytes      int64 `json:"bytes"` // raw bytes of reports, quarantine and inbound messages
}

// Add adds every count of o to s, in place.
func (s *Size) Add(o Size) {
	s.Batches += o.Batches
	s.Recipients += o.Recipients
	s.Reports += o.Reports
	s.Bytes += o.Bytes
}

// Piece is a part of a store's contents, small enough to be imported in one transaction.
type Piece struct {
	Parts      []Part
	Minutes    []store.MinuteCount
	Quarantine []store.QuarantineEntry // oldest first
	Totals     []store.PlanStats       // after all entries that they count
	Inbound    []store.InboundMessage
	Next       []byte // the position after this piece
}

// Part holds entries of one batch: its row, recipients and reports, or only some of them. An export orders batches by
// FirstAt, and yields the row of a batch before its recipients and reports.
type Part struct {
	Key store.BatchKey
	// FirstAt is when the batch was first recorded. Its microseconds order the batches of the same millisecond.
	FirstAt time.Time
	// Chunk is the number of the batch's last report log chunk. It is set only together with Batch.
	Chunk      uint64
	Batch      *store.Batch // the row; nil if an earlier piece had it
	Recipients []store.Recipient
	Log        []Chunk
}

// Chunk is one complete chunk (a group of reports that a store keeps together) of a batch's report log. The Ref of
// Reports[i] has i as its Index.
type Chunk struct {
	Number  uint64
	Reports []store.Logged
}

// Size counts the batches, recipients, reports and bytes in the piece.
func (p Piece) Size() (s Size) {
	for _, part := range p.Parts {
		if part.Batch != nil {
			s.Batches++
		}
		s.Recipients += len(part.Recipients)
		for _, c := range part.Log {
			s.Reports += len(c.Reports)
			for _, l := range c.Reports {
				s.Bytes += int64(len(l.Raw))
			}
		}
	}
	for _, q := range p.Quarantine {
		s.Bytes += int64(len(q.Raw))
	}
	for _, m := range p.Inbound {
		s.Bytes += int64(len(m.Raw))
	}
	return s
}
