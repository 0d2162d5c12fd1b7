package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore"
)

// plans are the ids of the service plans of the stored batches. Batch number b belongs to plans[b%len(plans)].
var plans = []string{"plan-a", "plan-b", "plan-c", "plan-d", "plan-e"}

// writers is the number of goroutines that record batches at the same time.
const writers = 4

// missing is the number of recipients in each batch that get no report. The scraped metrics must count them.
const missing = 10

// fill creates a store at this path and records this number of batches in it. In each batch, a few recipients have no
// report, and the delivery feedback for the others is not sent yet. fill then counts the stored recipients, and returns
// an error unless there are 1000 for each batch.
func fill(ctx context.Context, path string, batches int) (err error) {
	s, err := boltstore.Open(ctx, boltstore.Config{Path: path, Policies: policies})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	group, filling := errgroup.WithContext(ctx)
	for w := range writers {
		group.Go(func() error {
			for b := w; b < batches; b += writers {
				for _, a := range arrivalsOf(b) {
					if err := record(filling, s, a); err != nil {
						return err
					}
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	stats, err := s.Stats(ctx) // waits until everything is folded
	if err != nil {
		return err
	}
	stored := 0
	for _, p := range stats {
		stored += p.Recipients
	}
	if stored != batches*size {
		return fmt.Errorf("only %d of %d recipients are stored", stored, batches*size)
	}
	return nil
}

// record records an arrival, such as a report, and blocks until it is on disk. While the store is busy, it tries again
// without delay.
func record(ctx context.Context, s store.Store, a store.Arrival) error {
	for {
		if err := s.Record(ctx, a); !errors.Is(err, store.ErrBusy) {
			return err
		}
	}
}

func policies(string) store.Policy {
	return store.Policy{MissingReports: store.MissingReports{Silence: time.Hour, Grace: 10 * time.Minute}}
}

// arrivalsOf returns the two arrivals to record for the batch with number b: the properties of the batch, and a report
// on all but a few of its recipients.
func arrivalsOf(b int) []store.Arrival {
	plan, id, at := plans[b%len(plans)], fmt.Sprintf("batch-%08d", b), store.Now()
	numbers := make([]string, size)
	for i := range numbers {
		numbers[i] = fmt.Sprintf("44%010d", b*size+i)
	}
	const failed, reported = size / 20, size - missing
	report := &dlr.Report{Type: dlr.BatchSMS, BatchID: id, Total: size, Entries: []dlr.Entry{
		{State: dlr.State{Status: dlr.Delivered}, Count: reported - failed, Recipients: numbers[failed:reported]},
		{State: dlr.State{Status: dlr.Failed, Code: 153}, Count: failed, Recipients: numbers[:failed]},
	}}
	return []store.Arrival{
		{Plan: plan, At: at, Entry: store.BatchInfo{
			BatchID: id, FeedbackEnabled: true, ReportKind: "full", Recipients: size, Numbers: numbers, CreatedAt: at,
			ModifiedAt: at,
			Source:     store.FromGateway,
		}},
		{Plan: plan, At: at, Entry: store.Report{Report: report, Raw: fmt.Appendf(nil, `{"batch_id":%q}`, id)}},
	}
}
