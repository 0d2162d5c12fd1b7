package boltstore

import (
	"encoding/binary"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/store/journal"
)

// position is how far the database has folded the journal.
type position struct {
	seq    uint64       // the last frame that is folded completely; 0 for none
	salt   journal.Salt // of the journal
	within progress     // how far the frame after seq is folded
	ends   uint64       // number of steps so far that ended inside a frame
}

// inJournal returns the part of p that the journal knows: whole frames.
func (p position) inJournal() journal.Position { return journal.Position{Seq: p.seq, Salt: p.salt} }

// chunk returns the chunk number of the step that begins at p: unique, and larger than those of earlier steps.
func (p position) chunk() uint64 { return p.seq + 1 + p.ends }

// follows reports whether a step that begins at from continues at p.
func (p position) follows(from position) bool { return p.seq == from.seq && p.within == from.within }

// advance returns the position that a step from p reaches. to is its end, without salt and ends.
func (p position) advance(to position, s journal.Salt) position {
	to.salt, to.ends = s, p.ends
	if to.within != (progress{}) {
		to.ends++
	}
	return to
}

// next describes where the next step begins, for error texts.
func (p position) next() string {
	if p.within == (progress{}) {
		return fmt.Sprintf("frame %d", p.seq+1)
	}
	return fmt.Sprintf("recipient %d of arrival %d of frame %d", p.within.recipients, p.within.arrivals, p.seq+1)
}

func (p position) String() string {
	if p.within == (progress{}) {
		return fmt.Sprintf("frame %d", p.seq)
	}
	return "everything before " + p.next()
}

// wholeLength is the length of an encoded position if no step has ever ended inside a frame. Older versions wrote only
// this form.
const wholeLength = 8 + len(journal.Salt{})

func (p position) encode() []byte {
	row := append(binary.BigEndian.AppendUint64(nil, p.seq), p.salt[:]...)
	if p.within == (progress{}) && p.ends == 0 {
		return row
	}
	row = binary.BigEndian.AppendUint32(row, uint32(p.within.arrivals))
	row = binary.BigEndian.AppendUint32(row, uint32(p.within.recipients))
	return binary.BigEndian.AppendUint64(row, p.ends)
}

// row returns the sealed row of the position.
func (p position) row() []byte {
	return seal(bucketMeta, keyPosition, append(unsealed(wholeLength+16), p.encode()...))
}

// positionIn reads the journal position from the database; the zero position if there is none.
func positionIn(tx *bolt.Tx) (position, error) {
	var p position
	row := tx.Bucket(bucketMeta).Get(keyPosition)
	if row == nil {
		return p, nil
	}
	row, err := unseal(bucketMeta, keyPosition, row)
	if err != nil {
		return p, fmt.Errorf("its journal position: %w", err)
	}
	if len(row) != wholeLength && len(row) != wholeLength+16 {
		return p, errors.New("its journal position is damaged")
	}
	p.seq = binary.BigEndian.Uint64(row)
	copy(p.salt[:], row[8:])
	if row = row[wholeLength:]; len(row) > 0 {
		p.within = progress{int(binary.BigEndian.Uint32(row)), int(binary.BigEndian.Uint32(row[4:]))}
		p.ends = binary.BigEndian.Uint64(row[8:])
	}
	return p, nil
}
