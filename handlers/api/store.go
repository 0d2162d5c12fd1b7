package api

import (
	"context"
	"time"

	"github.com/dlrloop/dlrloop/store"
)

// Store is the part of the store that package api uses. The interfaces of package store document the methods and their
// errors.
type Store interface {
	Batches
	Recipients
	Inbound
	Totals
	Queue
	Recorder
	Destinations
	// Ready blocks until it is known whether an arrival would be made durable now, and returns nil if so.
	Ready(ctx context.Context) error
}

// Batches is the part of Store that reads batches, the log of reports of a batch, and the quarantine: callbacks that
// could not be parsed.
type Batches interface {
	Batch(ctx context.Context, key store.BatchKey) (*store.Batch, error)
	Batches(ctx context.Context, q store.BatchQuery) (store.Page[*store.Batch], error)
	Reports(ctx context.Context, key store.BatchKey, p store.Paging) (store.Page[store.Logged], error)
	Quarantine(ctx context.Context, p store.Paging) (store.Page[store.QuarantineEntry], error)
}

// Recipients is the part of Store that reads recipients: one of a batch, all of a batch, or one phone number in all
// batches. It also erases a phone number.
type Recipients interface {
	Recipient(ctx context.Context, key store.BatchKey, number string) (store.RecipientWithBodies, error)
	Recipients(ctx context.Context, key store.BatchKey, q store.RecipientQuery) (store.Page[*store.Recipient], error)
	RecipientBatches(ctx context.Context, number string, p store.Paging) (store.Page[store.RecipientInBatch], error)
	Erase(ctx context.Context, number string) (store.Erased, error)
}

// Inbound is the part of Store that reads inbound messages, which phones sent to a service plan.
type Inbound interface {
	InboundMessages(ctx context.Context, q store.InboundQuery) (store.Page[store.InboundMessage], error)
	InboundMessage(ctx context.Context, plan, id string) (store.InboundMessage, error)
}

// Totals is the part of Store that reads the totals of each service plan, the message counts per minute, and the sizes
// of the store.
type Totals interface {
	Stats(ctx context.Context) ([]store.PlanStats, error)
	Timeseries(ctx context.Context, plan string, from, to time.Time) ([]store.MinuteCount, error)
	Gauges() store.Gauges
}

// Queue is the part of Store that lists the batches with unsent feedback for Sinch, and makes the feedback of a batch
// due now.
type Queue interface {
	Tasks(ctx context.Context, q store.TaskQuery) (store.Page[*store.Batch], error)
	Requeue(ctx context.Context, key store.BatchKey, now time.Time) (int, error)
}

// Destinations is the part of Store that reads and deletes destinations, the URLs to which events are sent. It also
// makes the dead events of a destination (those that were given up) due again.
type Destinations interface {
	Destinations(ctx context.Context) ([]store.Destination, error)
	EventBacklog(ctx context.Context, cursor string) (store.EventBacklog, error)
	DeferredEvents(ctx context.Context, name string, dead bool, p store.Paging) (store.Page[store.DeferredEvent], error)
	RequeueEvents(ctx context.Context, name string, now time.Time) (int, error)
	DeleteDestination(ctx context.Context, name string) error
}

// Recorder is the part of Store that records batches that an application registers. Record returns nil only after the
// batch is durable.
type Recorder interface {
	Record(ctx context.Context, a store.Arrival) error
}
