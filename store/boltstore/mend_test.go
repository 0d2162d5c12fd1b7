package boltstore

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore/internal/schema"
)

// failures collects the calls of Observer.Failed.
type failures struct {
	mu    sync.Mutex
	lines []string
	more  chan struct{} // capacity 1; signals new lines
}

func (o *failures) observer() store.Observer {
	o.more = make(chan struct{}, 1)
	return store.Observer{Failed: func(operation string, err error) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.lines = append(o.lines, operation+": "+err.Error())
		select {
		case o.more <- struct{}{}:
		default:
		}
	}}
}

// damage returns the reports of damage.
func (o *failures) damage() (lines []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, line := range o.lines {
		if strings.HasPrefix(line, "damage: ") {
			lines = append(lines, line)
		}
	}
	return lines
}

// awaitDamage waits until the damage of so many rows is reported.
func (o *failures) awaitDamage(t *testing.T, rows int) {
	t.Helper()
	for len(o.damage()) < rows {
		select {
		case <-o.more:
		case <-t.Context().Done():
			require.NoError(t, t.Context().Err())
		}
	}
}

// copied returns a copy of a store's directory.
func copied(t *testing.T, path string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "store")
	require.NoError(t, os.CopyFS(to, os.DirFS(path)))
	return to
}

// scramble overwrites rows of a bucket with random bytes and returns how many. which selects rows by their index.
func scramble(t *testing.T, path string, bucket []byte, which func(i int) bool) (rows int) {
	t.Helper()
	editDatabase(t, path, func(tx *bolt.Tx) (err error) {
		rows, err = scrambleIn(tx, bucket, which)
		return err
	})
	return rows
}

func scrambleIn(tx *bolt.Tx, bucket []byte, which func(i int) bool) (rows int, err error) {
	random := rand.New(rand.NewPCG(5, 6))
	var keys [][]byte
	i := 0
	err = tx.Bucket(bucket).ForEach(func(key, _ []byte) error {
		if which(i) {
			keys = append(keys, append([]byte(nil), key...))
		}
		i++
		return nil
	})
	for _, key := range keys {
		row := append([]byte(nil), tx.Bucket(bucket).Get(key)...)
		for k := schema.SealSize; k < len(row); k++ {
			row[k] = byte(random.Uint32())
		}
		err = errors.Join(err, tx.Bucket(bucket).Put(key, row))
	}
	return len(keys), err
}

// The rows are overwritten while the store is open.
func TestRowsThatReadsFindDamagedAreMended(t *testing.T) {
	for _, bucket := range [][]byte{schema.BucketBatches, schema.BucketRecipients} {
		t.Run(string(bucket), func(t *testing.T) {
			path := variedStore(t)
			s := opened(t, Config{Path: path, Policies: testPolicy})
			want := states(t, s)
			rows := 0
			require.NoError(t, s.db.Update(func(tx *bolt.Tx) (err error) {
				rows, err = scrambleIn(tx, bucket, func(i int) bool { return i%9 == 4 })
				return err
			}))
			require.Positive(t, rows)
			for failed := true; failed; {
				_, err := readAll(t, s)
				failed = err != nil
			}
			requireMended(t, want, states(t, s))
			require.NoError(t, s.Err())
			require.NoError(t, s.Close())
			requireSound(t, path)
		})
	}
}

// state is the part of a batch that mending must preserve.
type state struct {
	Messages map[string]int
	States   map[dlr.Status]int
	Feedback store.FeedbackCounts
	Numbers  map[string]dlr.Status
	Owed     map[string]bool
}

// states returns the state of every batch, by id.
func states(t *testing.T, s *Store) map[string]state {
	t.Helper()
	all := make(map[string]state)
	cursor := ""
	for {
		page, err := s.Batches(t.Context(), store.BatchQuery{Paging: store.Paging{Cursor: cursor}})
		require.NoError(t, err)
		for _, b := range page.Items {
			k := state{map[string]int{}, b.States, b.Feedback, map[string]dlr.Status{}, map[string]bool{}}
			for _, r := range b.Reported {
				k.Messages[fmt.Sprint(r.Status, r.Code)] = r.Messages()
			}
			for next := ""; ; {
				q := store.RecipientQuery{Paging: store.Paging{Cursor: next, Limit: 1000}}
				rs, err := s.Recipients(t.Context(), b.Key(), q)
				require.NoError(t, err)
				for _, r := range rs.Items {
					held, _ := r.State()
					k.Numbers[dlr.Digits(r.Number)] = held.Status
					if r.Feedback == store.FeedbackOwed {
						k.Owed[dlr.Digits(r.Number)] = true
					}
				}
				if next = rs.Next; next == "" {
					break
				}
			}
			all[b.ID] = k
		}
		if cursor = page.Next; cursor == "" {
			return all
		}
	}
}

// requireMended compares a mended store with an undamaged copy. More feedback may be owed, because Sinch may be told
// twice.
func requireMended(t *testing.T, want, got map[string]state) {
	t.Helper()
	require.Len(t, got, len(want))
	for id, w := range want {
		g := got[id]
		require.Equal(t, w.Numbers, g.Numbers, id)
		require.Len(t, g.States, len(w.States), id)
		require.Equal(t, w.Messages, g.Messages, id)
		for number := range w.Owed {
			require.True(t, g.Owed[number], "batch %s: feedback for %s is not owed", id, number)
		}
		sum := func(c store.FeedbackCounts) int { return c.Owed + c.Sent + c.Dead }
		require.Equal(t, sum(w.Feedback), sum(g.Feedback), id)
	}
}

// requireSound requires that Open finds no damage and no unfinished mend.
func requireSound(t *testing.T, path string) {
	t.Helper()
	var o failures
	s := opened(t, Config{Path: path, Policies: testPolicy, Observer: o.observer()})
	require.Empty(t, o.damage())
	require.NoError(t, s.Close())
	editDatabase(t, path, func(tx *bolt.Tx) error {
		if mending := tx.Bucket(schema.BucketMending); mending != nil {
			key, _ := mending.Cursor().First()
			require.Nil(t, key)
		}
		return nil
	})
}

// Open rebuilds overwritten rows from the reports of their batches.
func TestOpenMendsOverwrittenRows(t *testing.T) {
	whole := variedStore(t)
	s := opened(t, Config{Path: whole, Policies: testPolicy})
	want := states(t, s)
	stats, err := s.Stats(t.Context())
	require.NoError(t, err)
	require.NoError(t, s.Close())
	for _, c := range []struct {
		bucket []byte
		which  func(int) bool
	}{
		{schema.BucketRecipients, func(i int) bool { return i%7 == 3 }},
		{schema.BucketRecipients, func(int) bool { return true }},
		{schema.BucketBatches, func(i int) bool { return i%5 == 0 }},
		{schema.BucketBatches, func(int) bool { return true }},
		{schema.BucketMinutes, func(i int) bool { return i == 2 }},
		{schema.BucketQuarantine, func(i int) bool { return i == 0 }},
	} {
		t.Run(string(c.bucket), func(t *testing.T) {
			path := copied(t, whole)
			rows := scramble(t, path, c.bucket, c.which)
			var o failures
			s := opened(t, Config{Path: path, Policies: testPolicy, Observer: o.observer()})
			damage := strings.Join(o.damage(), "\n")
			require.Len(t, o.damage(), rows, damage)
			requireMended(t, want, states(t, s))
			after, err := s.Stats(t.Context())
			require.NoError(t, err)
			require.Equal(t, stats[0].Messages, after[0].Messages)
			require.Equal(t, stats[0].Recipients, after[0].Recipients)
			var sum store.Tally
			page, err := s.Batches(t.Context(), store.BatchQuery{Paging: store.Paging{Limit: 1000}})
			require.NoError(t, err)
			for _, b := range page.Items {
				sum.Add(b.Tally())
			}
			require.Equal(t, sum, after[0].Feedback, "totals equal the sum over the batches")
			require.NoError(t, s.Close())
			requireSound(t, path)
		})
	}
}

// The fold mends a damaged batch before it folds a report for it: while the store runs, and in Open with and without
// verification.
func TestReportForADamagedBatchMendsIt(t *testing.T) {
	for _, bucket := range [][]byte{schema.BucketBatches, schema.BucketRecipients} {
		for _, verified := range []int64{0, -1} {
			for _, atStart := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, verified %d, at start %v", bucket, verified, atStart), func(t *testing.T) {
					var o failures
					path := twoBatches(t)
					c := Config{Path: path, Observer: o.observer(), verify: verified}
					s := opened(t, c)
					if atStart {
						before := copied(t, path)
						require.NoError(t, s.Record(t.Context(), delivered("bad", "447700900009")))
						require.NoError(t, s.Close())
						folded, err := os.ReadFile(filepath.Join(before, "dlrloop.db"))
						require.NoError(t, err)
						require.NoError(t, os.WriteFile(filepath.Join(path, "dlrloop.db"), folded, 0o600))
						editDatabase(t, path, func(tx *bolt.Tx) error {
							key, _ := tx.Bucket(bucket).Cursor().First()
							return tx.Bucket(bucket).Put(key, []byte{9})
						})
						s = opened(t, c)
					} else {
						overwriteFirst(t, s.db, bucket, []byte{9})
						require.NoError(t, s.Record(t.Context(), delivered("bad", "447700900001")))
						require.NoError(t, s.Record(t.Context(), delivered("bad", "447700900009")))
					}
					key := store.BatchKey{Plan: "plan", BatchID: "bad"}
					b, err := s.Batch(t.Context(), key)
					require.NoError(t, err)
					require.Equal(t, map[dlr.Status]int{dlr.Delivered: 2}, b.States)
					require.Equal(t, 2, b.Feedback.Owed)
					require.NotNil(t, b.Task)
					if !atStart || verified == 0 || bytes.Equal(bucket, schema.BucketBatches) {
						require.Len(t, o.damage(), 1)
						require.Contains(t, o.damage()[0], isRebuilt)
					} else { // no fold or verification has read that row
						_, err = s.Recipient(t.Context(), key, "447700900001")
						require.ErrorContains(t, err, "row has format 9")
						o.awaitDamage(t, 1)
					}
					r, err := s.Recipient(t.Context(), key, "447700900001")
					require.NoError(t, err)
					require.Equal(t, store.FeedbackOwed, r.Feedback)
					require.Len(t, r.Reports, 1)
					stats, err := s.Stats(t.Context())
					require.NoError(t, err)
					require.Equal(t, 3, stats[0].Feedback.Owed)
					require.NoError(t, s.Err())
					require.NoError(t, s.Close())
					requireSound(t, path)
				})
			}
		}
	}
}
