package store

// Confirmation is the application's statement that recipients received the batch. It names at least one recipient or
// sets WholeBatch.
type Confirmation struct {
	BatchID    string
	Recipients []string // numbers as received
	// WholeBatch is set if the application sent an empty list, which in Sinch's API means that every recipient received
	// the batch. Only then does dlrloop send an empty list to Sinch.
	WholeBatch bool `json:"Everyone"` // the JSON is stored; Everyone is the stored name
}

// Batch returns the id of the confirmed batch.
func (c Confirmation) Batch() string { return c.BatchID }

// Check returns an error if the batch id is missing.
func (c Confirmation) Check() error { return checkBatch(c.BatchID) }

// Names implements Entry.
func (c Confirmation) Names() int { return len(c.Recipients) }

// Named implements Entry.
func (c Confirmation) Named(i int) ([]string, bool) { return onlyList(i, c.Recipients) }

// Restrict implements Entry.
func (c Confirmation) Restrict(from, to int) Entry {
	c.Recipients = c.Recipients[from:to:to]
	return c
}

// RawBytes returns nil.
func (Confirmation) RawBytes() []byte { return nil }

// WithRaw returns c itself.
func (c Confirmation) WithRaw([]byte) Entry { return c }
