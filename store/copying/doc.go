// Package copying moves what one store holds into another while nobody uses either: as it is, without folding anything
// again. A copy that was cut goes on where it was; what arrived is read again and compared with what left, by counts and by sums
// over every entry.
//
// References into the report log keep their meaning: an entry is found in the destination by the same chunk and place.
// Leases of claims are not moved: a task that somebody has claimed is due as it was.
package copying

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/dlrloop/dlrloop/store"
)

// Errors that callers tell apart.
var (
	// ErrUnfinished means that a store is being filled by a copy and is not whole: nothing else may use it.
	ErrUnfinished = errors.New("the store is being filled by a copy that is not finished: go on with it (dlrloop copy, from the same source), or make it empty")
	// ErrOccupied means that a destination holds something that is not of this copy.
	ErrOccupied = errors.New("the destination is not empty")
	// ErrOtherSource means that a destination is being filled from another store, or that its source has changed since.
	ErrOtherSource = errors.New("the destination is being filled from another source")
	// ErrInUse means that somebody else uses a store.
	ErrInUse = errors.New("the store is in use")
)

// Reader is a store that is read as it is.
type Reader interface {
	// Export gives everything that the store holds to each, piece by piece, from a position on that an earlier Export of the same
	// state gave; an empty one is the beginning. A piece is each's own. An error of each ends it.
	Export(ctx context.Context, from []byte, each func(Piece) error) error
	Close() error
}

// Source is a store that nobody else uses.
type Source interface {
	Reader
	// Identity says which store it is and in which state.
	Identity(ctx context.Context) (Identity, error)
	// Size counts what tells how far a copy is. It may be slow.
	Size(ctx context.Context) (Size, error)
}

// Sink is a store that is being filled. What it holds can be read again.
type Sink interface {
	Reader
	// Begin marks the store as being filled from a source, so that nothing else opens it, and returns how far an earlier copy came:
	// the zero Mark but for its Source when there was none. ErrOccupied, ErrOtherSource and ErrInUse are its refusals.
	Begin(ctx context.Context, from Identity) (Mark, error)
	// Import keeps a piece together with the mark that says so: both, or neither.
	Import(ctx context.Context, p Piece, m Mark) error
	// Finish takes the mark away: the store is whole.
	Finish(ctx context.Context) error
}

// Identity names a store and its state.
type Identity struct {
	Store string `json:"store"` // never changes
	State string `json:"state"` // changes with what it holds
}

// Mark is how far a copy came. A destination keeps it until the copy is verified.
type Mark struct {
	Source   Identity `json:"source"`
	Position []byte   `json:"position,omitempty"` // where the next piece begins
	Done     Size     `json:"done"`
	Whole    bool     `json:"whole,omitempty"` // everything arrived; it is still to be verified
}

// Resume reads the mark that a destination keeps, and refuses it if it is of another source.
func Resume(kept []byte, from Identity) (m Mark, err error) {
	if err := json.Unmarshal(kept, &m); err != nil {
		return m, fmt.Errorf("the mark of an earlier copy: %w", err)
	}
	switch {
	case m.Source.Store != from.Store:
		return m, ErrOtherSource
	case m.Source.State != from.State:
		return m, fmt.Errorf("%w: it is the same store, but somebody used it since the copy was begun", ErrOtherSource)
	}
	return m, nil
}

// Encode is what a destination keeps.
func (m Mark) Encode() []byte {
	kept, err := json.Marshal(m)
	if err != nil {
		panic(err) // it holds nothing that JSON lacks
	}
	return kept
}

// Size is an amount of what is copied. Bytes and Reports are known only of what was read.
type Size struct {
	Batches    int   `json:"batches"`
	Recipients int   `json:"recipients"`
	Reports    int   `json:"reports"`
	Bytes      int64 `json:"bytes"` // raw bytes of reports and quarantine
}

// Add adds o to s.
func (s *Size) Add(o Size) {
	s.Batches += o.Batches
	s.Recipients += o.Recipients
	s.Reports += o.Reports
	s.Bytes += o.Bytes
}

// Piece is a bounded part of what a store holds.
type Piece struct {
	Parts      []Part
	Minutes    []store.MinuteCount
	Quarantine []store.QuarantineEntry // the oldest first
	Totals     []store.PlanStats       // in the last pieces: whatever belongs to them came before
	Next       []byte                  // the position behind it
}

// Part is of one batch. Batches come in the order in which they were first heard of, the row of each before the rest of it.
type Part struct {
	Key store.BatchKey
	// Born is when the batch was first heard of; its microseconds tell the order of those of the same millisecond.
	Born time.Time
	// Chunk is the last chunk of the batch's report log so far; only beside Batch.
	Chunk      uint64
	Batch      *store.Batch // nil when it came before
	Recipients []store.Recipient
	Log        []Chunk
}

// Chunk is one chunk of a batch's report log, whole: its entries stand at the places 0, 1, 2 and so on.
type Chunk struct {
	Number  uint64
	Reports []store.Logged
}

// Size is the amount of what is in the piece.
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
	return s
}
