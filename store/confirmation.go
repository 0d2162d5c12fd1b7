package store

// Confirmation is delivery feedback that the application itself sent through the gateway, dlrloop's proxy to Sinch. It
// says that the phone numbers in Recipients received the batch; with WholeBatch, all recipients did.
type Confirmation struct {
	BatchID    string
	Recipients []string // phone numbers as the application sent them
	// WholeBatch is set if the application sent an empty list, which in Sinch's API means that every recipient received
	// the batch. Only then does dlrloop send an empty list to Sinch.
	WholeBatch bool `json:"Everyone"` // the tag keeps the stored name
}

// Batch returns the id of the batch.
func (c Confirmation) Batch() string { return c.BatchID }

// Check returns an error if BatchID is empty.
func (c Confirmation) Check() error { return checkBatch(c.BatchID) }

// Names returns how many phone numbers Recipients contains.
func (c Confirmation) Names() int { return len(c.Recipients) }

// Named returns Recipients, the only list of phone numbers, for i = 0. It returns false for a larger i.
func (c Confirmation) Named(i int) ([]string, bool) { return onlyList(i, c.Recipients) }

// Restrict returns a copy of the confirmation with only the phone numbers Recipients[from:to].
func (c Confirmation) Restrict(from, to int) Entry {
	c.Recipients = c.Recipients[from:to:to]
	return c
}

// RawBytes returns nil, because a confirmation carries no callback body.
func (Confirmation) RawBytes() []byte { return nil }

// WithRaw returns the confirmation unchanged, because it carries no callback body.
func (c Confirmation) WithRaw([]byte) Entry { return c }
