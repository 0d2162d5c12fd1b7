package webhook

import (
	"context"

	"github.com/dlrloop/dlrloop/store"
)

// Recorder is the part of the store that the webhook uses.
type Recorder interface {
	// Record blocks until a is durable. See store.Store for its errors.
	Record(ctx context.Context, a store.Arrival) error
}
