package store

import (
	"time"
)

// Facts is the batch info: the properties of a batch at Sinch. A zero member is unknown or not set.
type Facts struct {
	BatchID         string
	Missing         bool // Sinch answered that the batch is unknown; only BatchID and Source are set then
	FeedbackEnabled bool
	ReportKind      string // none, summary, full, per_recipient, per_recipient_final
	ClientReference string
	Recipients      int // distinct entries in the batch's to: numbers and groups
	Groups          int // those of Recipients that are groups; the size of a group is unknown
	// Numbers lists the entries in to that are numbers, if known. They become recipients of the batch before any
	// report names them. Batch.Facts does not keep them.
	Numbers    []string
	Canceled   bool
	CreatedAt  time.Time
	ModifiedAt time.Time // older batch info never replaces newer
	SendAt     time.Time
	ExpireAt   time.Time
	Source     Source
}

// SentAt returns when Sinch sent the batch: SendAt, or CreatedAt if that is later. It is zero if both are unknown.
func (f Facts) SentAt() time.Time {
	if f.SendAt.After(f.CreatedAt) {
		return f.SendAt
	}
	return f.CreatedAt
}

// Batch returns the id of the batch that f describes.
func (f Facts) Batch() string { return f.BatchID }

// Check returns an error if the batch id is missing.
func (f Facts) Check() error { return checkBatch(f.BatchID) }

// Names implements News.
func (f Facts) Names() int { return len(f.Numbers) }

// Named implements News.
func (f Facts) Named(i int) ([]string, bool) { return onlyList(i, f.Numbers) }

// Restrict implements News.
func (f Facts) Restrict(from, to int) News {
	f.Numbers = f.Numbers[from:to:to]
	return f
}

// RawBytes returns nil.
func (Facts) RawBytes() []byte { return nil }

// WithRaw returns f itself.
func (f Facts) WithRaw([]byte) News { return f }

// CheckNow is batch info that also makes a batch with missing reports due for a fetch at once, unless its SendAt is
// still ahead. It overrides Check.
type CheckNow struct{ Facts }

// Restrict implements News.
func (c CheckNow) Restrict(from, to int) News {
	c.Numbers = c.Numbers[from:to:to]
	return c
}

// WithRaw returns c itself.
func (c CheckNow) WithRaw([]byte) News { return c }
