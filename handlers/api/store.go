package api

import (
	"context"
	"time"

	"github.com/dlrloop/dlrloop/store"
)

// Store is the part of the store that the API uses. See store.Store for what the methods do and for their errors.
type Store interface {
	Batches
	Recipients
	Totals
	Queue
	Recorder
	// Ready returns nil if an arrival would be made durable now.
	Ready(ctx context.Context) error
}

// Batches reads batches and what Sinch reported about them.
type Batches interface {
	Batch(ctx context.Context, key store.BatchKey) (*store.Batch, error)
	Batches(ctx context.Context, q store.BatchQuery) (store.Page[*store.Batch], error)
	Reports(ctx context.Context, key store.BatchKey, p store.Paging) (store.Page[store.Logged], error)
	Quarantine(ctx context.Context, p store.Paging) (store.Page[store.QuarantineEntry], error)
}

// Recipients reads the recipients of batches.
type Recipients interface {
	Recipient(ctx context.Context, key store.BatchKey, number string) (*store.Recipient, error)
	Recipients(ctx context.Context, key store.BatchKey, q store.RecipientQuery) (store.Page[*store.Recipient], error)
	RecipientBatches(ctx context.Context, number string, p store.Paging) (store.Page[store.RecipientInBatch], error)
}

// Totals reads figures over many batches.
type Totals interface {
	Stats(ctx context.Context) ([]store.PlanStats, error)
	Timeseries(ctx context.Context, plan string, from, to time.Time) ([]store.MinuteCount, error)
	Gauges() store.Gauges
}

// Queue lists and requeues feedback tasks.
type Queue interface {
	Tasks(ctx context.Context, q store.TaskQuery) (store.Page[*store.Batch], error)
	Requeue(ctx context.Context, key store.BatchKey, now time.Time) (int, error)
}

// Recorder makes registered batches durable.
type Recorder interface {
	Record(ctx context.Context, a store.Arrival) error
}
