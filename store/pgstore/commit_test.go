package pgstore_test

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/pgstore"
	"github.com/dlrloop/dlrloop/store/pgstore/pgtest"
)

var epoch = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

func key(id string) store.BatchKey { return store.BatchKey{Plan: "plan", BatchID: id} }

func arrives(n store.Entry) store.Arrival { return store.Arrival{Plan: "plan", At: epoch, Entry: n} }

// delivered returns an arrival with a report that the number was delivered.
func delivered(id, number string) store.Arrival {
	raw, err := json.Marshal(map[string]any{
		"type": dlr.RecipientSMS, "batch_id": id, "recipient": number, "status": dlr.Delivered, "code": 0, "at": epoch,
	})
	if err != nil {
		panic(err)
	}
	c, err := dlr.Parse(raw)
	if err != nil {
		panic(err)
	}
	return arrives(store.Report{Report: c.Report, Raw: raw})
}

func number(n int) string { return fmt.Sprintf("4477%08d", n) }

// TestRefusedRowFailsOnlyItsArrival makes the database refuse one recipient. Without such a constraint no refusal is
// known; see TestRecordedArrivalIsReadable.
func TestRefusedRowFailsOnlyItsArrival(t *testing.T) {
	t.Parallel()
	address := postgres.Database(t)
	execute(t, address, `ALTER TABLE recipient ADD CHECK (digits <> 'group')`)
	s := newStore(t, pgstore.Config{URL: address, Lanes: 1})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			err := s.Record(t.Context(), arrives(store.Confirmation{BatchID: "bad", Recipients: []string{"group"}}))
			assert.ErrorContains(t, err, "23514")
		})
		for i := range 50 {
			wg.Go(func() { assert.NoError(t, s.Record(t.Context(), delivered("good", number(i)))) })
		}
	}
	wg.Wait()
	b, err := s.Batch(t.Context(), key("good"))
	require.NoError(t, err)
	require.Equal(t, 50, b.Feedback.Owed)
	_, err = s.Batch(t.Context(), key("bad"))
	require.ErrorIs(t, err, store.ErrNotFound)
}

func TestInvalidTextIsEscaped(t *testing.T) {
	t.Parallel()
	s := newStore(t, pgstore.Config{URL: postgres.Database(t)})
	odd := []string{"\x00", "a\x00b", "\xff", "\x1a", "\x1a00", "a\x1a", "a\xc3"}
	for _, id := range odd {
		confirmed := store.Confirmation{BatchID: id, Recipients: []string{"group " + id}}
		require.NoError(t, s.Record(t.Context(), arrives(confirmed)))
	}
	for _, id := range odd {
		_, err := s.Recipient(t.Context(), key(id), "group "+id)
		require.NoError(t, err, "%q", id)
		page, err := s.RecipientBatches(t.Context(), "group "+id, store.Paging{})
		require.NoError(t, err)
		require.Len(t, page.Items, 1)
		require.Equal(t, key(id), page.Items[0].Key)
	}
	_, err := s.Batch(t.Context(), key("b\x00"))
	require.ErrorIs(t, err, store.ErrNotFound)
}

// TestReplicasRecordSameBatches records the same batches on several replicas, with settlements, claims and retention
// in between.
func TestReplicasRecordSameBatches(t *testing.T) {
	t.Parallel()
	const replicas, batches, each = 3, 5, 40
	url := postgres.Database(t)
	var all []*pgstore.Store
	for range replicas {
		all = append(all, newStore(t, pgstore.Config{URL: url, Lanes: 2}))
	}
	var g errgroup.Group
	g.SetLimit(64)
	for i := range batches * each {
		for _, s := range all { // every replica receives the callback
			g.Go(func() error { return s.Record(t.Context(), delivered(fmt.Sprint(i%batches), number(i))) })
		}
		if i%20 == 0 {
			g.Go(func() error {
				_, _, err := all[i%replicas].DeleteOlder(t.Context(), epoch.Add(time.Hour), 10)
				return err
			})
		}
	}
	require.NoError(t, g.Wait())
	for _, s := range all {
		stats, err := s.Stats(t.Context())
		require.NoError(t, err)
		require.Len(t, stats, 1)
		require.Equal(t, batches, stats[0].Batches)
		require.Equal(t, batches*each, stats[0].Recipients)
		require.Equal(t, batches*each*(replicas-1), stats[0].Duplicates)
		require.Equal(t, store.Tally{PendingTasks: batches, Owed: batches * each}, stats[0].Feedback)
		require.Equal(t, batches*each, stats[0].Messages[0].Messages)
	}
	claimed := 0
	for _, s := range all {
		claims, err := s.Claim(t.Context(), "plan", epoch, time.Minute, 2)
		require.NoError(t, err)
		claimed += len(claims)
		for _, c := range claims {
			require.Len(t, c.Recipients, each)
			settled := store.Settlement{
				BatchID: c.Key.BatchID, Lease: c.Lease, Recipients: c.Recipients, Outcome: store.OutcomeAccepted,
			}
			require.NoError(t, all[0].Record(t.Context(), arrives(settled)), "another replica must be able to settle the claim")
		}
	}
	require.Equal(t, batches, claimed)
}

func TestKilledServerKeepsAcknowledgedReports(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t, pgtest.Config{Durable: true})
	s := newStore(t, pgstore.Config{URL: server.Database(t)})
	require.NoError(t, s.Record(t.Context(), delivered("batch", number(1))))
	server.Kill(t)
	require.Error(t, s.Record(t.Context(), delivered("batch", number(2))))
	require.Error(t, s.Ready(t.Context()))
	server.Restart(t)
	require.Eventually(t, func() bool { return s.Ready(t.Context()) == nil }, time.Minute, 10*time.Millisecond)
	require.NoError(t, s.Record(t.Context(), delivered("batch", number(2))))
	b, err := s.Batch(t.Context(), key("batch"))
	require.NoError(t, err)
	require.Equal(t, 2, b.Feedback.Owed)
}
