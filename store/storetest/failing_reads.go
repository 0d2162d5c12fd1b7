package storetest

import (
	"context"
	"time"

	"github.com/dlrloop/dlrloop/store"
)

// Batch calls Store.Batch, subject to the faults of the operation Read.
func (f *Failing) Batch(ctx context.Context, key store.BatchKey) (*store.Batch, error) {
	return through(ctx, f, Read, func(ctx context.Context) (*store.Batch, error) { return f.Store.Batch(ctx, key) })
}

// Batches calls Store.Batches, subject to the faults of the operation Read.
func (f *Failing) Batches(ctx context.Context, q store.BatchQuery) (store.Page[*store.Batch], error) {
	return through(ctx, f, Read, func(ctx context.Context) (store.Page[*store.Batch], error) {
		return f.Store.Batches(ctx, q)
	})
}

// Recipient calls Store.Recipient, subject to the faults of the operation Read.
func (f *Failing) Recipient(ctx context.Context, key store.BatchKey, number string) (store.RecipientWithBodies, error) {
	return through(ctx, f, Read, func(ctx context.Context) (store.RecipientWithBodies, error) {
		return f.Store.Recipient(ctx, key, number)
	})
}

// Recipients calls Store.Recipients, subject to the faults of the operation Read.
func (f *Failing) Recipients(
	ctx context.Context, key store.BatchKey, q store.RecipientQuery,
) (store.Page[*store.Recipient], error) {
	return through(ctx, f, Read, func(ctx context.Context) (store.Page[*store.Recipient], error) {
		return f.Store.Recipients(ctx, key, q)
	})
}

// RecipientBatches calls Store.RecipientBatches, subject to the faults of the operation Read.
func (f *Failing) RecipientBatches(
	ctx context.Context, number string, p store.Paging,
) (store.Page[store.RecipientInBatch], error) {
	return through(ctx, f, Read, func(ctx context.Context) (store.Page[store.RecipientInBatch], error) {
		return f.Store.RecipientBatches(ctx, number, p)
	})
}

// Reports calls Store.Reports, subject to the faults of the operation Read.
func (f *Failing) Reports(ctx context.Context, key store.BatchKey, p store.Paging) (store.Page[store.Logged], error) {
	return through(ctx, f, Read, func(ctx context.Context) (store.Page[store.Logged], error) {
		return f.Store.Reports(ctx, key, p)
	})
}

// Tasks calls Store.Tasks, subject to the faults of the operation Read.
func (f *Failing) Tasks(ctx context.Context, q store.TaskQuery) (store.Page[*store.Batch], error) {
	return through(ctx, f, Read, func(ctx context.Context) (store.Page[*store.Batch], error) {
		return f.Store.Tasks(ctx, q)
	})
}

// Quarantine calls Store.Quarantine, subject to the faults of the operation Read.
func (f *Failing) Quarantine(ctx context.Context, p store.Paging) (store.Page[store.QuarantineEntry], error) {
	return through(ctx, f, Read, func(ctx context.Context) (store.Page[store.QuarantineEntry], error) {
		return f.Store.Quarantine(ctx, p)
	})
}

// Stats calls Store.Stats, subject to the faults of the operation Read.
func (f *Failing) Stats(ctx context.Context) ([]store.PlanStats, error) {
	return through(ctx, f, Read, f.Store.Stats)
}

// Timeseries calls Store.Timeseries, subject to the faults of the operation Read.
func (f *Failing) Timeseries(ctx context.Context, plan string, from, to time.Time) ([]store.MinuteCount, error) {
	return through(ctx, f, Read, func(ctx context.Context) ([]store.MinuteCount, error) {
		return f.Store.Timeseries(ctx, plan, from, to)
	})
}

// InboundMessages calls Store.InboundMessages, or applies the next Read fault.
func (f *Failing) InboundMessages(
	ctx context.Context, q store.InboundQuery,
) (store.Page[store.InboundMessage], error) {
	return through(ctx, f, Read, func(ctx context.Context) (store.Page[store.InboundMessage], error) {
		return f.Store.InboundMessages(ctx, q)
	})
}

// InboundMessage calls Store.InboundMessage, or applies the next Read fault.
func (f *Failing) InboundMessage(ctx context.Context, plan, id string) (store.InboundMessage, error) {
	return through(ctx, f, Read, func(ctx context.Context) (store.InboundMessage, error) {
		return f.Store.InboundMessage(ctx, plan, id)
	})
}
