package schema

import (
	"encoding/binary"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/store/journal"
)

// Position is the place in the journal up to which all arrivals are applied to the database. BucketMeta stores it.
type Position struct {
	Seq    uint64       // the last frame that is folded completely; 0 for none
	Salt   journal.Salt // of the journal
	Within Progress     // how far the frame after seq is folded
	ends   uint64       // number of steps so far that ended inside a frame
}

// Progress is how far one journal frame is folded (applied to the database). Arrivals counts the completely folded
// arrivals, Recipients the folded recipients of the next arrival.
type Progress struct{ Arrivals, Recipients int }

// InJournal returns the position for journal.Open, which knows only whole frames. It leaves out Within.
func (p Position) InJournal() journal.Position { return journal.Position{Seq: p.Seq, Salt: p.Salt} }

// Chunk returns the chunk number under which the fold step beginning at p stores raw reports (see LogKey). This number
// is larger than the chunk numbers of all earlier steps.
func (p Position) Chunk() uint64 { return p.Seq + 1 + p.ends }

// Follows reports whether a fold step that begins at start can be applied to a database that has reached p. It compares
// only Seq and Within.
func (p Position) Follows(start Position) bool { return p.Seq == start.Seq && p.Within == start.Within }

// Advance returns the position to store after a fold step that leads from p to end. The result gets the journal's salt
// s; Advance ignores end.Salt and end.ends.
func (p Position) Advance(end Position, s journal.Salt) Position {
	end.Salt, end.ends = s, p.ends
	if end.Within != (Progress{}) {
		end.ends++
	}
	return end
}

// Next describes, for error texts, what must be applied after p: a frame, or a recipient inside a frame.
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

// wholeLength is the length in bytes of an encoded Position if no fold step has ever ended inside a frame; older
// versions wrote only such positions. Otherwise the encoding is 16 bytes longer.
const wholeLength = 8 + len(journal.Salt{})

// Encode returns the stored encoding of p without a checksum. Row adds the checksum.
func (p Position) Encode() []byte {
	row := append(binary.BigEndian.AppendUint64(nil, p.Seq), p.Salt[:]...)
	if p.Within == (Progress{}) && p.ends == 0 {
		return row
	}
	row = binary.BigEndian.AppendUint32(row, uint32(p.Within.Arrivals))
	row = binary.BigEndian.AppendUint32(row, uint32(p.Within.Recipients))
	return binary.BigEndian.AppendUint64(row, p.ends)
}

// Row returns the encoding of p with a checksum, to be stored in BucketMeta under KeyPosition.
func (p Position) Row() []byte {
	return Seal(BucketMeta, KeyPosition, append(Unsealed(wholeLength+16), p.Encode()...))
}

// ReadPosition returns the position that the database stores. A new database stores none, and the result is the zero
// Position. It returns an error if the row is damaged.
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
