package boltstore

import (
	"encoding/binary"
	"hash/crc32"
)

// A segment is a file of a fixed size, written full of zeros before its first use so that a sync has no metadata to
// write. It begins with a header of one sector:
//
//	 0  8  "dlrloopJ"
//	 8  4  format, 1
//	12  4  CRC-32C of the salt
//	16  8  salt: random, the same in all segments of a journal
//	24  4  size of the file, so that one that was cut is not taken for whole
//
// Frames follow from offset 512, each at a multiple of 8. All integers are little-endian.
//
//	 0  4  "FRAM"
//	 4  4  length of the body
//	 8  8  sequence: one more than the frame's before, over all segments
//	16  4  arrivals in the body
//	20  4  CRC-32C of salt and body
//	24  4  zero
//	28  4  CRC-32C of salt and the 28 bytes before
//	32     body: for each arrival its length as a varint and its bytes
//
// A frame is written with one write and is durable after one sync; the next is written only after that. So the first frame
// that does not verify is the end, a write that was cut and never acknowledged; unless a good frame of a later sequence
// exists anywhere: then an acknowledged frame is damaged. Frames of lower sequences are left from an earlier use of
// the segment. The salt keeps a body from passing for frames, whoever wrote it.
const (
	segmentHeader = 512
	frameHeader   = 32
	frameAlign    = 8

	segmentMagic  = "dlrloopJ"
	segmentFormat = 1
	frameMagic    = 0x4d415246 // "FRAM"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type salt [8]byte

func (s salt) sum(b []byte) uint32 {
	return crc32.Update(crc32.Checksum(s[:], castagnoli), castagnoli, b)
}

// frame is a frame found in a segment.
type frame struct {
	seq      uint64
	arrivals int
	offset   int
	body     []byte
}

func (f frame) end() int { return align(f.offset + frameHeader + len(f.body)) }

func align(n int) int { return (n + frameAlign - 1) &^ (frameAlign - 1) }

// begin starts a frame in buf, to be followed by its body and seal.
func beginFrame(buf []byte) []byte {
	return append(buf[:0], make([]byte, frameHeader)...)
}

// sealFrame fills in the header of a frame whose body is complete, and pads it.
func sealFrame(buf []byte, s salt, seq uint64, arrivals int) []byte {
	body := buf[frameHeader:]
	binary.LittleEndian.PutUint32(buf[0:], frameMagic)
	binary.LittleEndian.PutUint32(buf[4:], uint32(len(body)))
	binary.LittleEndian.PutUint64(buf[8:], seq)
	binary.LittleEndian.PutUint32(buf[16:], uint32(arrivals))
	binary.LittleEndian.PutUint32(buf[20:], s.sum(body))
	binary.LittleEndian.PutUint32(buf[24:], 0)
	binary.LittleEndian.PutUint32(buf[28:], s.sum(buf[:28]))
	return append(buf, make([]byte, align(len(buf))-len(buf))...)
}

// readFrame returns the frame at offset; false when none verifies there.
func readFrame(segment []byte, offset int, s salt) (frame, bool) {
	if offset+frameHeader > len(segment) {
		return frame{}, false
	}
	h := segment[offset : offset+frameHeader]
	if binary.LittleEndian.Uint32(h) != frameMagic || binary.LittleEndian.Uint32(h[28:]) != s.sum(h[:28]) {
		return frame{}, false
	}
	length := int(binary.LittleEndian.Uint32(h[4:]))
	if length > len(segment)-offset-frameHeader {
		return frame{}, false
	}
	f := frame{
		seq:      binary.LittleEndian.Uint64(h[8:]),
		arrivals: int(binary.LittleEndian.Uint32(h[16:])),
		offset:   offset,
		body:     segment[offset+frameHeader : offset+frameHeader+length],
	}
	return f, binary.LittleEndian.Uint32(h[20:]) == s.sum(f.body)
}
