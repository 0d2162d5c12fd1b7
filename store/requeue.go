package store

// Requeue makes dead recipients owed again. An operator requests it.
type Requeue struct {
	BatchID    string
	Recipients []string
	WholeBatch bool `json:"Everyone"` // also requeue the confirmation for the whole batch
}

// Batch returns the id of the requeued batch.
func (r Requeue) Batch() string { return r.BatchID }

// Check returns an error if the batch id is missing.
func (r Requeue) Check() error { return checkBatch(r.BatchID) }

// Names implements Entry.
func (r Requeue) Names() int { return len(r.Recipients) }

// Named implements Entry.
func (r Requeue) Named(i int) ([]string, bool) { return onlyList(i, r.Recipients) }

// Restrict implements Entry.
func (r Requeue) Restrict(from, to int) Entry {
	r.Recipients = r.Recipients[from:to:to]
	return r
}

// RawBytes returns nil.
func (Requeue) RawBytes() []byte { return nil }

// WithRaw returns r itself.
func (r Requeue) WithRaw([]byte) Entry { return r }
