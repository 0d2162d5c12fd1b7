package boltstore

import (
	"encoding/binary"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// position is where a database stands in its journal.
type position struct {
	seq    uint64   // the last frame that is folded whole; 0 for none
	salt   salt     // of the journal it is in
	within progress // how far the frame after seq is folded
	ends   uint64   // how many steps so far ended inside a frame
}

// chunk is the number of the log chunk that the step beginning here writes: unique, and larger than those of earlier steps.
func (p position) chunk() uint64 { return p.seq + 1 + p.ends }

// follows reports whether a step that begins at from begins here.
func (p position) follows(from position) bool { return p.seq == from.seq && p.within == from.within }

// advance is the position after a step that ended at to.
func (p position) advance(to position, s salt) position {
	to.salt, to.ends = s, p.ends
	if to.within != (progress{}) {
		to.ends++
	}
	return to
}

// next names the place where the next step begins.
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
	return "what comes before " + p.next()
}

// wholeLength is the length of a position from which no step ever ended inside a frame, as all were written once.
const wholeLength = 8 + len(salt{})

func (p position) encode() []byte {
	row := append(binary.BigEndian.AppendUint64(nil, p.seq), p.salt[:]...)
	if p.within == (progress{}) && p.ends == 0 {
		return row
	}
	row = binary.BigEndian.AppendUint32(row, uint32(p.within.arrivals))
	row = binary.BigEndian.AppendUint32(row, uint32(p.within.recipients))
	return binary.BigEndian.AppendUint64(row, p.ends)
}

// row is what is kept of the position.
func (p position) row() []byte {
	return seal(bucketMeta, keyPosition, append(unsealed(wholeLength+16), p.encode()...))
}

// positionIn reads the journal position that the database has reached.
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
