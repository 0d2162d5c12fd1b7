package webhook

import (
	"context"

	"github.com/dlrloop/dlrloop/store"
)

// Recorder is the part of the store that the webhook needs: Record makes a callback durable before it is answered.
type Recorder interface {
	// Record blocks until a is durable. After an error a may be durable or not; see store.Store for the errors.
	Record(ctx context.Context, a store.Arrival) error
}
