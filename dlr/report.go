package dlr

import "time"

// Report is one delivery report of either shape: a recipient report has one entry with one recipient, a batch report an
// entry for each status and code, with or without its recipients.
type Report struct {
	Type            Type
	BatchID         string // opaque, case-sensitive, never empty, at most 255 bytes
	ClientReference string
	// Total is the total_message_count of a batch report; it need not be the sum of the counts. 1 for a recipient report.
	Total   int
	Entries []Entry

	// Of a recipient report only; empty or zero where Sinch sent none.
	AppliedOriginator string
	Encoding          string
	Operator          string // MCC and MNC
	Parts             int
}

// Entry is what a report says of all recipients that share a status and code.
type Entry struct {
	State
	Count      int      // messages; at least len(Recipients) in a sound report, which is not enforced
	Recipients []string // as they came, at most 64 bytes each; nil in a summary
}

// At is when Sinch made the report; zero for a batch report, which carries no time.
func (r *Report) At() time.Time {
	if len(r.Entries) == 0 {
		return time.Time{}
	}
	return r.Entries[0].At
}

// Type is the discriminator of a callback as Sinch sent it.
type Type string

// The documented types.
const (
	BatchSMS     Type = "delivery_report_sms"
	BatchMMS     Type = "delivery_report_mms"
	RecipientSMS Type = "recipient_delivery_report_sms"
	RecipientMMS Type = "recipient_delivery_report_mms"
	MOText       Type = "mo_text"
	MOBinary     Type = "mo_binary"
	MOMedia      Type = "mo_media"
)

// Types returns the documented types.
func Types() []Type {
	return []Type{BatchSMS, BatchMMS, RecipientSMS, RecipientMMS, MOText, MOBinary, MOMedia}
}

// Batch reports whether t is a report of a whole batch.
func (t Type) Batch() bool { return t == BatchSMS || t == BatchMMS }

// Recipient reports whether t is a report of one recipient.
func (t Type) Recipient() bool { return t == RecipientSMS || t == RecipientMMS }

// Inbound reports whether t is a message from a phone (MO), not a report.
func (t Type) Inbound() bool { return t == MOText || t == MOBinary || t == MOMedia }

// Known reports whether t is a documented type.
func (t Type) Known() bool { return t.Batch() || t.Recipient() || t.Inbound() }
