package store

// Requeue makes dead feedback of a batch owed again, at the request of an operator. The task of the batch,
// if any, becomes due at once.
type Requeue struct {
	BatchID    string
	Recipients []string // phone numbers
	WholeBatch bool     `json:"Everyone"` // also the confirmation for the whole batch; the tag keeps the stored name
}

// Batch returns the id of the requeued batch.
func (r Requeue) Batch() string { return r.BatchID }

// Check returns an error if BatchID is empty.
func (r Requeue) Check() error { return checkBatch(r.BatchID) }

// Names returns the length of Recipients.
func (r Requeue) Names() int { return len(r.Recipients) }

// Named returns Recipients as list 0, and false for every other list.
func (r Requeue) Named(i int) ([]string, bool) { return onlyList(i, r.Recipients) }

// Restrict returns a copy of r with only Recipients[from:to].
func (r Requeue) Restrict(from, to int) Entry {
	r.Recipients = r.Recipients[from:to:to]
	return r
}

// RawBytes returns nil: a requeue carries no received body.
func (Requeue) RawBytes() []byte { return nil }

// WithRaw returns r unchanged: this type has no raw bytes.
func (r Requeue) WithRaw([]byte) Entry { return r }
