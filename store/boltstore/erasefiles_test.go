package boltstore

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
)

// erasedNumber is the number that the tests of Erase erase.
const erasedNumber = "447700900001"

// keepAll is a policy with all kinds of events.
func keepAll(string) store.Policy {
	return store.Policy{Events: true, KeepCallbacks: true}
}

// said returns an arrival at the given time that names the number in some way, which i selects.
func said(t *testing.T, at time.Time, i int, number string) store.Arrival {
	t.Helper()
	id := fmt.Sprint("batch ", i)
	spelled := []string{number, "+" + number, "00" + number, "+" + number[:2] + " " + number[2:]}[i/8%4]
	a := store.Arrival{Plan: "plan", At: at}
	switch i % 8 {
	case 0:
		a.Entry = store.Quarantined{Reason: dlr.NotJSON, Raw: []byte("?" + spelled)}
	case 1:
		a.Entry = inboundText(t, id, spelled)
	case 2:
		a.Entry = parsed(t, fmt.Appendf(nil, `{"type":"delivery_report_sms","batch_id":%q,"total_message_count":3,`+
			`"client_reference":"order of %s","statuses":[{"code":402,"status":"Failed","count":3,`+
			`"recipients":["447700900502",%q,"447700900501"]}]}`, id, number, spelled))
	case 3:
		a.Entry = store.Confirmation{BatchID: id, Recipients: []string{spelled}}
	default:
		a.Entry = delivered(id, spelled).Entry
	}
	return a
}

// spokenOf returns an open store with everything that can name the numbers, so much that pages of the database were
// freed and segments of the journal were used again.
func spokenOf(t *testing.T, c Config, numbers ...string) *Store {
	t.Helper()
	ctx := t.Context()
	c.Policies, c.QuarantineEntries = keepAll, 100
	s := opened(t, c)
	old := noon.AddDate(0, -1, 0)
	for i := range 1500 {
		at := noon.Add(time.Duration(i) * time.Minute)
		if i%3 == 0 {
			at = old.Add(time.Duration(i) * time.Minute)
		}
		for _, number := range append(numbers, fmt.Sprint(447701000000+i)) {
			require.NoError(t, s.Record(ctx, said(t, at, i, number)))
		}
		if i%50 == 0 {
			_, err := s.Stats(ctx)
			require.NoError(t, err)
		}
	}
	for _, number := range numbers {
		claims, err := s.Claim(ctx, "plan", noon.AddDate(0, 0, 9), time.Hour, 20)
		require.NoError(t, err)
		for i, claim := range claims {
			require.NoError(t, s.Settle(ctx, "plan", noon.AddDate(0, 0, 9), store.Settlement{
				BatchID: claim.Key.BatchID, Lease: claim.Lease, Recipients: claim.Recipients,
				Reason: store.ReasonRejected, Detail: "400 no such number: " + number,
				Outcome: []store.Outcome{store.OutcomeAccepted, store.OutcomeDead}[i%2],
			}))
		}
	}
	page, err := s.Events(ctx, "", 200)
	require.NoError(t, err)
	var deferred []store.DeferredEvent
	for i, e := range page.Events {
		deferred = append(deferred, store.DeferredEvent{ID: int64(i + 1), Event: e, Since: noon, Dead: i%2 == 0})
	}
	_, err = s.SaveDestination(ctx, "app", store.DestinationChange{Cursor: page.Next, Put: deferred})
	require.NoError(t, err)
	return s
}

// retire deletes old batches and sets damaged rows aside, so that much of what the files have of the number is in no
// row any more.
func retire(t *testing.T, s *Store) {
	t.Helper()
	for more := true; more; {
		var err error
		_, more, err = s.DeleteOlder(t.Context(), noon, 100)
		require.NoError(t, err)
	}
	require.NoError(t, s.update(func(c *writeTx) error {
		for _, name := range [][]byte{schema.BucketRecipients, schema.BucketQuarantine, schema.BucketLog} {
			key, row := c.tx.Bucket(name).Cursor().First()
			if err := c.setAside(name, key, row); err != nil {
				return err
			}
		}
		return nil
	}))
}

// traces returns what shows in a file that it has something about the number: its spellings, and the compressed rows
// that contain it.
func traces(t *testing.T, s *Store, number string) (all [][]byte) {
	t.Helper()
	for _, text := range []string{number, number[2:]} {
		all = append(all, []byte(text))
	}
	require.NoError(t, s.db.View(func(tx *bolt.Tx) error {
		for _, name := range [][]byte{schema.BucketLog, schema.BucketEvents} {
			if err := tx.Bucket(name).ForEach(func(key, row []byte) error {
				named := false
				if bytes.Equal(name, schema.BucketLog) {
					reports, err := schema.Unpack(s.decoder, key, row)
					require.NoError(t, err)
					for _, r := range reports {
						named = named || bytes.Contains(r.Raw, []byte(number[2:]))
					}
				} else {
					r, err := schema.OpenEvents(key, row)
					require.NoError(t, err)
					events, err := r.Events(s.decoder)
					require.NoError(t, err)
					for _, e := range events {
						text := fmt.Sprintf("%s %v %v", e.Raw, e.Number, e.Recipients) + e.ClientReference + e.Detail
						named = named || strings.Contains(text, number[2:])
					}
				}
				if named {
					all = append(all, bytes.Clone(row[:min(len(row), 40)]))
				}
				return nil
			}); err != nil {
				return err
			}
		}
		return nil
	}))
	return all
}

// countTraces returns how many of the traces each file of the folder contains.
func countTraces(t *testing.T, path string, traces [][]byte) map[string]int {
	t.Helper()
	found := make(map[string]int)
	files, err := filepath.Glob(filepath.Join(path, "*"))
	require.NoError(t, err)
	inJournal, err := filepath.Glob(filepath.Join(path, "journal", "*"))
	require.NoError(t, err)
	for _, file := range append(files, inJournal...) {
		content, err := os.ReadFile(file)
		if err != nil {
			continue // a directory
		}
		for _, trace := range traces {
			if bytes.Contains(content, trace) {
				found[filepath.Base(file)]++
			}
		}
	}
	return found
}

func TestEraseLeavesNoTraceInTheFiles(t *testing.T) {
	path, bob := filepath.Join(t.TempDir(), "store"), "447700900002"
	s := spokenOf(t, Config{Path: path, Segment: 64 << 10, JournalLimit: 512 << 10}, erasedNumber, bob)
	all, others := traces(t, s, erasedNumber), traces(t, s, bob)[:2]
	retire(t, s)
	before := countTraces(t, path, all)
	require.Greater(t, before["dlrloop.db"], 500, "the number is in the rows")
	require.Greater(t, len(before), 2, "and in several segments of the journal: %v", before)
	size := s.Gauges().SizeBytes

	begun := time.Now()
	done, err := s.Erase(t.Context(), erasedNumber)
	require.NoError(t, err)
	t.Logf("%s %+v, %d traces", time.Since(begun), done, len(all))
	require.Positive(t, done.Recipients*done.Reports*done.InboundMessages*done.Quarantined*done.Events)
	require.Empty(t, countTraces(t, path, all))
	require.NotEmpty(t, countTraces(t, path, others))
	require.Less(t, s.Gauges().SizeBytes, size+2<<20)

	done, err = s.Erase(t.Context(), erasedNumber)
	require.NoError(t, err)
	require.Zero(t, done)
	require.NoError(t, s.Close())
	s = opened(t, Config{Path: path, Policies: keepAll})
	_, err = readAll(t, s)
	require.NoError(t, err)
	require.Empty(t, countTraces(t, path, all))
}
