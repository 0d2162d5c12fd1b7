package boltstore

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
)

// flips is how many single bits are flipped in turn in the whole database. Half as many are flipped in rows. With
// DLRLOOP_LONG both are 500.
const flips = 50

// variedStore returns the directory of a closed store with rows in every bucket.
func variedStore(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "store")
	s := opened(t, Config{Path: path, Policies: testPolicy})
	record := func(at time.Time, entries ...store.Entry) {
		for _, n := range entries {
			require.NoError(t, s.Record(t.Context(), store.Arrival{Plan: "plan", At: at, Entry: n}))
		}
	}
	for i := range 60 {
		id, at := fmt.Sprintf("batch %d", i), noon.Add(time.Duration(i)*time.Minute)
		if i%3 != 0 {
			record(at, store.BatchInfo{
				BatchID: id, FeedbackEnabled: i%2 == 0, ReportKind: "per_recipient", Recipients: 10, CreatedAt: at,
				ClientReference: id,
				Numbers:         []string{"447700900001", fmt.Sprintf("44770090%04d", i)},
			})
		}
		for k := range 1 + i%9 {
			record(at, delivered(id, fmt.Sprintf("44770090%04d", 100*(i%7)+k)).Entry)
		}
		if i%4 == 0 {
			record(at, parsed(t, fmt.Appendf(nil, `{"type":"delivery_report_sms","batch_id":%q,`+
				`"total_message_count":5,"statuses":[{"code":402,"status":"Failed","count":3,`+
				`"recipients":["447700900501","447700900502"]}]}`, id)))
		}
		if i%10 == 0 {
			record(at, store.Quarantined{Reason: dlr.NotJSON, Raw: []byte(id)})
			record(at, inboundText(t, id, fmt.Sprintf("44770090%04d", i)))
			_, err := s.Stats(t.Context()) // waits for the fold
			require.NoError(t, err)
		}
	}
	claims, err := s.Claim(t.Context(), "plan", noon.Add(time.Hour), time.Minute, 10)
	require.NoError(t, err)
	for i, c := range claims {
		record(noon.Add(time.Hour), store.Settlement{
			BatchID: c.Key.BatchID, Lease: c.Lease, Recipients: c.Recipients,
			Reason: store.ReasonRejected, Detail: "no",
			Outcome: []store.Outcome{store.OutcomeAccepted, store.OutcomeDead}[i%2],
		})
	}
	page, err := s.Events(t.Context(), "", 5)
	require.NoError(t, err)
	var deferred []store.DeferredEvent
	for i := range int64(20) {
		deferred = append(deferred, store.DeferredEvent{ID: i + 1, Event: page.Events[0], Since: noon, Dead: i%2 == 0})
	}
	for _, name := range []string{"one", "two"} {
		_, err = s.SaveDestination(t.Context(), name, store.DestinationChange{Cursor: page.Next, Put: deferred})
		require.NoError(t, err)
	}
	require.NoError(t, s.Close())
	return path
}

// inboundText returns an inbound message from a phone.
func inboundText(t *testing.T, id, from string) store.Inbound {
	t.Helper()
	raw := fmt.Appendf(nil, `{"type":"mo_text","id":%q,"from":%q,"to":"54321","body":"STOP"}`, id, from)
	c, err := dlr.Parse(raw)
	require.NoError(t, err)
	return store.Inbound{Inbound: c.Inbound, Raw: raw}
}

// readAll returns the results of all reads of a store, and their joined errors.
func readAll(t *testing.T, s *Store) (all []any, err error) {
	t.Helper()
	ctx := t.Context()
	keep := func(v any, e error) {
		all, err = append(all, v), errors.Join(err, e)
	}
	numbers := map[string]bool{"447700900001": true}
	cursor := ""
	for {
		page, e := s.Batches(ctx, store.BatchQuery{Paging: store.Paging{Cursor: cursor}})
		keep(page, e)
		for _, b := range page.Items {
			one, e := s.Batch(ctx, b.Key())
			keep(one, e)
			recipients, e := s.Recipients(ctx, b.Key(), store.RecipientQuery{})
			keep(recipients, e)
			for _, r := range recipients.Items {
				numbers[dlr.Digits(r.Number)] = true
				one, e := s.Recipient(ctx, b.Key(), r.Number)
				keep(one, e)
			}
			reports, e := s.Reports(ctx, b.Key(), store.Paging{})
			keep(reports, e)
		}
		if cursor = page.Next; cursor == "" || e != nil {
			break
		}
	}
	for i := range 60 {
		one, e := s.Batch(ctx, store.BatchKey{Plan: "plan", BatchID: fmt.Sprintf("batch %d", i)})
		if errors.Is(e, store.ErrNotFound) {
			e = nil
		}
		keep(one, e)
	}
	for k := range 700 {
		page, e := s.RecipientBatches(ctx, fmt.Sprintf("44770090%04d", k), store.Paging{})
		keep(page, e)
	}
	for _, dead := range []bool{false, true} {
		page, e := s.Tasks(ctx, store.TaskQuery{Dead: dead})
		keep(page, e)
	}
	missing, e := s.MissingReports(ctx, "plan", noon.AddDate(0, 0, 1), 1000)
	keep(missing, e)
	quarantine, e := s.Quarantine(ctx, store.Paging{})
	keep(quarantine, e)
	inbound, e := s.InboundMessages(ctx, store.InboundQuery{})
	keep(inbound, e)
	for i := range 60 {
		of, e := s.InboundMessages(ctx, store.InboundQuery{Number: fmt.Sprintf("44770090%04d", i)})
		keep(of, e)
	}
	stats, e := s.Stats(ctx)
	keep(stats, e)
	minutes, e := s.Timeseries(ctx, "", noon.AddDate(0, 0, -1), noon.AddDate(0, 0, 2))
	keep(minutes, e)
	readEvents(t, s, keep)
	return all, err
}

// readEvents passes the results of all reads of events and destinations to keep.
func readEvents(t *testing.T, s *Store, keep func(v any, err error)) {
	t.Helper()
	end, err := s.EventsEnd(t.Context())
	keep(end, err)
	for cursor := ""; ; {
		page, err := s.Events(t.Context(), cursor, 100)
		keep(page.Events, err)
		if len(page.Events) == 0 {
			break
		}
		cursor = page.Next
	}
	backlog, err := s.EventBacklog(t.Context(), "")
	keep(backlog, err)
	destinations, err := s.Destinations(t.Context())
	keep(destinations, err)
	for _, name := range []string{"one", "two"} {
		for _, dead := range []bool{false, true} {
			page, err := s.DeferredEvents(t.Context(), name, dead, store.Paging{})
			if errors.Is(err, store.ErrNotFound) {
				err = nil
			}
			keep(page, err)
		}
	}
}

// The test flips one bit of the database at a time. Then Open fails, a read fails, damage is reported, or every answer
// is unchanged.
func TestNoFlippedBitChangesAnAnswerSilently(t *testing.T) {
	skipIfShort(t)
	path := variedStore(t)
	s := opened(t, Config{Path: path, Policies: testPolicy})
	all, err := readAll(t, s)
	require.NoError(t, err)
	want, err := json.Marshal(all)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	file := filepath.Join(path, "dlrloop.db")
	whole, err := os.ReadFile(file)
	require.NoError(t, err)

	random := rand.New(rand.NewPCG(29, 11))
	results := map[string]int{}
	for range flips * long(10) {
		bit := random.IntN(8 * len(whole))
		copied := filepath.Join(t.TempDir(), "store")
		require.NoError(t, os.CopyFS(copied, os.DirFS(path)))
		whole[bit/8] ^= 1 << (bit % 8)
		require.NoError(t, os.WriteFile(filepath.Join(copied, "dlrloop.db"), whole, 0o600))
		whole[bit/8] ^= 1 << (bit % 8)
		result := answersAfterFlip(t, copied, want)
		if result == "silent" {
			t.Logf("bit %d: page %d byte %d", bit, bit/8/os.Getpagesize(), bit/8%os.Getpagesize())
		}
		results[result]++
		require.NoError(t, os.RemoveAll(copied))
	}
	t.Logf("%v", results)
	require.Zero(t, results["silent"])
}

// The test flips one bit at a time in the key or the content of a row. Open corrects it, and every answer is
// unchanged.
func TestFlippedBitInARowIsCorrectedByOpen(t *testing.T) {
	skipIfShort(t)
	path := variedStore(t)
	s := opened(t, Config{Path: path, Policies: testPolicy})
	all, err := readAll(t, s)
	require.NoError(t, err)
	want, err := json.Marshal(all)
	require.NoError(t, err)
	var places [][2]int // first and last byte in the file, for each key and row
	require.NoError(t, s.db.View(func(tx *bolt.Tx) error {
		for _, name := range sealedBuckets {
			err := tx.Bucket(name).ForEach(func(key, row []byte) error {
				if row[0] == schema.SealMark {
					for _, b := range [][]byte{key, row} {
						first := int(uintptr(unsafe.Pointer(unsafe.SliceData(b))) - s.db.Info().Data)
						if first > 0 && first < int(tx.Size()) { // bbolt copies small buckets
							places = append(places, [2]int{first, first + len(b) - 1})
						}
					}
				}
				return nil
			})
			require.NoError(t, err)
		}
		return nil
	}))
	require.NoError(t, s.Close())
	file := filepath.Join(path, "dlrloop.db")
	whole, err := os.ReadFile(file)
	require.NoError(t, err)

	random := rand.New(rand.NewPCG(3, 4))
	for range flips / 2 * long(20) {
		place := places[random.IntN(len(places))]
		at, bit := place[0]+random.IntN(place[1]-place[0]+1), random.IntN(8)
		copied := filepath.Join(t.TempDir(), "store")
		require.NoError(t, os.CopyFS(copied, os.DirFS(path)))
		whole[at] ^= 1 << bit
		require.NoError(t, os.WriteFile(filepath.Join(copied, "dlrloop.db"), whole, 0o600))
		whole[at] ^= 1 << bit
		var o failures
		c := Config{Path: copied, Segment: smallSegment, Policies: testPolicy, Observer: o.observer()}
		s, err := Open(t.Context(), c)
		require.NoError(t, err, "byte %d bit %d", at, bit)
		got, err := readAll(t, s)
		require.NoError(t, err, "byte %d bit %d", at, bit)
		answers, err := json.Marshal(got)
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, answers), "byte %d bit %d: %v", at, bit, o.damage())
		require.Len(t, o.damage(), 1, "%v", o.damage())
		require.Contains(t, o.damage()[0], isCorrected)
		require.NoError(t, s.Close())
		requireSound(t, copied)
		require.NoError(t, os.RemoveAll(copied))
	}
}

// answersAfterFlip opens the store and returns what became of the flipped bit: refused, error, reported, silent (an
// answer changed) or same.
func answersAfterFlip(t *testing.T, path string, want []byte) string {
	reported := false
	observer := store.Observer{Failed: func(operation string, _ error) {
		reported = reported || operation == "damage"
	}}
	s, err := Open(t.Context(), Config{Path: path, Segment: smallSegment, Policies: testPolicy, Observer: observer})
	if err != nil {
		return "refused"
	}
	defer s.Close()
	var got []any
	if got, err = readAll(t, s); err != nil {
		return "error"
	}
	if reported {
		return "reported"
	}
	answers, err := json.Marshal(got)
	require.NoError(t, err)
	if !bytes.Equal(want, answers) {
		return "silent"
	}
	return "same"
}
