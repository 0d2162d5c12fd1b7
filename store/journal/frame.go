package journal

import (
	"encoding/binary"
	"hash/crc32"
)

// A segment is a file of fixed size. It is filled with zeros before its first use, so that a later sync need not write
// file metadata. It begins with a header of one sector:
//
//	 0  8  "dlrloopJ"
//	 8  4  format, 1
//	12  4  CRC-32C of the salt
//	16  8  salt: random, the same in all segments of a journal
//	24  4  size of the file, to detect truncation
//
// Frames follow from offset 512, each at a multiple of 8. All integers are little-endian.
//
//	 0  4  "FRAM"
//	 4  4  length of the body
//	 8  8  sequence: that of the previous frame plus one, over all segments
//	16  4  number of arrivals in the body
//	20  4  CRC-32C of salt and body
//	24  4  zero
//	28  4  CRC-32C of salt and the 28 bytes before
//	32     body: for each arrival its length as a varint and its bytes
//
// These constants belong to the format of segment files. Each frame is synced before the next is written, so the
// journal ends at the first frame whose checksums do not match: a torn write that was never acknowledged. But if any
// segment holds a valid frame with a higher sequence, the mismatch is damage to an acknowledged frame. Frames with
// lower sequences are left from an earlier use of the segment. Bytes inside a body cannot pass for a frame, because the
// checksums include the salt, which no sender of reports knows.
const (
	segmentHeader = 512
	frameHeader   = 32
	frameAlign    = 8

	segmentMagic  = "dlrloopJ"
	segmentFormat = 1
	frameMagic    = 0x4d415246 // "FRAM"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Salt is a random value that identifies a journal. Every checksum in the journal includes it.
type Salt [8]byte

func (s Salt) sum(b []byte) uint32 {
	return crc32.Update(crc32.Checksum(s[:], castagnoli), castagnoli, b)
}

// frame is a journal frame (one write with its arrivals) as read from a segment file.
type frame struct {
	seq      uint64
	arrivals int    // number of arrivals in body
	offset   int    // of the header, in the bytes that were read
	body     []byte // aliases the bytes that were read
}

func (f frame) end() int { return align(f.offset + frameHeader + len(f.body)) }

func align(n int) int { return (n + frameAlign - 1) &^ (frameAlign - 1) }

// Begin empties buf and reserves space for the header of a new frame. The caller appends the body and calls Append.
func Begin(buf []byte) []byte {
	return append(buf[:0], make([]byte, frameHeader)...)
}

// sealFrame fills in the header of the frame in buf, which holds the body, and pads it to a multiple of 8 bytes.
func sealFrame(buf []byte, s Salt, seq uint64, arrivals int) []byte {
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

// readFrame decodes the frame at offset in a segment file's content. It returns false if the checksums do not match.
func readFrame(segment []byte, offset int, s Salt) (frame, bool) {
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
