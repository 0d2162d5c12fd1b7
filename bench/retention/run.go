package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/pgstore"
)

const (
	plan = "bench"
	// recipients is the size of a batch; active is the number of batches reported at the same time, each twice.
	recipients = 1000
	active     = 50
	// senders is the number of goroutines that record concurrently.
	senders = 128
)

// period is the retention: how long after its last report a batch is deleted. The bench makes up the times of its
// reports, so that many such periods pass in seconds.
const period = 24 * time.Hour

var began = time.Date(2025, 8, 18, 0, 0, 0, 0, time.UTC)

// periodRun is one retention period of the bench. It records reports of new batches and deletes the batches of the
// previous period: for each new batch, an old one. The field period is the index of the retention period, counted from
// 0.
type periodRun struct {
	store   *pgstore.Store
	options options
	period  int
}

func (w *periodRun) run(ctx context.Context) error {
	begin, sent := time.Now(), 0
	for first := 0; first < w.options.batches; first += active {
		count := min(active, w.options.batches-first)
		now := began.Add(time.Duration(w.period)*period + period*time.Duration(first)/time.Duration(w.options.batches))
		g, ctx := errgroup.WithContext(ctx)
		g.Go(func() error { return w.deleteOlder(ctx, now.Add(-period)) })
		g.Go(func() error { return w.report(ctx, first, count, now) })
		if err := g.Wait(); err != nil {
			return err
		}
		sent += 2 * count * recipients
		if w.options.rate > 0 {
			due := begin.Add(time.Duration(float64(sent) / w.options.rate * float64(time.Second)))
			select {
			case <-time.After(time.Until(due)):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
}

// deleteOlder deletes the batches whose last report came before the given time, and blocks until none is left.
func (w *periodRun) deleteOlder(ctx context.Context, before time.Time) error {
	for more := true; more; {
		var err error
		if _, more, err = w.store.DeleteOlder(ctx, before, 100); err != nil {
			return err
		}
	}
	return nil
}

// report records two reports for each recipient of count batches, which have the numbers first to first+count-1 in this
// period. It records all Dispatched reports with the time given by now. It then records all Delivered reports with a
// time 8 seconds later. The order of the recipients is random.
func (w *periodRun) report(ctx context.Context, first, count int, now time.Time) error {
	for _, s := range []struct {
		status dlr.Status
		code   int
	}{{dlr.Dispatched, 401}, {dlr.Delivered, 0}} {
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(senders)
		for _, i := range rand.Perm(count * recipients) {
			g.Go(func() error {
				n := (w.period*w.options.batches+first)*recipients + i
				body := fmt.Appendf(nil,
					`{"type":"recipient_delivery_report_sms","batch_id":"01K2S9A1V5K3C8ME%010d",`+
						`"recipient":"4477%08d",`+
						`"code":%d,"status":"%s","at":"%s","client_reference":"otp/%04x"}`,
					n/recipients, n*61_803_399%100_000_000, s.code, s.status,
					now.Format("2006-01-02T15:04:05.000Z"), n/recipients)
				c, err := dlr.Parse(body)
				if err != nil {
					return err
				}
				return w.store.Record(ctx,
					store.Arrival{Plan: plan, At: now, Entry: store.Report{Report: c.Report, Raw: body}})
			})
		}
		if err := g.Wait(); err != nil {
			return err
		}
		now = now.Add(8 * time.Second)
	}
	return nil
}
