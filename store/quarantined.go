package store

import (
	"github.com/dlrloop/dlrloop/dlr"
)

// Quarantined is an authentic callback from Sinch that dlrloop could not parse. The stores keep its body as received.
type Quarantined struct {
	Reason dlr.Reason // why parsing failed
	Type   dlr.Type   // as received; may be empty
	Raw    []byte     // the body
}

// Batch implements Entry: it returns "", because the batch of an unparsed callback is unknown.
func (Quarantined) Batch() string { return "" }

// Check implements Entry: it returns nil, because a quarantined callback needs no batch id.
func (Quarantined) Check() error { return nil }

// Names implements Entry: it returns 0, because an unparsed callback names no recipient.
func (Quarantined) Names() int { return 0 }

// Named implements Entry: it returns false, because an unparsed callback names no recipient.
func (Quarantined) Named(int) ([]string, bool) { return nil, false }

// Restrict implements Entry: it returns q unchanged, because an unparsed callback names no recipient.
func (q Quarantined) Restrict(_, _ int) Entry { return q }

// RawBytes implements Entry: it returns Raw itself, not a copy.
func (q Quarantined) RawBytes() []byte { return q.Raw }

// WithRaw implements Entry: it returns a copy of q with raw as its body.
func (q Quarantined) WithRaw(raw []byte) Entry {
	q.Raw = raw
	return q
}
