package store

import (
	"time"
)

// BatchInfo holds the properties of a batch at Sinch. A zero member is unknown or not set. Its JSON is stored: a tag
// keeps the stored name of a member.
type BatchInfo struct {
	BatchID         string
	Unknown         bool `json:"Missing"` // Sinch answered that the batch is unknown; only BatchID and Source are set then
	FeedbackEnabled bool
	ReportKind      string // none, summary, full, per_recipient, per_recipient_final
	ClientReference string
	Recipients      int // distinct entries in the batch's to: numbers and groups
	Groups          int // those of Recipients that are groups; the size of a group is unknown
	// Numbers lists the entries in to that are numbers, if known. They become recipients of the batch before any
	// report names them. Batch.Info does not keep them.
	Numbers    []string
	Canceled   bool
	CreatedAt  time.Time
	ModifiedAt time.Time // older batch info never replaces newer
	SendAt     time.Time
	ExpireAt   time.Time
	Source     Source
}

// SentAt returns when Sinch sent the batch: SendAt, or CreatedAt if that is later. It is zero if both are unknown.
func (f BatchInfo) SentAt() time.Time {
	if f.SendAt.After(f.CreatedAt) {
		return f.SendAt
	}
	return f.CreatedAt
}

// Batch returns the id of the batch that f describes.
func (f BatchInfo) Batch() string { return f.BatchID }

// Check returns an error if the batch id is missing.
func (f BatchInfo) Check() error { return checkBatch(f.BatchID) }

// Names implements Entry.
func (f BatchInfo) Names() int { return len(f.Numbers) }

// Named implements Entry.
func (f BatchInfo) Named(i int) ([]string, bool) { return onlyList(i, f.Numbers) }

// Restrict implements Entry.
func (f BatchInfo) Restrict(from, to int) Entry {
	f.Numbers = f.Numbers[from:to:to]
	return f
}

// RawBytes returns nil.
func (BatchInfo) RawBytes() []byte { return nil }

// WithRaw returns f itself.
func (f BatchInfo) WithRaw([]byte) Entry { return f }

// FetchNow is batch info that also makes a batch with missing reports due for a fetch at once, unless its SendAt is
// still ahead. It overrides ReportFetch.
type FetchNow struct{ BatchInfo }

// Restrict implements Entry.
func (c FetchNow) Restrict(from, to int) Entry {
	c.Numbers = c.Numbers[from:to:to]
	return c
}

// WithRaw returns c itself.
func (c FetchNow) WithRaw([]byte) Entry { return c }
