package store

import (
	"github.com/dlrloop/dlrloop/dlr"
)

// Quarantined is an authentic callback that could not be parsed. The stores keep its body as received.
type Quarantined struct {
	Reason dlr.Reason // why parsing failed
	Type   dlr.Type   // as received; may be empty
	Raw    []byte     // the body
}

// Batch returns "": quarantined callbacks belong to no batch.
func (Quarantined) Batch() string { return "" }

// Check returns nil: every quarantined callback is complete.
func (Quarantined) Check() error { return nil }

// Names returns 0: a quarantined callback names no recipient.
func (Quarantined) Names() int { return 0 }

// Named returns false: a quarantined callback names no recipient.
func (Quarantined) Named(int) ([]string, bool) { return nil, false }

// Restrict returns q itself.
func (q Quarantined) Restrict(_, _ int) Entry { return q }

// RawBytes returns Raw without copying.
func (q Quarantined) RawBytes() []byte { return q.Raw }

// WithRaw returns a copy of q that refers to raw.
func (q Quarantined) WithRaw(raw []byte) Entry {
	q.Raw = raw
	return q
}
