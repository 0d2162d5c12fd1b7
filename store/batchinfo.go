package store

import (
	"time"
)

// BatchInfo holds what Sinch knows about a batch, such as its send time and whether feedback is enabled. A zero field
// is unknown or not set; times are UTC. Boltstore's journal stores it as JSON, so a renamed field keeps its old name in
// its JSON tag.
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

// SentAt returns when Sinch sends the batch: the later of SendAt and CreatedAt, or the zero time if both are unknown.
func (f BatchInfo) SentAt() time.Time {
	if f.SendAt.After(f.CreatedAt) {
		return f.SendAt
	}
	return f.CreatedAt
}

// Batch implements Entry: it returns the batch id.
func (f BatchInfo) Batch() string { return f.BatchID }

// Check implements Entry: it returns an error if BatchID is empty.
func (f BatchInfo) Check() error { return checkBatch(f.BatchID) }

// Names implements Entry: it returns the length of Numbers.
func (f BatchInfo) Names() int { return len(f.Numbers) }

// Named implements Entry: the entry has one list of phone numbers, Numbers, which is list 0.
func (f BatchInfo) Named(i int) ([]string, bool) { return onlyList(i, f.Numbers) }

// Restrict implements Entry: it returns a copy that has only Numbers[from:to].
func (f BatchInfo) Restrict(from, to int) Entry {
	f.Numbers = f.Numbers[from:to:to]
	return f
}

// RawBytes implements Entry: it returns nil, because batch info has no body from a callback.
func (BatchInfo) RawBytes() []byte { return nil }

// WithRaw implements Entry: it returns f unchanged, because batch info has no body from a callback.
func (f BatchInfo) WithRaw([]byte) Entry { return f }

// FetchNow is batch info that also makes dlrloop fetch the missing reports of the batch at once. For a batch that is
// scheduled for later it acts like BatchInfo.
type FetchNow struct{ BatchInfo }

// Restrict implements Entry: it returns a copy that has only Numbers[from:to].
func (c FetchNow) Restrict(from, to int) Entry {
	c.Numbers = c.Numbers[from:to:to]
	return c
}

// WithRaw implements Entry: it returns c unchanged, because batch info has no body from a callback.
func (c FetchNow) WithRaw([]byte) Entry { return c }
