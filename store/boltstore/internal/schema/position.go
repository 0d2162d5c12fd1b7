package schema

import (
	"encoding/binary"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/store/journal"
)

// Position is how far the database has folded the journal.
type Position struct {
	Seq    uint64       // the last frame that is folded completely; 0 for none
	Salt   journal.Salt // of the journal
	Within Progress     // how far the frame after seq is folded
	ends   uint64       // number of steps so far that ended inside a frame
}

// Progress is how far a frame is folded: the number of arrivals folded completely, and the number of folded recipients
// of the next one.
type Progress struct{ Arrivals, Recipients int }

// InJournal returns the part of p that the journal knows: whole frames.
func (p Position) InJournal() journal.Position { return journal.Position{Seq: p.Seq, Salt: p.Salt} }

// Chunk returns the chunk number of the step that begins at p: unique, and larger than those of earlier steps.
func (p Position) Chunk() uint64 { return p.Seq + 1 + p.ends }

// Follows reports whether a step that begins at from continues at p.
func (p Position) Follows(from Position) bool { return p.Seq == from.Seq && p.Within == from.Within }

// Advance returns the position that a step from p reaches. to is its end, without salt and ends.
func (p Position) Advance(to Position, s journal.Salt) Position {
	to.Salt, to.ends = s, p.ends
	if to.Within != (Progress{}) {
		to.ends++
	}
	return to
}

// Next describes where the next step begins, for error texts.
func (p Position) Next() string {
	if p.Within == (Progress{}) {
		return fmt.Sprintf("frame %d", p.Seq+1)
	}
	return fmt.Sprintf("recipient %d of arrival %d of frame %d", p.Within.Recipients, p.Within.Arrivals, p.Seq+1)
}

func (p Position) String() string {
	if p.Within == (Progress{}) {
		return fmt.Sprintf("frame %d", p.Seq)
	}
	return "everything before " + p.Next()
}

// wholeLength is the length of an encoded position if no step has ever ended inside a frame. Older versions wrote only
// this form.
const wholeLength = 8 + len(journal.Salt{})

// Encode returns the row of p in the database.
func (p Position) Encode() []byte {
	row := append(binary.BigEndian.AppendUint64(nil, p.Seq), p.Salt[:]...)
	if p.Within == (Progress{}) && p.ends == 0 {
		return row
	}
	row = binary.BigEndian.AppendUint32(row, uint32(p.Within.Arrivals))
	row = binary.BigEndian.AppendUint32(row, uint32(p.Within.Recipients))
	return binary.BigEndian.AppendUint64(row, p.ends)
}

// Row returns the sealed row of the position.
func (p Position) Row() []byte {
	return Seal(BucketMeta, KeyPosition, append(Unsealed(wholeLength+16), p.Encode()...))
}

// ReadPosition reads the journal position from the database; the zero position if there is none.
func ReadPosition(tx *bolt.Tx) (Position, error) {
	var p Position
	row := tx.Bucket(BucketMeta).Get(KeyPosition)
	if row == nil {
		return p, nil
	}
	row, err := Unseal(BucketMeta, KeyPosition, row)
	if err != nil {
		return p, fmt.Errorf("its journal position: %w", err)
	}
	if len(row) != wholeLength && len(row) != wholeLength+16 {
		return p, errors.New("its journal position is damaged")
	}
	p.Seq = binary.BigEndian.Uint64(row)
	copy(p.Salt[:], row[8:])
	if row = row[wholeLength:]; len(row) > 0 {
		p.Within = Progress{int(binary.BigEndian.Uint32(row)), int(binary.BigEndian.Uint32(row[4:]))}
		p.ends = binary.BigEndian.Uint64(row[8:])
	}
	return p, nil
}
