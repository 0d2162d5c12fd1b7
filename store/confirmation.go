package store

// Confirmation is the application's own delivery feedback, sent to the gateway: it says that recipients received the
// batch. Set Recipients, or set WholeBatch to confirm all recipients.
type Confirmation struct {
	BatchID    string
	Recipients []string // phone numbers as the application sent them
	// WholeBatch is set if the application sent an empty list, which in Sinch's API means that every recipient received
	// the batch. Only then does dlrloop send an empty list to Sinch.
	WholeBatch bool `json:"Everyone"` // the tag keeps the stored name
}

// Batch implements Entry: it returns the batch id.
func (c Confirmation) Batch() string { return c.BatchID }

// Check implements Entry: it returns an error if BatchID is empty.
func (c Confirmation) Check() error { return checkBatch(c.BatchID) }

// Names implements Entry: it returns the length of Recipients.
func (c Confirmation) Names() int { return len(c.Recipients) }

// Named implements Entry: the entry has one list of phone numbers, Recipients, which is list 0.
func (c Confirmation) Named(i int) ([]string, bool) { return onlyList(i, c.Recipients) }

// Restrict implements Entry: it returns a copy that has only Recipients[from:to].
func (c Confirmation) Restrict(from, to int) Entry {
	c.Recipients = c.Recipients[from:to:to]
	return c
}

// RawBytes implements Entry: it returns nil, because a confirmation has no body from a callback.
func (Confirmation) RawBytes() []byte { return nil }

// WithRaw implements Entry: it returns c unchanged, because a confirmation has no body from a callback.
func (c Confirmation) WithRaw([]byte) Entry { return c }
