package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

var concurrency = []behavior{
	{"each caller gets the result of its own arrival", eachItsOwnResult},
	{"one of many concurrent copies of a report is applied", sameReportFromMany},
	{"a batch accepts concurrent reports", oneBatchFromMany},
	{"a canceled Record undoes nothing", cancelRecords},
	{"arrivals acknowledged before Close are kept", closeWhileRecording},
	{"Record, Claim, reads and Expire run concurrently", allTogether},
}

func eachItsOwnResult(t *testing.T, place Place) {
	const workers, each = 16, 8
	o := open(t, place, Config{})
	var g errgroup.Group
	for worker := range workers {
		g.Go(func() error {
			for i := range each {
				id := fmt.Sprintf("batch %d of %d", i, worker)
				if err := o.Record(t.Context(), arrives(i, delivered(id, number(worker)))); err != nil {
					return err
				}
				r, err := o.Recipient(t.Context(), key(id), number(worker))
				if err != nil {
					return fmt.Errorf("read after write: %w", err)
				}
				if r.Number != number(worker) || len(r.Reports) != 1 {
					return fmt.Errorf("read after write: %+v", r)
				}
			}
			return nil
		})
	}
	require.NoError(t, g.Wait())
	require.Equal(t, workers*each, o.stats(plan).Batches)
}

func sameReportFromMany(t *testing.T, place Place) {
	const many = 100
	o := open(t, place, Config{})
	arrivals := make([]store.Arrival, many)
	for i := range arrivals {
		arrivals[i] = arrives(0, delivered("batch", alice))
	}
	o.recordAll(arrivals)
	require.Equal(t, many-1, o.recipient(key("batch"), alice).Reports[0].Repeats)
	stats := o.stats(plan)
	require.Equal(t, many-1, stats.Duplicates)
	require.Equal(t, []store.StatusTotal{{Status: dlr.Delivered, Class: dlr.ClassNone, Messages: 1}}, stats.Messages)
	require.Equal(t, 1, stats.Feedback.Owed)
}

func oneBatchFromMany(t *testing.T, place Place) {
	const recipients = 100
	o := open(t, place, Config{})
	var arrivals []store.Arrival
	for i := range recipients {
		arrivals = append(arrivals,
			arrives(0, delivered("batch", number(i))),
			arrives(0, says("batch", "+"+number(i), dlr.Dispatched, 401, sec(0))))
	}
	o.recordAll(arrivals)
	b := o.batch(key("batch"))
	require.Equal(t, map[dlr.Status]int{dlr.Delivered: recipients}, b.States)
	require.Equal(t, recipients, b.Feedback.Owed)
	require.Len(t, o.recipients(key("batch"), store.RecipientQuery{}), recipients)
	require.Len(t, o.reports(key("batch")), 2*recipients)
}

func cancelRecords(t *testing.T, place Place) {
	const many = 100
	o := open(t, place, Config{})
	kept := make([]bool, many)
	var g errgroup.Group
	for i := range many {
		ctx, cancel := context.WithCancel(t.Context())
		if i%3 == 0 {
			cancel()
		}
		g.Go(func() error {
			err := o.Record(ctx, arrives(0, delivered("batch", number(i))))
			kept[i] = err == nil
			if err != nil && !errors.Is(err, context.Canceled) {
				return err
			}
			return nil
		})
		g.Go(func() error {
			cancel()
			return nil
		})
	}
	require.NoError(t, g.Wait())
	for i := range many {
		if kept[i] {
			require.NotNil(t, o.recipient(key("batch"), number(i)), "an acknowledged report must be kept")
		}
	}
	for i := range many {
		o.record(arrives(0, delivered("batch", number(i)))) // as Sinch repeats callbacks
	}
	stats := o.stats(plan)
	require.Equal(t, many, stats.Recipients)
	require.Equal(t, many, stats.Messages[0].Messages)
	require.LessOrEqual(t, stats.Duplicates, many)
}

func closeWhileRecording(t *testing.T, place Place) {
	o := open(t, place, Config{})
	var (
		g            errgroup.Group
		mu           sync.Mutex
		acknowledged []string
		first        sync.WaitGroup
	)
	for worker := range 16 {
		first.Add(1)
		g.Go(func() error {
			for i := 0; ; i++ {
				id := fmt.Sprintf("batch %d of %d", i, worker)
				err := o.Record(context.Background(), arrives(0, delivered(id, alice)))
				if i == 0 {
					first.Done()
				}
				if errors.Is(err, store.ErrClosed) {
					return nil
				}
				if err != nil {
					return err
				}
				mu.Lock()
				acknowledged = append(acknowledged, id)
				mu.Unlock()
			}
		})
	}
	first.Wait()
	require.NoError(t, o.Close())
	require.NoError(t, g.Wait())
	require.GreaterOrEqual(t, len(acknowledged), 16)
	o.Store = o.place(t, o.config)
	for _, id := range acknowledged {
		require.Equal(t, 1, o.batch(key(id)).Feedback.Owed)
	}
}

func allTogether(t *testing.T, place Place) {
	const writers, each = 4, 30
	o := open(t, place, Config{})
	var writing, working errgroup.Group
	var written atomic.Bool
	for w := range writers {
		writing.Go(func() error {
			for i := range each {
				id := fmt.Sprint(i % 7)
				if err := o.Record(t.Context(), arrives(i, delivered(id, number(w*each+i)))); err != nil {
					return err
				}
				failed := says("old "+id, number(i), dlr.Failed, 34, sec(w))
				if err := o.Record(t.Context(), arrives(i, failed)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	for range 3 {
		working.Go(func() error { return o.relay(t.Context(), &written) })
	}
	working.Go(func() error {
		for !written.Load() {
			if err := o.readAndExpire(t.Context()); err != nil {
				return err
			}
		}
		return nil
	})
	err := writing.Wait()
	written.Store(true)
	require.NoError(t, errors.Join(err, working.Wait()))

	require.Equal(t, store.Tally{Sent: writers * each}, o.stats(plan).Feedback)
	for i := range 7 {
		b := o.batch(key(fmt.Sprint(i)))
		sent := 0
		for _, r := range o.recipients(b.Key(), store.RecipientQuery{}) {
			require.Equal(t, store.FeedbackSent, r.Feedback)
			sent++
		}
		require.Equal(t, store.FeedbackCounts{Sent: sent}, b.Feedback)
		require.Equal(t, map[dlr.Status]int{dlr.Delivered: sent}, b.States)
	}
}

// relay claims tasks and settles them as accepted, until written is true and no task is left.
func (o *opened) relay(ctx context.Context, written *atomic.Bool) error {
	for {
		last := written.Load()
		if _, err := o.Stats(ctx); err != nil {
			return err
		}
		claims, err := o.Claim(ctx, plan, sec(1000), leaseTime, 2)
		if err != nil {
			return err
		}
		for _, c := range claims {
			if err := o.Record(ctx, arrives(1000, settlement(c, store.OutcomeAccepted))); err != nil {
				return err
			}
		}
		if last && len(claims) == 0 {
			return nil
		}
	}
}

// readAndExpire reads some batches and deletes old ones, while other goroutines record reports.
func (o *opened) readAndExpire(ctx context.Context) error {
	page, err := o.Batches(ctx, store.BatchQuery{Paging: store.Paging{Limit: 5}})
	if err != nil {
		return err
	}
	for _, b := range page.Items {
		if _, err := o.Recipients(ctx, b.Key(), store.RecipientQuery{}); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	_ = o.Gauges()
	_, _, err = o.DeleteOlder(ctx, sec(30), 5)
	return err
}
