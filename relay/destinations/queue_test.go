package destinations

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
)

// In the queue of a batch, deferred events precede those of the log and are ordered by id, whenever they are added.
// They never precede events in flight.
func TestDeferredEventsPrecedeOthers(t *testing.T) {
	q := queues{byBatch: make(map[store.BatchKey]*queue)}
	e := store.Event{Plan: planA, BatchID: "b"}
	of := q.of(&e, true)
	require.Same(t, of, q.of(&e, true))
	order := func() (ids []int64) {
		for _, i := range of.items {
			ids = append(ids, i.id)
		}
		return ids
	}
	for _, id := range []int64{7, 0, 3, 5, 0} {
		q.add(of, &item{event: e, id: id, due: time.Unix(id, 0)})
	}
	require.Equal(t, []int64{3, 5, 7, 0, 0}, order())
	require.Nil(t, q.take(time.Unix(2, 0), 2, 1000), "nothing is due")
	r := q.take(time.Unix(3, 0), 2, 1000)
	require.Len(t, r.items, 2)
	require.Nil(t, q.take(time.Unix(99, 0), 2, 1000), "a request of the batch is in flight")
	q.add(of, &item{event: e, id: 1})
	require.Equal(t, []int64{3, 5, 1, 7, 0, 0}, order())
	for _, i := range r.items {
		q.remove(i)
	}
	require.Equal(t, []int64{1, 7, 0, 0}, order())
	for len(of.items) > 0 {
		q.remove(of.front())
	}
	require.Empty(t, q.byBatch)
	require.Empty(t, q.ready.queues)
}
