package batchinfo

import (
	"errors"
	"fmt"
	"strings"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/sinch"
	"github.com/dlrloop/dlrloop/store"
)

// Limits of the info that Convert returns. Convert shortens the report kind (Sinch's delivery_report) to maxKind bytes,
// and keeps only the first maxNumbers phone numbers. The batches that Sinch accepts are far below both limits.
const (
	maxKind    = 64      // bytes of the report kind, the value of delivery_report in the request
	maxNumbers = 1 << 16 // numbers that become recipients of the batch before a report names them
)

// Check returns an error if b cannot be a complete batch from Sinch. The id must have 1 to 255 bytes, and b must have
// recipients (To) or a creation time. The error may be logged: it contains no part of b.
func Check(b *sinch.Batch) error {
	switch {
	case b.ID == "":
		return errors.New("id is missing")
	case len(b.ID) > dlr.MaxBatchID:
		return fmt.Errorf("id is longer than %d bytes", dlr.MaxBatchID)
	case len(b.To) == 0 && b.CreatedAt.IsZero():
		return errors.New("to and created_at are missing")
	}
	return nil
}

// Convert converts a batch from Sinch into the BatchInfo that the store keeps. source tells how dlrloop obtained the
// batch. Call Check first, because Convert does not limit the length of the batch id. In the result, Recipients counts
// all numbers and groups of the batch, but Numbers holds only the first 65 536 numbers.
func Convert(b *sinch.Batch, source store.Source) store.BatchInfo {
	numbers, groups := b.Numbers(), b.Groups()
	kind := string(b.DeliveryReport)
	if len(kind) > maxKind {
		kind = strings.ToValidUTF8(kind[:maxKind], "")
	}
	return store.BatchInfo{
		BatchID:         b.ID,
		FeedbackEnabled: b.FeedbackEnabled,
		ReportKind:      kind,
		ClientReference: b.ClientReference,
		Recipients:      len(numbers) + groups,
		Groups:          groups,
		Numbers:         numbers[:min(len(numbers), maxNumbers)],
		Canceled:        b.Canceled,
		CreatedAt:       b.CreatedAt,
		ModifiedAt:      b.ModifiedAt,
		SendAt:          b.SendAt,
		ExpireAt:        b.ExpireAt,
		Source:          source,
	}
}
