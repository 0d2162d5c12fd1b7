package schema

import (
	"encoding/binary"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/store/journal"
)

// Position is the place in the journal up to which arrivals are folded into the database. BucketMeta stores it.
type Position struct {
	Seq    uint64       // the last frame that is folded completely; 0 for none
	Salt   journal.Salt // of the journal
	Within Progress     // how far the frame after seq is folded
	ends   uint64       // number of steps so far that ended inside a frame
}

// Progress is the place inside a journal frame up to which the frame is folded. Arrivals counts the completely folded
// arrivals, Recipients the folded recipients of the arrival after them.
type Progress struct{ Arrivals, Recipients int }

// InJournal returns p for journal.Open, which knows only whole frames: the result leaves out Within.
func (p Position) InJournal() journal.Position { return journal.Position{Seq: p.Seq, Salt: p.Salt} }

// Chunk returns the number of the log chunks that the fold step beginning at p writes. The number is larger than that
// of every earlier step.
func (p Position) Chunk() uint64 { return p.Seq + 1 + p.ends }

// Follows reports whether a fold step that begins at from may start now, when the database has reached p: Seq and
// Within must be the same.
func (p Position) Follows(from Position) bool { return p.Seq == from.Seq && p.Within == from.Within }

// Advance returns the position after a fold step from p to to. Pass the journal's salt as s; Advance ignores to.Salt
// and to.ends.
func (p Position) Advance(to Position, s journal.Salt) Position {
	to.Salt, to.ends = s, p.ends
	if to.Within != (Progress{}) {
		to.ends++
	}
	return to
}

// Next returns a text for errors that names what must be folded after p: a frame, or a recipient inside a frame.
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

// wholeLength is the length of an encoded Position in bytes if no fold step has ever ended inside a frame. Older
// versions wrote only this form. Otherwise the encoded Position is 16 bytes longer.
const wholeLength = 8 + len(journal.Salt{})

// Encode returns the content of the row that stores p, without the seal. Row returns the sealed row.
func (p Position) Encode() []byte {
	row := append(binary.BigEndian.AppendUint64(nil, p.Seq), p.Salt[:]...)
	if p.Within == (Progress{}) && p.ends == 0 {
		return row
	}
	row = binary.BigEndian.AppendUint32(row, uint32(p.Within.Arrivals))
	row = binary.BigEndian.AppendUint32(row, uint32(p.Within.Recipients))
	return binary.BigEndian.AppendUint64(row, p.ends)
}

// Row returns the sealed row of p, to be stored in BucketMeta under KeyPosition.
func (p Position) Row() []byte {
	return Seal(BucketMeta, KeyPosition, append(Unsealed(wholeLength+16), p.Encode()...))
}

// ReadPosition returns the position that the database stores, or the zero Position if the database stores no position.
// It returns an error if the row is damaged.
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
