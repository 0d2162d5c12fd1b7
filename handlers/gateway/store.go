package gateway

import (
	"context"

	"github.com/dlrloop/dlrloop/store"
)

// Store is the part of the store that the gateway uses, for the batches and the delivery feedback that it records. The
// interface store.Store documents the errors.
type Store interface {
	// Record blocks until a is durable. After an error a may be durable or not.
	Record(ctx context.Context, a store.Arrival) error
	// Batch returns the batch with the given key, or store.ErrNotFound.
	Batch(ctx context.Context, key store.BatchKey) (*store.Batch, error)
}
