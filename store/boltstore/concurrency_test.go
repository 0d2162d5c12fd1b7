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

// crowd is everybody who uses a store at the same time. They say what children say.
type crowd struct {
	t     *testing.T
	s     *Store
	mu    sync.Mutex // guards heard
	heard *witness
	clock atomic.Int64
}

func (c *crowd) say(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heard.hear(fmt.Sprintf(format, args...))
}

// record returns false once the store is closed.
func (c *crowd) record(what string, a store.Arrival) bool {
	a.At = a.At.Add(time.Duration(c.clock.Add(1)) * time.Millisecond)
	c.say("begin %s", what)
	err := c.s.Record(c.t.Context(), a)
	if err == nil {
		c.say("done %s", what)
	}
	return c.goesOn(err)
}

// goesOn requires that err is none, or says that the store is closed.
func (c *crowd) goesOn(err error) bool {
	if err != nil {
		assert.ErrorIs(c.t, err, store.ErrClosed)
	}
	return err == nil
}

func (c *crowd) load(loader int) {
	for n := 0; ; n++ {
		name, number := fmt.Sprintf("%d-%d", loader, n), fmt.Sprintf("4479%02d%07d", loader, n)
		batch, status, a := fmt.Sprintf("batch-%d", n%4), "Delivered", store.Arrival{Plan: "live", At: noon}
		what := "report " + name
		if n%5 == 0 {
			a.Plan, a.At, what, status = "old", noon.AddDate(-6, 0, 0), "old "+name, "Failed"
		}
		raw := fmt.Appendf(nil, `{"type":"recipient_delivery_report_sms","batch_id":%q,"recipient":%q,"code":0,"status":%q,"client_reference":%q}`, batch, number, status, name)
		a.News = parsed(c.t, raw)
		if n%50 == 2 {
			what = "facts " + batch
			a.News = store.Facts{BatchID: batch, FeedbackEnabled: true, ReportKind: "full", Recipients: 1_000_000, CreatedAt: noon, ModifiedAt: noon}
		}
		if !c.record(what, a) {
			return
		}
	}
}

func (c *crowd) relay() {
	for n := 0; ; n++ {
		claims, err := c.s.Claim(c.t.Context(), "live", noon.Add(time.Hour), 12*time.Hour, 3)
		if !c.goesOn(err) {
			return
		}
		for _, claim := range claims {
			s := store.Settlement{BatchID: claim.Key.BatchID, Lease: claim.Lease, Recipients: claim.Recipients, Outcome: store.Accepted, Reason: store.ReasonAccepted}
			if n%4 == 0 {
				s.Outcome, s.Reason = store.Buried, store.ReasonRejected
			}
			if !c.record(fmt.Sprintf("%s %s %s", s.Outcome, claim.Key.BatchID, strings.Join(claim.Recipients, " ")), store.Arrival{Plan: "live", At: noon, News: s}) {
				return
			}
		}
	}
}

func (c *crowd) reconcile() {
	later := noon.Add(2 * time.Hour)
	for {
		batches, err := c.s.Overdue(c.t.Context(), "live", later, 3)
		if !c.goesOn(err) {
			return
		}
		for _, b := range batches {
			if !c.record("checked "+b.ID, store.Arrival{Plan: "live", At: later, News: store.Checked{BatchID: b.ID}}) {
				return
			}
		}
	}
}

func (c *crowd) expire() {
	for {
		c.say("expire begins")
		_, _, err := c.s.Expire(c.t.Context(), noon.AddDate(-5, 0, 0), 2)
		c.say("expire ends")
		if !c.goesOn(err) {
			return
		}
	}
}

func (c *crowd) read() {
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
		if errors.Is(err, store.ErrNotFound) { // not yet, or expired
			err = nil
		}
		_ = c.s.Gauges()
		_, statsErr := c.s.Stats(ctx)
		if err == nil {
			err = statsErr
		}
		if !c.goesOn(err) {
			return
		}
	}
}

func TestEverythingAtOnce(t *testing.T) {
	for round := range 3 * long(20) {
		c := &crowd{t: t, heard: newWitness()}
		c.s = opened(t, Config{Path: t.TempDir(), Segment: 16 << 10, JournalLimit: 128 << 10, FoldEvery: 5 * time.Millisecond, Policies: asking})
		var all sync.WaitGroup
		for loader := range 4 {
			all.Go(func() { c.load(loader) })
		}
		all.Go(c.relay)
		all.Go(c.reconcile)
		all.Go(c.expire)
		all.Go(c.read)
		all.Go(c.read)
		enough := int64(400 + 50*round)
		require.Eventually(t, func() bool { return c.clock.Load() > enough }, time.Minute, time.Millisecond)
		require.NoError(t, c.s.Close())
		all.Wait()
		require.NoError(t, c.s.Err())

		s := opened(t, Config{Path: c.s.config.Path, Policies: asking})
		auditStore(t.Context(), t, s, c.heard)
		require.NoError(t, s.Close())
	}
}

// Close lets reads that have begun come to their end.
func TestCloseWaitsForReaders(t *testing.T) {
	s := opened(t, Config{Path: t.TempDir()})
	require.NoError(t, s.Record(t.Context(), delivered("batch", "447700900001")))
	_, err := s.Stats(t.Context())
	require.NoError(t, err)
	reading, err := s.db.Begin(false)
	require.NoError(t, err)
	t.Cleanup(func() { _ = reading.Rollback() }) // when the test fails
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	require.Eventually(t, func() bool { // Close has all others out of its way
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

// While feedback is dead and requeued by several people, every recipient is owed, sent or dead, and at the end none is lost.
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
			assert.NoError(t, s.Record(t.Context(), store.Arrival{Plan: "plan", At: noon, News: store.Settlement{BatchID: "batch", Lease: claim.Lease, Recipients: some, Outcome: outcome}}))
		}
	}
	var people sync.WaitGroup
	for range 3 {
		people.Go(func() {
			for n := range 20 {
				settle([]store.Outcome{store.Buried, store.Accepted}[n%2])
				_, err := s.Requeue(t.Context(), key, noon)
				assert.NoError(t, err)
			}
		})
	}
	people.Wait()
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

// A caller that gives up learns so at once; what it recorded is there or not, whole.
func TestWhoGivesUpUndoesNothing(t *testing.T) {
	s := opened(t, Config{Path: t.TempDir()})
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("gone"))
	for n := range 50 {
		if err := s.Record(ctx, delivered("batch", fmt.Sprint(447700900000+n))); err != nil {
			require.EqualError(t, err, "gone")
		}
	}
	require.NoError(t, s.Record(t.Context(), delivered("batch", "447700900999")))
	b, err := s.Batch(t.Context(), store.BatchKey{Plan: "plan", BatchID: "batch"})
	require.NoError(t, err)
	require.Equal(t, b.Feedback.Owed, b.States[dlr.Delivered])
}

// A full report is one arrival. Others are acknowledged beside it, and its feedback goes out in calls of 1000.
func TestLargeReportAmongOthers(t *testing.T) {
	s := opened(t, Config{Path: t.TempDir()})
	recipients := 20_000 * long(5) // the suite has one of 100 000
	numbers := make([]string, recipients)
	for n := range numbers {
		numbers[n] = fmt.Sprintf(`"4479%08d"`, n)
	}
	raw := fmt.Appendf(nil, `{"type":"delivery_report_sms","batch_id":"large","total_message_count":%d,"statuses":[{"code":0,"status":"Delivered","count":%d,"recipients":[%s]}]}`,
		recipients, recipients, strings.Join(numbers, ","))
	large := parsed(t, raw)
	var all sync.WaitGroup
	for loader := range 4 {
		all.Go(func() {
			for n := range 100 {
				assert.NoError(t, s.Record(t.Context(), delivered(fmt.Sprint("small ", loader), fmt.Sprint(447700900000+n))))
			}
		})
	}
	require.NoError(t, s.Record(t.Context(), store.Arrival{Plan: "plan", At: noon, News: large}))
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
		require.NoError(t, s.Record(t.Context(), store.Arrival{Plan: "plan", At: noon, News: store.Settlement{
			BatchID: "large", Lease: claims[at].Lease, Recipients: claims[at].Recipients, Outcome: store.Accepted,
		}}))
		_, err = s.Stats(t.Context()) // Claim sees what is folded
		require.NoError(t, err)
	}
	require.NoError(t, s.Close())

	s = opened(t, Config{Path: s.config.Path})
	b, err = s.Batch(t.Context(), b.Key())
	require.NoError(t, err)
	require.Equal(t, store.FeedbackCounts{Owed: recipients - 10*store.MaxRecipients, Sent: 10 * store.MaxRecipients}, b.Feedback)
	stats, err := s.Stats(t.Context())
	require.NoError(t, err)
	require.Equal(t, recipients+400, stats[0].Recipients)
}
