package boltstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// clients are the goroutines that use one store at the same time. They log the same lines as the child in testdata.
type clients struct {
	t          *testing.T
	s          *Store
	mu         sync.Mutex // guards transcript
	transcript *transcript
	clock      atomic.Int64
}

func (c *clients) note(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.transcript.add(fmt.Sprintf(format, args...))
}

// record returns false after the store is closed.
func (c *clients) record(what string, a store.Arrival) bool {
	a.At = a.At.Add(time.Duration(c.clock.Add(1)) * time.Millisecond)
	c.note("begin %s", what)
	err := c.s.Record(c.t.Context(), a)
	if err == nil {
		c.note("done %s", what)
	}
	return c.open(err)
}

// open returns true if err is nil. Otherwise it requires that the error is ErrClosed.
func (c *clients) open(err error) bool {
	if err != nil {
		assert.ErrorIs(c.t, err, store.ErrClosed)
	}
	return err == nil
}

func (c *clients) load(loader int) {
	for n := 0; ; n++ {
		name, number := fmt.Sprintf("%d-%d", loader, n), fmt.Sprintf("4479%02d%07d", loader, n)
		batch, status, a := fmt.Sprintf("batch-%d", n%4), "Delivered", store.Arrival{Plan: "live", At: noon}
		what := "report " + name
		if n%5 == 0 {
			a.Plan, a.At, what, status = "old", noon.AddDate(-6, 0, 0), "old "+name, "Failed"
		}
		raw := fmt.Appendf(nil, `{"type":"recipient_delivery_report_sms","batch_id":%q,"recipient":%q,"code":0,`+
			`"status":%q,"client_reference":%q}`, batch, number, status, name)
		a.Entry = parsed(c.t, raw)
		if n%50 == 2 {
			what = "info " + batch
			a.Entry = store.BatchInfo{
				BatchID: batch, FeedbackEnabled: true, ReportKind: "full", Recipients: 1_000_000,
				CreatedAt: noon, ModifiedAt: noon,
			}
		}
		if !c.record(what, a) {
			return
		}
	}
}

func (c *clients) relay() {
	for n := 0; ; n++ {
		claims, err := c.s.Claim(c.t.Context(), "live", noon.Add(time.Hour), 12*time.Hour, 3)
		if !c.open(err) {
			return
		}
		for _, claim := range claims {
			s := store.Settlement{
				BatchID: claim.Key.BatchID, Lease: claim.Lease, Recipients: claim.Recipients,
				Outcome: store.OutcomeAccepted, Reason: store.ReasonAccepted,
			}
			if n%4 == 0 {
				s.Outcome, s.Reason = store.OutcomeDead, store.ReasonRejected
			}
			what := fmt.Sprintf("%s %s %s", s.Outcome, claim.Key.BatchID, strings.Join(claim.Recipients, " "))
			if !c.record(what, store.Arrival{Plan: "live", At: noon, Entry: s}) {
				return
			}
		}
	}
}

func (c *clients) reconcile() {
	later := noon.Add(2 * time.Hour)
	for {
		batches, err := c.s.MissingReports(c.t.Context(), "live", later, 3)
		if !c.open(err) {
			return
		}
		for _, b := range batches {
			if !c.record("fetched "+b.ID, store.Arrival{Plan: "live", At: later, Entry: store.ReportFetched{BatchID: b.ID}}) {
				return
			}
		}
	}
}

func (c *clients) deleteOlder() {
	for {
		c.note("retention begins")
		_, _, err := c.s.DeleteOlder(c.t.Context(), noon.AddDate(-5, 0, 0), 2)
		c.note("retention ends")
		if !c.open(err) {
			return
		}
	}
}

func (c *clients) read() {
	ctx := c.t.Context()
	for n := 0; ; n++ {
		key := store.BatchKey{Plan: []string{"live", "old"}[n%2], BatchID: fmt.Sprintf("batch-%d", n%4)}
		_, err := c.s.Batch(ctx, key)
		if err == nil {
			_, err = c.s.Reports(ctx, key, store.Paging{Limit: 5})
		}
		if err == nil {
			var page store.Page[*store.Recipient]
			if page, err = c.s.Recipients(ctx, key, store.RecipientQuery{Paging: store.Paging{Limit: 3}}); err == nil {
				for _, r := range page.Items {
					_, err = c.s.Recipient(ctx, key, r.Number)
				}
			}
		}
		if errors.Is(err, store.ErrNotFound) { // not recorded yet, or deleted by retention
			err = nil
		}
		_ = c.s.Gauges()
		_, statsErr := c.s.Stats(ctx)
		if err == nil {
			err = statsErr
		}
		if !c.open(err) {
			return
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	for round := range 3 * long(20) {
		c := &clients{t: t, transcript: newTranscript()}
		c.s = opened(t, Config{
			Path: t.TempDir(), Segment: 16 << 10, JournalLimit: 128 << 10, FoldEvery: 5 * time.Millisecond,
			Policies: testPolicy,
		})
		var all sync.WaitGroup
		for loader := range 4 {
			all.Go(func() { c.load(loader) })
		}
		all.Go(c.relay)
		all.Go(c.reconcile)
		all.Go(c.deleteOlder)
		all.Go(c.read)
		all.Go(c.read)
		enough := int64(400 + 50*round)
		require.Eventually(t, func() bool { return c.clock.Load() > enough }, time.Minute, time.Millisecond)
		require.NoError(t, c.s.Close())
		all.Wait()
		require.NoError(t, c.s.Err())

		s := opened(t, Config{Path: c.s.config.Path, Policies: testPolicy})
		auditStore(t.Context(), t, s, c.transcript)
		require.NoError(t, s.Close())
	}
}

// Close must not fail reads that have begun.
func TestCloseWaitsForReaders(t *testing.T) {
	s := opened(t, Config{Path: t.TempDir()})
	require.NoError(t, s.Record(t.Context(), delivered("batch", "447700900001")))
	_, err := s.Stats(t.Context())
	require.NoError(t, err)
	reading, err := s.db.Begin(false)
	require.NoError(t, err)
	t.Cleanup(func() { _ = reading.Rollback() }) // in case the test fails
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	require.Eventually(t, func() bool { // until Close waits only for this read
		if s.writing.TryLock() {
			s.writing.Unlock()
			return false
		}
		return s.closed.Load()
	}, time.Minute, time.Millisecond)
	n, err := find(reading, store.BatchKey{Plan: "plan", BatchID: "batch"})
	require.NoError(t, err)
	page, err := s.pageOfLog(reading, n, store.Paging{})
	require.NoError(t, err)
	require.Len(t, page.Items, 1)
	require.Empty(t, closed)
	require.NoError(t, reading.Rollback())
	require.NoError(t, <-closed)
}

// While several goroutines make feedback dead and requeue it, each recipient is owed, sent or dead, and none is lost.
func TestRequeueAgainstTheRelay(t *testing.T) {
	s := opened(t, Config{Path: t.TempDir(), FoldEvery: 5 * time.Millisecond})
	key := store.BatchKey{Plan: "plan", BatchID: "batch"}
	const recipients = 60
	for n := range recipients {
		require.NoError(t, s.Record(t.Context(), delivered("batch", fmt.Sprint(447700900000+n))))
	}
	settle := func(outcome store.Outcome) {
		claims, err := s.Claim(t.Context(), "plan", noon.Add(time.Hour), time.Hour, 1)
		assert.NoError(t, err)
		for _, claim := range claims {
			some := claim.Recipients[:min(len(claim.Recipients), 7)]
			settlement := store.Settlement{BatchID: "batch", Lease: claim.Lease, Recipients: some, Outcome: outcome}
			assert.NoError(t, s.Record(t.Context(), store.Arrival{Plan: "plan", At: noon, Entry: settlement}))
		}
	}
	var operators sync.WaitGroup
	for range 3 {
		operators.Go(func() {
			for n := range 20 {
				settle([]store.Outcome{store.OutcomeDead, store.OutcomeAccepted}[n%2])
				_, err := s.Requeue(t.Context(), key, noon)
				assert.NoError(t, err)
			}
		})
	}
	operators.Wait()
	_, err := s.Requeue(t.Context(), key, noon)
	require.NoError(t, err)
	b, err := s.Batch(t.Context(), key)
	require.NoError(t, err)
	require.Zero(t, b.Feedback.Dead)
	require.Equal(t, recipients, b.Feedback.Owed+b.Feedback.Sent)
	require.Equal(t, b.Feedback.Owed > 0, b.Task != nil)
	_, err = s.Requeue(t.Context(), store.BatchKey{Plan: "plan", BatchID: "unknown"}, noon)
	require.ErrorIs(t, err, store.ErrNotFound)
}

// A canceled Record returns at once with the cause.
func TestCanceledRecordIsKeptWholeOrNotAtAll(t *testing.T) {
	s := opened(t, Config{Path: t.TempDir()})
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("the caller canceled"))
	for n := range 50 {
		if err := s.Record(ctx, delivered("batch", fmt.Sprint(447700900000+n))); err != nil {
			require.EqualError(t, err, "the caller canceled")
		}
	}
	require.NoError(t, s.Record(t.Context(), delivered("batch", "447700900999")))
	b, err := s.Batch(t.Context(), store.BatchKey{Plan: "plan", BatchID: "batch"})
	require.NoError(t, err)
	require.Equal(t, b.Feedback.Owed, b.States[dlr.Delivered])
}

// A full report is one arrival. Other arrivals are acknowledged meanwhile, and its feedback is claimed in parts of
// 1000.
func TestLargeReportAmongOthers(t *testing.T) {
	s := opened(t, Config{Path: t.TempDir()})
	recipients := 20_000 * long(5) // storetest has a test with 100 000
	numbers := make([]string, recipients)
	for n := range numbers {
		numbers[n] = fmt.Sprintf(`"4479%08d"`, n)
	}
	raw := fmt.Appendf(nil, `{"type":"delivery_report_sms","batch_id":"large","total_message_count":%d,`+
		`"statuses":[{"code":0,"status":"Delivered","count":%d,"recipients":[%s]}]}`,
		recipients, recipients, strings.Join(numbers, ","))
	large := parsed(t, raw)
	var all sync.WaitGroup
	for loader := range 4 {
		all.Go(func() {
			for n := range 100 {
				a := delivered(fmt.Sprint("small ", loader), fmt.Sprint(447700900000+n))
				assert.NoError(t, s.Record(t.Context(), a))
			}
		})
	}
	require.NoError(t, s.Record(t.Context(), store.Arrival{Plan: "plan", At: noon, Entry: large}))
	all.Wait()
	b, err := s.Batch(t.Context(), store.BatchKey{Plan: "plan", BatchID: "large"})
	require.NoError(t, err)
	require.Equal(t, recipients, b.Feedback.Owed)

	for call := range 10 {
		claims, err := s.Claim(t.Context(), "plan", noon.Add(time.Hour), time.Hour, 10)
		require.NoError(t, err)
		at := slices.IndexFunc(claims, func(c store.Claim) bool { return c.Key.BatchID == "large" })
		require.GreaterOrEqual(t, at, 0)
		require.Len(t, claims[at].Recipients, store.MaxRecipients)
		require.Equal(t, fmt.Sprintf("4479%08d", call*store.MaxRecipients), claims[at].Recipients[0])
		require.NoError(t, s.Record(t.Context(), store.Arrival{Plan: "plan", At: noon, Entry: store.Settlement{
			BatchID: "large", Lease: claims[at].Lease, Recipients: claims[at].Recipients, Outcome: store.OutcomeAccepted,
		}}))
		_, err = s.Stats(t.Context()) // waits for the fold, because Claim does not
		require.NoError(t, err)
	}
	require.NoError(t, s.Close())

	s = opened(t, Config{Path: s.config.Path})
	b, err = s.Batch(t.Context(), b.Key())
	require.NoError(t, err)
	sent := 10 * store.MaxRecipients
	require.Equal(t, store.FeedbackCounts{Owed: recipients - sent, Sent: sent}, b.Feedback)
	stats, err := s.Stats(t.Context())
	require.NoError(t, err)
	require.Equal(t, recipients+400, stats[0].Recipients)
}
