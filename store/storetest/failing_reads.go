package storetest

import (
	"context"
	"time"

	"github.com/dlrloop/dlrloop/store"
)

// Batch reads one batch, or fails on purpose.
func (f *Failing) Batch(ctx context.Context, key store.BatchKey) (*store.Batch, error) {
	return through(ctx, f, Read, func(ctx context.Context) (*store.Batch, error) { return f.Store.Batch(ctx, key) })
}

// Batches lists batches, or fails on purpose.
func (f *Failing) Batches(ctx context.Context, q store.BatchQuery) (store.Page[*store.Batch], error) {
	return through(ctx, f, Read, func(ctx context.Context) (store.Page[*store.Batch], error) { return f.Store.Batches(ctx, q) })
}

// Recipient reads one recipient, or fails on purpose.
func (f *Failing) Recipient(ctx context.Context, key store.BatchKey, number string) (*store.Recipient, error) {
	return through(ctx, f, Read, func(ctx context.Context) (*store.Recipient, error) {
		return f.Store.Recipient(ctx, key, number)
	})
}

// Recipients lists a batch's recipients, or fails on purpose.
func (f *Failing) Recipients(ctx context.Context, key store.BatchKey, q store.RecipientQuery) (store.Page[*store.Recipient], error) {
	return through(ctx, f, Read, func(ctx context.Context) (store.Page[*store.Recipient], error) {
		return f.Store.Recipients(ctx, key, q)
	})
}

// RecipientBatches lists the batches of a number, or fails on purpose.
func (f *Failing) RecipientBatches(ctx context.Context, number string, p store.Paging) (store.Page[store.RecipientInBatch], error) {
	return through(ctx, f, Read, func(ctx context.Context) (store.Page[store.RecipientInBatch], error) {
		return f.Store.RecipientBatches(ctx, number, p)
	})
}

// Reports lists a batch's report log, or fails on purpose.
func (f *Failing) Reports(ctx context.Context, key store.BatchKey, p store.Paging) (store.Page[store.Logged], error) {
	return through(ctx, f, Read, func(ctx context.Context) (store.Page[store.Logged], error) {
		return f.Store.Reports(ctx, key, p)
	})
}

// Tasks lists feedback that is pending or dead, or fails on purpose.
func (f *Failing) Tasks(ctx context.Context, q store.TaskQuery) (store.Page[*store.Batch], error) {
	return through(ctx, f, Read, func(ctx context.Context) (store.Page[*store.Batch], error) { return f.Store.Tasks(ctx, q) })
}

// Quarantine lists what was not understood, or fails on purpose.
func (f *Failing) Quarantine(ctx context.Context, p store.Paging) (store.Page[store.QuarantineEntry], error) {
	return through(ctx, f, Read, func(ctx context.Context) (store.Page[store.QuarantineEntry], error) {
		return f.Store.Quarantine(ctx, p)
	})
}

// Stats reads the totals, or fails on purpose.
func (f *Failing) Stats(ctx context.Context) ([]store.PlanStats, error) {
	return through(ctx, f, Read, f.Store.Stats)
}

// Timeseries reads minute counts, or fails on purpose.
func (f *Failing) Timeseries(ctx context.Context, plan string, from, to time.Time) ([]store.MinuteCount, error) {
	return through(ctx, f, Read, func(ctx context.Context) ([]store.MinuteCount, error) {
		return f.Store.Timeseries(ctx, plan, from, to)
	})
}
