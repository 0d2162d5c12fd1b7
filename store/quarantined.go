package store

import (
	"github.com/dlrloop/dlrloop/dlr"
)

// Quarantined is an authentic callback that was not understood. It is kept raw.
type Quarantined struct {
	Reason dlr.Reason
	Type   dlr.Type // as received; may be empty
	Raw    []byte
}

// Batch returns "": quarantined callbacks belong to no batch.
func (Quarantined) Batch() string { return "" }

// Check returns nil: every quarantined callback is complete.
func (Quarantined) Check() error { return nil }

// Names returns 0.
func (Quarantined) Names() int { return 0 }

// Named returns no list.
func (Quarantined) Named(int) ([]string, bool) { return nil, false }

// Restrict returns q itself.
func (q Quarantined) Restrict(_, _ int) Entry { return q }

// RawBytes implements Entry.
func (q Quarantined) RawBytes() []byte { return q.Raw }

// WithRaw implements Entry.
func (q Quarantined) WithRaw(raw []byte) Entry {
	q.Raw = raw
	return q
}
