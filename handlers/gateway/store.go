package gateway

import (
	"context"

	"github.com/dlrloop/dlrloop/store"
)

// Store is the part of the store that the gateway uses. See store.Store for the errors.
type Store interface {
	// Record blocks until a is durable.
	Record(ctx context.Context, a store.Arrival) error
	// Batch returns one batch, or store.ErrNotFound.
	Batch(ctx context.Context, key store.BatchKey) (*store.Batch, error)
}
