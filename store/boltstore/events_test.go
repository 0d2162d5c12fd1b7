package boltstore

import (
	"bytes"
	"fmt"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/backlog"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
	"github.com/dlrloop/dlrloop/store/copying"
)

func eventPolicy(string) store.Policy { return store.Policy{Events: true, KeepCallbacks: true} }

// eventsAfter returns all events after the cursor and the last cursor.
func eventsAfter(t *testing.T, s *Store, cursor string) (all []store.Event, next string) {
	t.Helper()
	_, err := s.Stats(t.Context()) // waits for the fold
	require.NoError(t, err)
	for {
		page, err := s.Events(t.Context(), cursor, 1000)
		require.NoError(t, err)
		if cursor = page.Next; len(page.Events) == 0 {
			return all, cursor
		}
		all = append(all, page.Events...)
	}
}

// eventRows returns the rows of the event log.
func eventRows(t *testing.T, s *Store) (rows []schema.EventRow) {
	t.Helper()
	require.NoError(t, s.db.View(func(tx *bolt.Tx) error {
		return tx.Bucket(schema.BucketEvents).ForEach(func(key, row []byte) error {
			r, err := schema.OpenEvents(bytes.Clone(key), bytes.Clone(row))
			rows = append(rows, r)
			return err
		})
	}))
	return rows
}

// recordAll records the arrivals and waits until they are folded.
func recordAll(t *testing.T, s *Store, arrivals ...store.Arrival) {
	t.Helper()
	for _, a := range arrivals {
		require.NoError(t, s.Record(t.Context(), a))
	}
	_, err := s.Stats(t.Context())
	require.NoError(t, err)
}

// inOneStep records the arrivals in s while the fold is blocked, and returns a store that was opened after a crash at
// that moment: its first fold step applies all of them.
func inOneStep(t *testing.T, s *Store, arrivals ...store.Arrival) *Store {
	t.Helper()
	s.writing.Lock()
	defer s.writing.Unlock()
	for _, a := range arrivals {
		require.NoError(t, s.Record(t.Context(), a))
	}
	return opened(t, Config{Path: copied(t, s.config.Path), Policies: s.config.Policies, Segment: s.config.Segment})
}

// inSteps records events in n rows of the log, one per fold step, and returns the cursor before each.
func inSteps(t *testing.T, s *Store, n int) (cursors []string) {
	t.Helper()
	for i := range n {
		end, err := s.EventsEnd(t.Context())
		require.NoError(t, err)
		cursors = append(cursors, end)
		a := delivered(fmt.Sprint("batch ", i), "447700900001")
		a.At = noon.Add(time.Duration(i) * time.Minute)
		recordAll(t, s, a)
	}
	return cursors
}

func TestSignatureSurvivesACrashBeforeTheFold(t *testing.T) {
	s := opened(t, Config{Path: t.TempDir(), Policies: eventPolicy})
	a := delivered("batch", "447700900001")
	a.Signature = &store.Signature{Algorithm: "HmacSHA256", Nonce: "n", Timestamp: "1772359200", Value: "c2ln"}
	all, _ := eventsAfter(t, inOneStep(t, s, a), "")
	require.NotEmpty(t, all)
	require.Equal(t, store.ReportReceived, all[0].Type)
	require.Equal(t, a.Signature, all[0].Signature)
	require.Equal(t, a.Entry.RawBytes(), all[0].Raw)
}

func TestStepIsDividedIntoRowsOfEvents(t *testing.T) {
	s := opened(t, Config{Path: t.TempDir(), Policies: eventPolicy, QuarantineBytes: 1 << 30})
	quarantined := func(size int) store.Arrival {
		raw := bytes.Repeat([]byte("x"), size)
		return store.Arrival{Plan: "plan", At: noon, Entry: store.Quarantined{Reason: dlr.NotJSON, Raw: raw}}
	}
	var arrivals []store.Arrival
	for i := range 1100 {
		arrivals = append(arrivals, delivered(fmt.Sprint(i%100), fmt.Sprint(447700900000+i)))
	}
	arrivals = append(arrivals, quarantined(200<<10), quarantined(100<<10), quarantined(600<<10), quarantined(10))
	s = inOneStep(t, s, arrivals...)
	all, _ := eventsAfter(t, s, "")
	require.Len(t, all, 2*1100+4) // each report and its status
	next := uint64(1)
	for _, r := range eventRows(t, s) {
		require.Equal(t, next, r.First)
		next = r.End()
		events, err := r.Events(s.decoder)
		require.NoError(t, err)
		size := 0
		for i := range events {
			size += schema.EventBytes(&events[i])
		}
		require.True(t, len(events) == 1 || size <= schema.MaxEventBytes, "row of %d events, %d bytes", len(events), size)
	}
	require.Equal(t, uint64(len(all)+1), next)
	require.Less(t, len(eventRows(t, s)), 20)
	require.NoError(t, s.Close())
}

func TestPageOfEventsEndsAfterSomeMegabytes(t *testing.T) {
	s := opened(t, Config{Path: t.TempDir(), Policies: eventPolicy, Segment: 4 << 20})
	for i := range 4 {
		raw := bytes.Repeat([]byte{byte('a' + i)}, 3<<20)
		a := store.Arrival{Plan: "plan", At: noon, Entry: store.Quarantined{Reason: dlr.NotJSON, Raw: raw}}
		require.NoError(t, s.Record(t.Context(), a))
	}
	_, err := s.Stats(t.Context())
	require.NoError(t, err)
	page, err := s.Events(t.Context(), "", 100)
	require.NoError(t, err)
	require.Len(t, page.Events, 2)
	all, _ := eventsAfter(t, s, "")
	require.Len(t, all, 4)
}

// The fold sorts batches by their numbers. Events of different batches are sorted by time, and those of one batch stay
// in order even if their times do not rise.
func TestEventsOfAStepAreSortedByTime(t *testing.T) {
	s := opened(t, Config{Path: t.TempDir(), Policies: func(string) store.Policy { return store.Policy{Events: true} }})
	report := func(second int, batch, status string) store.Arrival {
		raw := fmt.Sprintf(`{"type":"recipient_delivery_report_sms","batch_id":%q,"recipient":"447700900001",`+
			`"code":0,"status":%q,"at":"2026-08-30T08:16:%02dZ"}`, batch, status, second)
		return store.Arrival{Plan: "plan", At: noon.Add(time.Duration(second) * time.Second), Entry: parsed(t, []byte(raw))}
	}
	recordAll(t, s, report(0, "a", "Queued"), report(0, "b", "Queued"))
	_, cursor := eventsAfter(t, s, "")
	s = inOneStep(t, s, report(9, "a", "Dispatched"), report(2, "b", "Dispatched"), report(8, "a", "Delivered"),
		report(10, "b", "Delivered"))
	all, _ := eventsAfter(t, s, cursor)
	var order []string
	for _, e := range all {
		order = append(order, e.BatchID+" "+string(e.State.Status))
	}
	require.Equal(t, []string{"b Dispatched", "a Dispatched", "a Delivered", "b Delivered"}, order)
}

func TestWithoutThePolicyNoEventsAreStored(t *testing.T) {
	s := opened(t, Config{Path: twoBatches(t)})
	require.NoError(t, s.db.View(func(tx *bolt.Tx) error {
		for _, name := range [][]byte{schema.BucketEvents, schema.BucketDestinations, schema.BucketDeferred} {
			key, _ := tx.Bucket(name).Cursor().First()
			require.Nil(t, key)
		}
		require.Nil(t, tx.Bucket(schema.BucketMeta).Get(schema.KeyEvents))
		return nil
	}))
}

// TestEventsAreTrimmedInBoundedSteps lets each transaction delete three rows at most.
func TestEventsAreTrimmedInBoundedSteps(t *testing.T) {
	s := opened(t, Config{Path: t.TempDir(), Policies: eventPolicy})
	cursors := inSteps(t, s, 10)
	all, _ := eventsAfter(t, s, "")
	_, limit, err := decodeEventCursor(cursors[8])
	require.NoError(t, err)
	for left := len(eventRows(t, s)); ; {
		ended := false
		require.NoError(t, s.write(func(c *writeTx) error {
			room := 3
			ended, err = c.trimEvents(noon.Add(time.Hour), limit, &room)
			return err
		}))
		now := len(eventRows(t, s))
		require.LessOrEqual(t, left-now, 3)
		left = now
		kept, _ := eventsAfter(t, s, "")
		require.Equal(t, all[len(all)-len(kept):], kept, "the newest events are kept")
		if ended {
			break
		}
	}
	kept, next := eventsAfter(t, s, cursors[8])
	require.Len(t, kept, 4)
	_, err = s.Events(t.Context(), cursors[7], 1)
	_, gone := err.(*store.CursorGoneError) //nolint:errorlint // the error itself is documented
	require.True(t, gone)

	require.NoError(t, s.TrimEvents(t.Context(), noon.Add(time.Hour)))
	require.Empty(t, eventRows(t, s))
	backlog, err := s.EventBacklog(t.Context(), "")
	require.NoError(t, err)
	require.Zero(t, backlog)
	inSteps(t, s, 11)
	kept, _ = eventsAfter(t, s, next)
	require.Len(t, kept, 2, "numbers continue after all rows are deleted; ten reports are repeats")
}

// A part of a row can be trimmed.
func TestEventsAreTrimmedInsideARow(t *testing.T) {
	s := opened(t, Config{Path: filepath.Join(t.TempDir(), "store"), Policies: eventPolicy})
	var arrivals []store.Arrival
	for i := range 10 {
		a := delivered(fmt.Sprint("batch ", i), "447700900001")
		a.At = noon.Add(time.Duration(i) * time.Minute)
		arrivals = append(arrivals, a)
	}
	s = inOneStep(t, s, arrivals...)
	require.Len(t, eventRows(t, s), 1)
	page, err := s.Events(t.Context(), "", 11)
	require.NoError(t, err)
	_, err = s.SaveDestination(t.Context(), "app", store.DestinationChange{Cursor: page.Next})
	require.NoError(t, err)
	require.NoError(t, s.Close())
	for minute, left := range map[time.Duration]int{3: 14, 9: 9} {
		copied := copied(t, s.config.Path)
		s := opened(t, Config{Path: copied, Policies: eventPolicy})
		require.NoError(t, s.TrimEvents(t.Context(), noon.Add(minute*time.Minute)))
		for range 2 {
			all, _ := eventsAfter(t, s, "")
			require.Len(t, all, left)
			b, err := s.EventBacklog(t.Context(), "")
			require.NoError(t, err)
			require.Equal(t, store.EventBacklog{Events: left, Oldest: all[0].At}, b)
			require.NoError(t, s.Close())
			s = opened(t, Config{Path: copied, Policies: eventPolicy})
		}
	}
}

// A change of a destination must not wait until a large fold step has slept enough.
func TestSleepingStepDelaysNoDestination(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const work = 100 * time.Millisecond
		first := true
		s := opened(t, Config{Path: t.TempDir(), Policies: func(string) store.Policy {
			if first {
				first = false
				time.Sleep(work) // so that the yielder wants to sleep for three times as long
			}
			return store.Policy{}
		}})
		require.NoError(t, s.Record(t.Context(), fullReport(t, "large", 2*backlog.BusyStep)))
		time.Sleep(work + work/2)
		require.False(t, s.writing.TryLock(), "the step is over")
		s.urgent.Add(1) // as SaveDestination does; the bubble's clock would stand still while that waits for the mutex
		time.Sleep(yieldSlice)
		synctest.Wait()
		require.True(t, s.writing.TryLock(), "the step still sleeps")
		s.writing.Unlock()
	})
}

func TestDatabaseOfFormat4GetsEvents(t *testing.T) {
	path := twoBatches(t)
	editDatabase(t, path, func(tx *bolt.Tx) error {
		for _, name := range [][]byte{schema.BucketEvents, schema.BucketDestinations, schema.BucketDeferred} {
			require.NoError(t, tx.DeleteBucket(name))
		}
		return tx.Bucket(schema.BucketMeta).Put(schema.KeyFormat, []byte{0, 0, 0, 0, 0, 0, 0, 4})
	})
	s := opened(t, Config{Path: path, Policies: eventPolicy})
	require.NoError(t, s.Record(t.Context(), delivered("good", "447700900003")))
	all, _ := eventsAfter(t, s, "")
	require.Len(t, all, 2)
	require.NoError(t, s.Close())
	require.EqualValues(t, format, formatOf(t, path))
}

func TestStoreWithUndeliveredEventsIsNotCopied(t *testing.T) {
	path := t.TempDir()
	s := opened(t, Config{Path: path, Policies: eventPolicy})
	cursors := inSteps(t, s, 2)
	end, err := s.EventsEnd(t.Context())
	require.NoError(t, err)
	event := store.DeferredEvent{ID: 1, Event: store.Event{Type: store.InboundReceived}}
	dead := event
	dead.Dead = true
	require.NoError(t, s.Close())
	for want, change := range map[string]store.DestinationChange{
		"":                                    {Cursor: end},
		"app (2 waiting, 0 deferred, 0 dead)": {Cursor: cursors[1]},
		"app (0 waiting, 1 deferred, 0 dead)": {Cursor: end, Put: []store.DeferredEvent{event}},
		"app (0 waiting, 0 deferred, 1 dead)": {Cursor: end, Put: []store.DeferredEvent{dead}},
	} {
		copied := copied(t, path)
		s := opened(t, Config{Path: copied, Policies: eventPolicy})
		_, err := s.SaveDestination(t.Context(), "app", change)
		require.NoError(t, err)
		require.NoError(t, s.Close())
		source, err := OpenSource(t.Context(), Config{Path: copied})
		if want == "" {
			require.NoError(t, err)
			require.NoError(t, source.Close())
			continue
		}
		require.ErrorIs(t, err, copying.ErrWaiting)
		require.ErrorContains(t, err, want)
		require.NoError(t, opened(t, Config{Path: copied}).Close(), "the refused source is closed")
	}
}
