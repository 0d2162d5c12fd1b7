package batchinfo

import (
	"github.com/dlrloop/dlrloop/sinch"
	"github.com/dlrloop/dlrloop/store"
)

// Limits in bytes on batch ids and numbers, which are keys of the store. They are the same as those of package dlr: a
// key that is too long for a store would block every arrival behind it. Sinch's ids and numbers are far shorter.
const (
	MaxBatchID = 255
	MaxNumber  = 64
)

// Of returns the info that the store keeps about b, a batch as Sinch returned it to the gateway or to the
// application that registers it. The caller has checked that the id of b has 1 to MaxBatchID bytes.
func Of(b *sinch.Batch, source store.Source) store.Facts {
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
