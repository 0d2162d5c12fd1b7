package store

// Requeue is an operator's request to retry dead feedback of a batch (feedback that dlrloop gave up sending). The
// feedback task of the batch, if any, becomes due at once.
type Requeue struct {
	BatchID    string
	Recipients []string // phone numbers
	WholeBatch bool     `json:"Everyone"` // also the confirmation for the whole batch; the tag keeps the stored name
}

// Batch returns the id of the batch.
func (r Requeue) Batch() string { return r.BatchID }

// Check returns an error if BatchID is empty.
func (r Requeue) Check() error { return checkBatch(r.BatchID) }

// Names returns how many phone numbers Recipients contains.
func (r Requeue) Names() int { return len(r.Recipients) }

// Named returns Recipients, the only list of phone numbers, for i = 0. It returns false for a larger i.
func (r Requeue) Named(i int) ([]string, bool) { return onlyList(i, r.Recipients) }

// Restrict returns a copy of the requeue with only the phone numbers Recipients[from:to].
func (r Requeue) Restrict(from, to int) Entry {
	r.Recipients = r.Recipients[from:to:to]
	return r
}

// RawBytes returns nil, because a requeue carries no callback body.
func (Requeue) RawBytes() []byte { return nil }

// WithRaw returns the requeue unchanged, because it carries no callback body.
func (r Requeue) WithRaw([]byte) Entry { return r }
