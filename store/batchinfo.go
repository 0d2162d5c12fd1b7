package store

import (
	"time"
)

// BatchInfo holds what Sinch knows about a batch, such as its send time and whether feedback is enabled. A zero field
// is unknown or not set; times are UTC. It is stored as JSON, so a renamed field keeps its old name in its JSON tag.
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

// SentAt returns when Sinch sends the batch: the later of SendAt and CreatedAt. It returns the zero time if both are
// unknown.
func (f BatchInfo) SentAt() time.Time {
	if f.SendAt.After(f.CreatedAt) {
		return f.SendAt
	}
	return f.CreatedAt
}

// Batch returns the id of the batch.
func (f BatchInfo) Batch() string { return f.BatchID }

// Check returns an error if BatchID is empty.
func (f BatchInfo) Check() error { return checkBatch(f.BatchID) }

// Names returns how many phone numbers Numbers contains.
func (f BatchInfo) Names() int { return len(f.Numbers) }

// Named returns Numbers, the only list of phone numbers, for i = 0. It returns false for a larger i.
func (f BatchInfo) Named(i int) ([]string, bool) { return onlyList(i, f.Numbers) }

// Restrict returns a copy of the batch info with only the phone numbers Numbers[from:to].
func (f BatchInfo) Restrict(from, to int) Entry {
	f.Numbers = f.Numbers[from:to:to]
	return f
}

// RawBytes returns nil, because batch info carries no callback body.
func (BatchInfo) RawBytes() []byte { return nil }

// WithRaw returns the batch info unchanged, because it carries no callback body.
func (f BatchInfo) WithRaw([]byte) Entry { return f }

// FetchNow is batch info that also makes dlrloop fetch the batch's missing reports at once. If the batch is scheduled
// for later, it acts like BatchInfo.
type FetchNow struct{ BatchInfo }

// Restrict returns a copy with only the phone numbers Numbers[from:to].
func (c FetchNow) Restrict(from, to int) Entry {
	c.Numbers = c.Numbers[from:to:to]
	return c
}

// WithRaw returns the FetchNow unchanged, because it carries no callback body.
func (c FetchNow) WithRaw([]byte) Entry { return c }
