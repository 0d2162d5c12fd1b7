package boltstore

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
)

// deliveredStore returns the directory of a closed store with five rows of events, and a destination that has received
// those of two and has 3 dead events.
func deliveredStore(t *testing.T) (path string, cursors []string) {
	t.Helper()
	path = t.TempDir()
	s := opened(t, Config{Path: path, Policies: eventPolicy})
	cursors = inSteps(t, s, 5)
	_, err := s.SaveDestination(t.Context(), "app", store.DestinationChange{Cursor: cursors[2], Put: deadEvents(3)})
	require.NoError(t, err)
	require.NoError(t, s.Close())
	return path, cursors
}

// Events in a damaged row are lost. The events after them are not.
func TestDamagedRowOfEventsIsSkipped(t *testing.T) {
	for name, c := range map[string]struct {
		rows           []int
		whileOpen      bool
		left, waiting2 int // events that are left, and that wait after the second row
	}{
		"first, found by a read":  {[]int{0}, true, 8, 6},
		"middle, found by a read": {[]int{2}, true, 8, 4},
		"last, found by a read":   {[]int{4}, true, 8, 6},
		"last three":              {[]int{2, 3, 4}, true, 4, 0},
		"middle, found by Open":   {[]int{2}, false, 8, 4},
		"all":                     {[]int{0, 1, 2, 3, 4}, false, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			path, cursors := deliveredStore(t)
			which := func(i int) bool { return bytes.IndexByte(toBytes(c.rows), byte(i)) >= 0 }
			if !c.whileOpen {
				scramble(t, path, schema.BucketEvents, which)
			}
			var o failures
			s := opened(t, Config{Path: path, Policies: eventPolicy, Observer: o.observer()})
			if c.whileOpen {
				require.NoError(t, s.db.Update(func(tx *bolt.Tx) error {
					_, err := scrambleIn(tx, schema.BucketEvents, which)
					return err
				}))
				for i := range c.rows { // a read ends at the first damaged row
					_, err := s.Events(t.Context(), "", 1000)
					require.ErrorIs(t, err, store.ErrDamaged)
					o.awaitDamage(t, i+1)
				}
			}
			for range 2 {
				all, _ := eventsAfter(t, s, "")
				require.Len(t, all, c.left)
			}
			require.Len(t, o.damage(), len(c.rows))
			require.Contains(t, o.damage()[0], isAside)
			backlog, err := s.EventBacklog(t.Context(), cursors[2])
			require.NoError(t, err)
			require.Equal(t, c.waiting2, backlog.Events)
			_, next := eventsAfter(t, s, cursors[4])
			a := delivered("new", "447700900009")
			a.At = noon.AddDate(0, 0, 1)
			recordAll(t, s, a)
			all, _ := eventsAfter(t, s, next)
			require.Len(t, all, 2, "no number is used again")
			require.NoError(t, s.TrimEvents(t.Context(), noon.AddDate(0, 0, 2)))
			require.NoError(t, s.Close())
			requireSound(t, path)
		})
	}
}

func toBytes(all []int) (b []byte) {
	for _, i := range all {
		b = append(b, byte(i))
	}
	return b
}

// The range of the event log is written again. If the store is open, its copy in memory is used.
func TestLostRangeOfEventsIsRestored(t *testing.T) {
	for name, damage := range map[string]func(tx *bolt.Tx) error{
		"damaged": func(tx *bolt.Tx) error { return tx.Bucket(schema.BucketMeta).Put(schema.KeyEvents, []byte("?")) },
		"missing": func(tx *bolt.Tx) error { return tx.Bucket(schema.BucketMeta).Delete(schema.KeyEvents) },
	} {
		for _, whileOpen := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				path, cursors := deliveredStore(t)
				if !whileOpen {
					editDatabase(t, path, damage)
				}
				var o failures
				s := opened(t, Config{Path: path, Policies: eventPolicy, Observer: o.observer()})
				if whileOpen {
					require.NoError(t, s.db.Update(damage))
					_, err := s.Events(t.Context(), "", 1)
					require.ErrorIs(t, err, store.ErrDamaged)
				}
				o.awaitDamage(t, 1)
				end, err := s.EventsEnd(t.Context())
				require.NoError(t, err)
				all, next := eventsAfter(t, s, cursors[1])
				require.Len(t, all, 8)
				require.Equal(t, next, end)
				require.NoError(t, s.Close())
				requireSound(t, path)
			})
		}
	}
}

// Without any row the numbers continue after the cursors of the destinations.
func TestRangeOfAnEmptyLogIsRestoredFromDestinations(t *testing.T) {
	path, _ := deliveredStore(t)
	s := opened(t, Config{Path: path, Policies: eventPolicy})
	end, err := s.EventsEnd(t.Context())
	require.NoError(t, err)
	d := destinationOf(t, s)
	_, err = s.SaveDestination(t.Context(), "app", store.DestinationChange{Epoch: d.Epoch, Cursor: end})
	require.NoError(t, err)
	require.NoError(t, s.TrimEvents(t.Context(), noon.AddDate(1, 0, 0)))
	require.NoError(t, s.Close())
	editDatabase(t, path, func(tx *bolt.Tx) error {
		return tx.Bucket(schema.BucketMeta).Put(schema.KeyEvents, []byte("?"))
	})
	s = opened(t, Config{Path: path, Policies: eventPolicy})
	all, next := eventsAfter(t, s, end)
	require.Empty(t, all)
	require.Equal(t, end, next)
	require.NoError(t, s.Close())
}

// A destination whose row is lost gets all events again, and keeps its dead ones.
func TestLostDestinationBeginsAgain(t *testing.T) {
	for name, damage := range map[string]func(tx *bolt.Tx) error{
		"damaged": func(tx *bolt.Tx) error {
			_, err := scrambleIn(tx, schema.BucketDestinations, func(int) bool { return true })
			return err
		},
		"missing": func(tx *bolt.Tx) error { return tx.Bucket(schema.BucketDestinations).Delete([]byte("app")) },
	} {
		t.Run(name, func(t *testing.T) {
			path, _ := deliveredStore(t)
			editDatabase(t, path, damage)
			var o failures
			s := opened(t, Config{Path: path, Policies: eventPolicy, Observer: o.observer()})
			require.Len(t, o.damage(), 1)
			require.Contains(t, o.damage()[0], isRestarted)
			d := destinationOf(t, s)
			require.Equal(t, store.Destination{Name: "app", Epoch: d.Epoch, LastID: 3, Dead: 3}, d)
			_, err := s.SaveDestination(t.Context(), "app", store.DestinationChange{Epoch: 1})
			require.ErrorIs(t, err, store.ErrConflict)
			require.NoError(t, s.Close())
			requireSound(t, path)
		})
	}
}

func TestDamagedDeferredEventIsSetAside(t *testing.T) {
	path, _ := deliveredStore(t)
	var o failures
	s := opened(t, Config{Path: path, Policies: eventPolicy, Observer: o.observer()})
	require.NoError(t, s.db.Update(func(tx *bolt.Tx) error {
		_, err := scrambleIn(tx, schema.BucketDeferred, func(i int) bool { return i == 1 })
		return err
	}))
	_, err := s.DeferredEvents(t.Context(), "app", true, store.Paging{})
	require.ErrorIs(t, err, store.ErrDamaged)
	o.awaitDamage(t, 1)
	page, err := s.DeferredEvents(t.Context(), "app", true, store.Paging{})
	require.NoError(t, err)
	require.Len(t, page.Items, 2)
	require.Equal(t, 2, destinationOf(t, s).Dead)
	require.NoError(t, s.Close())

	editDatabase(t, path, func(tx *bolt.Tx) error {
		key, _ := tx.Bucket(schema.BucketDeferred).Cursor().First()
		return tx.Bucket(schema.BucketDeferred).Delete(key)
	})
	s = opened(t, Config{Path: path, Policies: eventPolicy, Observer: o.observer()})
	require.Equal(t, 1, destinationOf(t, s).Dead)
	require.Contains(t, o.damage()[1], isRecounted)
	require.NoError(t, s.Close())
	requireSound(t, path)
}

// A row with a damaged key is mended only by a start. Until then it is skipped.
func TestEventsUnderADamagedKeyAreSkippedUntilTheStart(t *testing.T) {
	path, _ := deliveredStore(t)
	var o failures
	s := opened(t, Config{Path: path, Policies: eventPolicy, Observer: o.observer()})
	require.NoError(t, s.db.Update(func(tx *bolt.Tx) error {
		events := tx.Bucket(schema.BucketEvents)
		row := bytes.Clone(events.Get(schema.EventKey(5)))
		require.NoError(t, events.Delete(schema.EventKey(5)))
		return events.Put(schema.EventKey(5|1<<40), row)
	}))
	_, err := s.Events(t.Context(), "", 1000)
	require.ErrorIs(t, err, store.ErrDamaged)
	o.awaitDamage(t, 1)
	all, _ := eventsAfter(t, s, "")
	require.Len(t, all, 8)
	require.Len(t, o.damage(), 1)
	require.Contains(t, o.damage()[0], isMisplaced)
	require.NoError(t, s.Close())

	s = opened(t, Config{Path: copied(t, path), Policies: eventPolicy, Observer: o.observer(), verify: -1})
	_, err = s.Events(t.Context(), "", 1000)
	require.ErrorIs(t, err, store.ErrDamaged)
	require.Eventually(t, func() bool {
		_, _, err := s.DeleteOlder(t.Context(), noon.AddDate(0, 0, 1), 10)
		return err == nil
	}, time.Minute, time.Millisecond, "retention goes on")
	require.NoError(t, s.db.View(func(tx *bolt.Tx) error {
		require.Equal(t, 1, tx.Bucket(schema.BucketEvents).Stats().KeyN)
		return nil
	}))
	require.NoError(t, s.Close())

	s = opened(t, Config{Path: path, Policies: eventPolicy, Observer: o.observer()})
	all, _ = eventsAfter(t, s, "")
	require.Len(t, all, 10)
	require.NoError(t, s.Close())
}
