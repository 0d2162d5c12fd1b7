package handlers

import (
	"github.com/dlrloop/dlrloop/sinch"
	"github.com/dlrloop/dlrloop/store"
)

// What batches and recipients are filed under is bounded, in bytes, as dlr bounds it for reports: one key too long for a store
// would block everything behind it. Nothing that Sinch sends comes near.
const (
	maxBatchID = 255
	maxNumber  = 64
)

// factsOf is what the store keeps of b, a batch as Sinch answered it: to the gateway, or to the application that registers it.
// The caller has seen that b has an id of at most maxBatchID bytes.
func factsOf(b *sinch.Batch, source store.Source) store.Facts {
	numbers, groups := b.Numbers(), b.Groups()
	return store.Facts{
		BatchID:         b.ID,
		FeedbackEnabled: b.FeedbackEnabled,
		ReportKind:      string(b.DeliveryReport),
		ClientReference: b.ClientReference,
		Recipients:      len(numbers) + groups,
		Groups:          groups,
		Numbers:         numbers,
		Canceled:        b.Canceled,
		CreatedAt:       b.CreatedAt,
		ModifiedAt:      b.ModifiedAt,
		SendAt:          b.SendAt,
		ExpireAt:        b.ExpireAt,
		Source:          source,
	}
}
