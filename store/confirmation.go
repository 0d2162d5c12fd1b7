package store

// Confirmation is the application's statement, sent to the gateway, that recipients received the batch. Set either
// Recipients or WholeBatch.
type Confirmation struct {
	BatchID    string
	Recipients []string // phone numbers as the application sent them
	// WholeBatch is set if the application sent an empty list, which in Sinch's API means that every recipient received
	// the batch. Only then does dlrloop send an empty list to Sinch.
	WholeBatch bool `json:"Everyone"` // the tag keeps the stored name
}

// Batch returns the id of the confirmed batch.
func (c Confirmation) Batch() string { return c.BatchID }

// Check returns an error if BatchID is empty.
func (c Confirmation) Check() error { return checkBatch(c.BatchID) }

// Names returns the length of Recipients.
func (c Confirmation) Names() int { return len(c.Recipients) }

// Named returns Recipients as list 0, and false for every other list.
func (c Confirmation) Named(i int) ([]string, bool) { return onlyList(i, c.Recipients) }

// Restrict returns a copy of c with only Recipients[from:to].
func (c Confirmation) Restrict(from, to int) Entry {
	c.Recipients = c.Recipients[from:to:to]
	return c
}

// RawBytes returns nil: a confirmation carries no received body.
func (Confirmation) RawBytes() []byte { return nil }

// WithRaw returns c unchanged: this type has no raw bytes.
func (c Confirmation) WithRaw([]byte) Entry { return c }
