package pgstore

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/dlrloop/dlrloop/store"
)

// eventCursorFormat is the format of the cursors of events, their first byte.
const eventCursorFormat = 1

// databaseID is the part of an event cursor that identifies the database: a hash of the salt of its schema.
type databaseID [6]byte

func (s *Store) databaseID() (id databaseID) {
	sum := sha256.Sum256(append([]byte("events "), s.salt...))
	copy(id[:], sum[:])
	return id
}

// eventPosition is the decoded form of an event cursor: the place in each stream up to which events were read.
type eventPosition struct {
	// deleted is the number of events of all deleted streams when the cursor was made.
	deleted int64
	streams map[int64]streamPosition // by id of the stream
}

// streamPosition is a place in a stream: after the row seq and the first events of the next row.
type streamPosition struct {
	seq    int64 // 0 before the first row
	offset int   // how many events of row seq+1 precede the place
	total  int64 // how many events of the stream precede the place, deleted events included
}

// clone returns a copy of the position that shares no memory with it.
func (p eventPosition) clone() eventPosition {
	p.streams = maps.Clone(p.streams)
	return p
}

// encode returns the position as a cursor for the database with this id. Equal positions have equal cursors.
func (p eventPosition) encode(id databaseID) string {
	streams := slices.Sorted(maps.Keys(p.streams))
	places := make([]streamPosition, len(streams))
	for i, stream := range streams {
		places[i] = p.streams[stream]
	}
	return encodePlaces(id, p.deleted, streams, places)
}

// encodePlaces returns the cursor of a position, whose streams are sorted.
func encodePlaces(id databaseID, deleted int64, streams []int64, places []streamPosition) string {
	b := make([]byte, 0, 16+16*len(streams))
	b = append(append(b, eventCursorFormat), id[:]...)
	b = binary.AppendUvarint(b, uint64(deleted))
	for i, stream := range streams {
		at := places[i]
		b = binary.BigEndian.AppendUint64(b, uint64(stream))
		b = binary.AppendUvarint(b, uint64(at.seq))
		b = binary.AppendUvarint(b, uint64(at.offset))
		b = binary.AppendUvarint(b, uint64(at.total))
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// decodeEventCursor returns the position and the database of a cursor that is not empty. The error of a malformed
// cursor wraps store.ErrCursor.
func decodeEventCursor(cursor string) (p eventPosition, id databaseID, err error) {
	malformed := fmt.Errorf("%w: %.60q", store.ErrCursor, cursor)
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(b) < 1+len(id) || b[0] != eventCursorFormat {
		return p, id, malformed
	}
	copy(id[:], b[1:])
	b = b[1+len(id):]
	valid := true
	number := func() int64 {
		v, n := binary.Uvarint(b)
		if n <= 0 || int64(v) < 0 {
			valid, b = false, nil
			return 0
		}
		b = b[n:]
		return int64(v)
	}
	p = eventPosition{deleted: number(), streams: make(map[int64]streamPosition)}
	for len(b) >= 8 {
		stream := int64(binary.BigEndian.Uint64(b))
		b = b[8:]
		seq, offset, total := number(), number(), number()
		valid = valid && offset < math.MaxInt32
		p.streams[stream] = streamPosition{seq: seq, offset: int(offset), total: total}
	}
	if !valid || len(b) > 0 {
		return p, id, malformed
	}
	return p, id, nil
}

// streamRow is a row of table event_stream.
type streamRow struct {
	ID           int64
	Token        string
	Home         int16
	Trimmed      int64
	TrimmedTotal int64
}

// eventStreams holds the rows of table event_stream at one time.
type eventStreams struct {
	deleted int64 // the number of events of the deleted streams
	rows    map[int64]streamRow
}

// oldest returns the place before the oldest event that is kept.
func (e *eventStreams) oldest() eventPosition {
	p := eventPosition{deleted: e.deleted, streams: make(map[int64]streamPosition, len(e.rows))}
	for id, r := range e.rows {
		p.streams[id] = streamPosition{seq: r.Trimmed, total: r.TrimmedTotal}
	}
	return p
}

// complete returns the position with a place in each existing stream and in no other. It returns false if events after
// the position were deleted.
func (e *eventStreams) complete(p eventPosition) (eventPosition, bool) {
	unread := e.deleted - p.deleted // events of the streams that were deleted since
	for id, at := range p.streams {
		if _, exists := e.rows[id]; !exists {
			unread -= at.total
		}
	}
	now, valid := e.oldest(), unread == 0
	for id, start := range now.streams {
		if at := p.streams[id]; at.seq >= start.seq {
			now.streams[id] = at
		} else if at.total < start.total {
			valid = false
		}
	}
	return now, valid
}
