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

// plans are the configured ones; the batches are theirs by turns.
var plans = []string{"plan-a", "plan-b", "plan-c", "plan-d", "plan-e"}

// writers is how many record at once.
const writers = 4

// lacking is how many recipients of each batch have no report yet: they are awaited.
const lacking = 10

// fill makes a store of that many batches, with all that a usual one has: what Sinch said of each, a full report that names
// its recipients, their feedback owed, and some of them still awaited.
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
				for _, a := range batch(b) {
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
	stats, err := s.Stats(ctx) // waits until all is folded
	if err != nil {
		return err
	}
	stored := 0
	for _, p := range stats {
		stored += p.Recipients
	}
	if stored != batches*size {
		return fmt.Errorf("%d recipients are stored of %d", stored, batches*size)
	}
	return nil
}

// record records a as soon as the store has room for it.
func record(ctx context.Context, s store.Store, a store.Arrival) error {
	for {
		if err := s.Record(ctx, a); !errors.Is(err, store.ErrBusy) {
			return err
		}
	}
}

func policies(string) store.Policy {
	return store.Policy{Missing: store.Missing{Silence: time.Hour, Grace: 10 * time.Minute}}
}

// batch is what arrives of one batch.
func batch(b int) []store.Arrival {
	plan, id, at := plans[b%len(plans)], fmt.Sprintf("batch-%08d", b), time.Now().UTC().Truncate(time.Millisecond)
	numbers := make([]string, size)
	for i := range numbers {
		numbers[i] = fmt.Sprintf("44%010d", b*size+i)
	}
	const failed, reported = size / 20, size - lacking
	report := &dlr.Report{Type: dlr.BatchSMS, BatchID: id, Total: size, Entries: []dlr.Entry{
		{State: dlr.State{Status: dlr.Delivered}, Count: reported - failed, Recipients: numbers[failed:reported]},
		{State: dlr.State{Status: dlr.Failed, Code: 153}, Count: failed, Recipients: numbers[:failed]},
	}}
	return []store.Arrival{
		{Plan: plan, At: at, News: store.Facts{
			BatchID: id, FeedbackEnabled: true, ReportKind: "full", Recipients: size, Numbers: numbers, CreatedAt: at, ModifiedAt: at,
			Source: store.FromGateway,
		}},
		{Plan: plan, At: at, News: store.Report{Report: report, Raw: fmt.Appendf(nil, `{"batch_id":%q}`, id)}},
	}
}
