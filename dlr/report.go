package dlr

import "time"

// Report is one delivery report. A recipient report has one entry with one recipient. A batch report has one entry for
// each status and code; a full batch report names the recipients of its entries, and a summary only counts them.
type Report struct {
	Type            Type
	BatchID         string // opaque, case-sensitive, never empty, at most 255 bytes
	ClientReference string
	// Total is the total_message_count of a batch report, which may differ from the sum of the counts. It is 1 for a
	// recipient report.
	Total   int
	Entries []Entry

	// The following fields are set only in recipient reports. They are empty or zero if absent.
	AppliedOriginator string
	Encoding          string
	Operator          string // MCC and MNC
	Parts             int
}

// Entry is one entry of a Report. It says how many messages have the same status and code. If the report names the
// recipients, the entry also holds their phone numbers.
type Entry struct {
	State
	Count      int      // number of messages; normally at least len(Recipients), but not checked
	Recipients []string // phone numbers in their original spelling, at most 64 bytes each; nil in a summary
}

// At returns the time at which Sinch made the report, in UTC. It returns the zero time for a batch report, and for a
// recipient report that lacks this time.
func (r *Report) At() time.Time {
	if len(r.Entries) == 0 {
		return time.Time{}
	}
	return r.Entries[0].At
}

// Type is the type of a callback: its JSON member "type", exactly as received.
type Type string

// The types of callbacks that Sinch documents. The first four are delivery reports, about a batch or about one
// recipient. The last three (MO) are inbound messages, which phones have sent.
const (
	BatchSMS     Type = "delivery_report_sms"
	BatchMMS     Type = "delivery_report_mms"
	RecipientSMS Type = "recipient_delivery_report_sms"
	RecipientMMS Type = "recipient_delivery_report_mms"
	MOText       Type = "mo_text"
	MOBinary     Type = "mo_binary"
	MOMedia      Type = "mo_media"
)

// Types returns the documented types of callbacks. The caller owns the slice.
func Types() []Type {
	return []Type{BatchSMS, BatchMMS, RecipientSMS, RecipientMMS, MOText, MOBinary, MOMedia}
}

// Batch reports whether t is the type of a batch report, which counts the messages of a batch by status and code.
func (t Type) Batch() bool { return t == BatchSMS || t == BatchMMS }

// Recipient reports whether t is the type of a recipient report, which states the status of one recipient.
func (t Type) Recipient() bool { return t == RecipientSMS || t == RecipientMMS }

// Inbound reports whether t is the type of an inbound message (MO), which a phone has sent.
func (t Type) Inbound() bool { return t == MOText || t == MOBinary || t == MOMedia }

// Known reports whether Sinch documents t as the type of a callback.
func (t Type) Known() bool { return t.Batch() || t.Recipient() || t.Inbound() }
