package store

import (
	"time"
)

// BatchInfo holds the properties of a batch at Sinch. A zero member is unknown or not set. Times are UTC. The stores
// keep the JSON form of BatchInfo; a tag keeps a stored name that is older than the name of its member.
type BatchInfo struct {
	BatchID         string
	Unknown         bool `json:"Missing"` // Sinch answered that the batch is unknown; only BatchID and Source are set then
	FeedbackEnabled bool
	ReportKind      string // none, summary, full, per_recipient, per_recipient_final
	ClientReference string
	Recipients      int // how many distinct phone numbers and groups the batch was addressed to
	Groups          int // how many of Recipients are groups, whose sizes are unknown
	// Numbers lists the phone numbers that the batch was addressed to, if known. The fold adds each as a recipient,
	// so a recipient exists before its first report. Batch.Info does not keep Numbers.
	Numbers    []string
	Canceled   bool
	CreatedAt  time.Time
	ModifiedAt time.Time // when the batch last changed at Sinch; batch info with an earlier time never replaces later info
	SendAt     time.Time
	ExpireAt   time.Time
	Source     Source
}

// SentAt returns when Sinch sends or sent the batch: the later of SendAt and CreatedAt. It returns the zero time if
// both are unknown.
func (f BatchInfo) SentAt() time.Time {
	if f.SendAt.After(f.CreatedAt) {
		return f.SendAt
	}
	return f.CreatedAt
}

// Batch returns the id of the batch that f describes.
func (f BatchInfo) Batch() string { return f.BatchID }

// Check returns an error if BatchID is empty.
func (f BatchInfo) Check() error { return checkBatch(f.BatchID) }

// Names returns the length of Numbers.
func (f BatchInfo) Names() int { return len(f.Numbers) }

// Named returns Numbers as list 0, and false for every other list.
func (f BatchInfo) Named(i int) ([]string, bool) { return onlyList(i, f.Numbers) }

// Restrict returns a copy of f with only Numbers[from:to].
func (f BatchInfo) Restrict(from, to int) Entry {
	f.Numbers = f.Numbers[from:to:to]
	return f
}

// RawBytes returns nil: batch info carries no received body.
func (BatchInfo) RawBytes() []byte { return nil }

// WithRaw returns f unchanged: this type has no raw bytes.
func (f BatchInfo) WithRaw([]byte) Entry { return f }

// FetchNow is batch info that also makes the missing reports of the batch due at once: it sets ReportFetch.Due to the
// time of the arrival. If the batch is sent only after that time, FetchNow has the effect of BatchInfo.
type FetchNow struct{ BatchInfo }

// Restrict returns a copy of c with only Numbers[from:to].
func (c FetchNow) Restrict(from, to int) Entry {
	c.Numbers = c.Numbers[from:to:to]
	return c
}

// WithRaw returns c unchanged: this type has no raw bytes.
func (c FetchNow) WithRaw([]byte) Entry { return c }
