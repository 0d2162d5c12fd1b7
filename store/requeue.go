package store

// Requeue makes dead feedback of a batch (feedback that dlrloop gave up sending) owed again, at the request of an
// operator. The task of the batch, if any, becomes due at once.
type Requeue struct {
	BatchID    string
	Recipients []string // phone numbers
	WholeBatch bool     `json:"Everyone"` // also the confirmation for the whole batch; the tag keeps the stored name
}

// Batch implements Entry: it returns the batch id.
func (r Requeue) Batch() string { return r.BatchID }

// Check implements Entry: it returns an error if BatchID is empty.
func (r Requeue) Check() error { return checkBatch(r.BatchID) }

// Names implements Entry: it returns the length of Recipients.
func (r Requeue) Names() int { return len(r.Recipients) }

// Named implements Entry: the entry has one list of phone numbers, Recipients, which is list 0.
func (r Requeue) Named(i int) ([]string, bool) { return onlyList(i, r.Recipients) }

// Restrict implements Entry: it returns a copy that has only Recipients[from:to].
func (r Requeue) Restrict(from, to int) Entry {
	r.Recipients = r.Recipients[from:to:to]
	return r
}

// RawBytes implements Entry: it returns nil, because a requeue has no body from a callback.
func (Requeue) RawBytes() []byte { return nil }

// WithRaw implements Entry: it returns r unchanged, because a requeue has no body from a callback.
func (r Requeue) WithRaw([]byte) Entry { return r }
