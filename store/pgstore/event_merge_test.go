package pgstore

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
)

// head returns the head of a row with one event.
func head(stream, seq int64, second int, deps map[int64]int64) *eventHead {
	return &eventHead{
		stream: stream, seq: seq, newest: time.Unix(int64(second), 0), events: 1, total: seq, size: 100, deps: deps,
	}
}

// merging returns a merge of the streams 1 and 2 with these heads, from their beginning.
func merging(heads ...*eventHead) *eventMerge {
	m := &eventMerge{
		streams: &eventStreams{rows: map[int64]streamRow{1: {ID: 1}, 2: {ID: 2}}},
	}
	m.readAgain(heads...)
	return m
}

// readAgain starts from the beginning with these heads, as if they were read again.
func (m *eventMerge) readAgain(heads ...*eventHead) {
	byStream := make(map[int64][]*eventHead)
	for _, h := range heads {
		byStream[h.stream] = append(byStream[h.stream], h)
	}
	m.begin(m.streams, m.streams.oldest())
	m.read(byStream, 100)
}

// takeAll takes up to ten events.
func (m *eventMerge) takeAll() []segment {
	taken, _ := m.take(nil, 10)
	return taken
}

// keysTaken returns the stream and seq of each segment.
func keysTaken(taken []segment) (all [][2]int64) {
	for _, g := range taken {
		all = append(all, [2]int64{g.head.stream, g.head.seq})
	}
	return all
}

func TestMergeByTimeAndDeps(t *testing.T) {
	m := merging(head(1, 1, 5, nil), head(1, 2, 6, map[int64]int64{2: 2}), head(2, 1, 4, nil), head(2, 2, 9, nil))
	require.Equal(t, [][2]int64{{2, 1}, {1, 1}, {2, 2}, {1, 2}}, keysTaken(m.takeAll()))
	require.False(t, m.again())
}

// TestMergeStopsAtMissingRow reads a row whose predecessor is not visible yet, and then both.
func TestMergeStopsAtMissingRow(t *testing.T) {
	m := merging(head(1, 1, 1, nil), head(1, 3, 2, nil), head(2, 1, 3, map[int64]int64{1: 2}))
	require.Equal(t, [][2]int64{{1, 1}}, keysTaken(m.takeAll()))
	require.True(t, m.again())
	m.readAgain(head(1, 1, 1, nil), head(1, 2, 2, nil), head(1, 3, 2, nil), head(1, 5, 9, nil),
		head(2, 1, 3, map[int64]int64{1: 2}))
	require.Equal(t, [][2]int64{{1, 1}, {1, 2}, {1, 3}, {2, 1}}, keysTaken(m.takeAll()))
	require.True(t, m.again())
}

// TestMergeSkipsLostRow finds the same row missing twice.
func TestMergeSkipsLostRow(t *testing.T) {
	m := merging(head(1, 1, 1, nil), head(1, 3, 2, nil))
	require.Len(t, m.takeAll(), 1)
	m.readAgain(head(1, 1, 1, nil), head(1, 3, 2, nil))
	require.Equal(t, [][2]int64{{1, 1}, {1, 3}}, keysTaken(m.takeAll()))
}

// TestMergeWaitsForUnknownStream reads a row that depends on a stream that was created, or deleted, meanwhile.
func TestMergeWaitsForUnknownStream(t *testing.T) {
	for _, created := range []bool{true, false} {
		m := merging(head(1, 1, 1, map[int64]int64{3: 1}))
		require.Empty(t, m.takeAll())
		require.True(t, m.again())
		want := [][2]int64{{1, 1}}
		all := []*eventHead{head(1, 1, 1, map[int64]int64{3: 1})}
		if created {
			m.streams.rows[3] = streamRow{ID: 3}
			all = append(all, head(3, 1, 2, nil))
			want = [][2]int64{{3, 1}, {1, 1}}
		}
		m.readAgain(all...)
		require.Equal(t, want, keysTaken(m.takeAll()), "created: %t", created)
	}
}

// TestMergeEndsWhereMoreRowsFollow keeps the order of time if a stream has more rows than were read.
func TestMergeEndsWhereMoreRowsFollow(t *testing.T) {
	m := merging(head(1, 1, 1, nil), head(2, 1, 9, nil))
	m.read(m.heads, 1)
	require.Equal(t, [][2]int64{{1, 1}}, keysTaken(m.takeAll()))
	require.True(t, m.cut)
	m.read(map[int64][]*eventHead{1: {head(1, 2, 5, nil)}, 2: {head(2, 1, 9, nil)}}, 100)
	require.Equal(t, [][2]int64{{1, 2}, {2, 1}}, keysTaken(m.takeAll()))
	require.False(t, m.cut)
}

func TestEventCursor(t *testing.T) {
	id := databaseID{1, 2, 3}
	p := eventPosition{deleted: 7, streams: map[int64]streamPosition{
		1 << 62: {seq: 1 << 40, offset: 3, total: 1 << 41}, 5: {}, 6: {total: 300},
	}}
	decoded, from, err := decodeEventCursor(p.encode(id))
	require.NoError(t, err)
	require.Equal(t, p, decoded)
	require.Equal(t, id, from)
	require.Equal(t, p.encode(id), decoded.encode(id))
	cursor := p.encode(id)
	for _, wrong := range []string{"x", cursor[:5], cursor[:len(cursor)-2], cursor + "AAAA", "é", "Ag" + cursor[2:]} {
		_, _, err := decodeEventCursor(wrong)
		require.ErrorIs(t, err, store.ErrCursor, wrong)
	}
}

func TestCursorAfterDeletions(t *testing.T) {
	all := &eventStreams{deleted: 10, rows: map[int64]streamRow{1: {ID: 1, Trimmed: 4, TrimmedTotal: 40}, 2: {ID: 2}}}
	at := func(deleted int64, streams map[int64]streamPosition) eventPosition {
		return eventPosition{deleted: deleted, streams: streams}
	}
	end := streamPosition{seq: 4, total: 40}
	for name, c := range map[string]struct {
		p     eventPosition
		valid bool
	}{
		"after the deleted rows":           {at(10, map[int64]streamPosition{1: end}), true},
		"within a deleted row":             {at(10, map[int64]streamPosition{1: {seq: 3, offset: 1, total: 31}}), false},
		"only empty rows deleted":          {at(10, map[int64]streamPosition{1: {seq: 3, total: 40}}), true},
		"before a stream with a beginning": {at(10, nil), false},
		"all of a deleted stream":          {at(4, map[int64]streamPosition{1: end, 9: {seq: 2, total: 6}}), true},
		"a part of a deleted stream":       {at(4, map[int64]streamPosition{1: end, 9: {seq: 1, total: 5}}), false},
		"a stream created and deleted":     {at(9, map[int64]streamPosition{1: end}), false},
		"another database":                 {at(10, map[int64]streamPosition{1: end, 8: {seq: 1, total: 1}}), false},
	} {
		p, valid := all.complete(c.p)
		require.Equal(t, c.valid, valid, name)
		require.Len(t, p.streams, 2)
	}
}
