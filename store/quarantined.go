package store

import (
	"github.com/dlrloop/dlrloop/dlr"
)

// Quarantined is a callback from Sinch that passed authentication but could not be parsed. Stores keep its body as
// received.
type Quarantined struct {
	Reason dlr.Reason // why parsing failed
	Type   dlr.Type   // as received; may be empty
	Raw    []byte     // the body
}

// Batch returns the empty string, because the batch of an unparsed callback is unknown.
func (Quarantined) Batch() string { return "" }

// Check returns nil, because an unparsed callback has no required field.
func (Quarantined) Check() error { return nil }

// Names returns 0, because an unparsed callback names no recipient.
func (Quarantined) Names() int { return 0 }

// Named returns false, because an unparsed callback names no recipient.
func (Quarantined) Named(int) ([]string, bool) { return nil, false }

// Restrict returns the callback unchanged, because it names no recipient.
func (q Quarantined) Restrict(_, _ int) Entry { return q }

// RawBytes returns the callback body itself, not a copy.
func (q Quarantined) RawBytes() []byte { return q.Raw }

// WithRaw returns a copy of the callback with raw as its body.
func (q Quarantined) WithRaw(raw []byte) Entry {
	q.Raw = raw
	return q
}
