package store

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"time"

	"github.com/dlrloop/dlrloop/dlr"
)

// EventType names a kind of change that the application hears of.
type EventType string

// The values of EventType. EventTypes must list each of them except ReportReceived.
const (
	// RecipientStatus means that the winning state of a recipient has another status or code than before.
	RecipientStatus EventType = "recipient.status"
	// BatchCompleted means that every message of a batch now has a final status. It follows again if the batch gets
	// more recipients and these are completed, too.
	BatchCompleted EventType = "batch.completed"
	// FeedbackAccepted means that Sinch accepted delivery feedback for recipients of a batch.
	FeedbackAccepted EventType = "feedback.accepted"
	// FeedbackGivenUp means that delivery feedback for recipients of a batch is dead: dlrloop no longer retries.
	FeedbackGivenUp EventType = "feedback.dead"
	// InboundReceived means that a phone sent a message to the plan.
	InboundReceived EventType = "inbound.received"
	// CallbackQuarantined means that a callback of Sinch could not be parsed and is kept in the quarantine.
	CallbackQuarantined EventType = "callback.quarantined"
	// ReportReceived is the callback of a report that was not applied before, as received. Only destinations that
	// get Sinch's callbacks use it; the feed leaves it out.
	ReportReceived EventType = "report.received"
)

// EventTypes returns the types of the events that an application can receive, in a new slice.
func EventTypes() []EventType {
	return []EventType{
		RecipientStatus, BatchCompleted, FeedbackAccepted, FeedbackGivenUp, InboundReceived, CallbackQuarantined,
	}
}

// Event is one change of which the application hears. The transaction that applies an arrival also stores the events
// that follow from it. Times are UTC, truncated to the millisecond. Which fields are set depends on Type; a field that
// the type does not use is zero.
type Event struct {
	Type EventType
	At   time.Time // Arrival.At of the arrival that caused the change
	Plan string

	// BatchID, Version and ClientReference are set for an event of a batch. Version rises with each event of the batch,
	// with gaps, so an event with a smaller version than another is older. It continues to rise if the batch is
	// deleted by retention and then starts anew. Like Unix milliseconds, it fits into 53 bits.
	BatchID         string
	Version         int64
	ClientReference string

	// Number and State are set for RecipientStatus: the recipient's phone number as first received, and its winning
	// state, with the times of RecipientReport.Counted.
	Number string
	State  dlr.State

	Counts []StatusCount // for BatchCompleted: the messages of the batch

	// Recipients and WholeBatch are set for FeedbackAccepted and FeedbackGivenUp: the phone numbers concerned, or true
	// if the application's confirmation for the whole batch is concerned. FeedbackGivenUp also has Reason and Detail.
	Recipients []string
	WholeBatch bool
	Reason     Reason
	Detail     string

	// Key identifies an event that belongs to no batch: the id of an InboundReceived message, or the store's key of a
	// CallbackQuarantined callback. The latter also has Misread and CallbackType, why the callback could not be parsed
	// and its type, if any.
	Key          string
	Misread      dlr.Reason
	CallbackType dlr.Type

	// Raw is the body of the callback for InboundReceived and ReportReceived, and for CallbackQuarantined if
	// Policy.KeepCallbacks is set. Signature is what Sinch sent with it, under the same condition; nil if Sinch did
	// not sign the callback.
	Raw       []byte
	Signature *Signature
}

// StatusCount counts the messages of a batch that reports counted in one status and code. A message counts in each
// status that was reported for it.
type StatusCount struct {
	Status   dlr.Status
	Code     int
	Messages int
}

// Signature holds the headers with which Sinch signed a callback, as received.
type Signature struct{ Algorithm, Nonce, Timestamp, Value string }

// ID returns the id of the event: letters and digits. The same change has the same id after a crash, and on every
// replica.
func (e *Event) ID() string {
	h := sha256.New()
	for _, part := range []string{string(e.Type), e.Plan, e.BatchID, e.Key} {
		_, _ = h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part)))) // a hash never returns an error
		_, _ = h.Write([]byte(part))
	}
	_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(e.Version)))
	return "evt_" + base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(h.Sum(nil)[:16])
}

// EventPage is one page of the event log.
type EventPage struct {
	Events []Event // oldest first; the events of one batch in the order of their versions
	Next   string  // the cursor after the last event; that of the request if there are no events
	// Cursor returns the cursor after Events[i]. It is not nil.
	Cursor func(i int) string
}

// EventBacklog describes the events that follow a cursor.
type EventBacklog struct {
	Events int       // how many there are
	Oldest time.Time // Event.At of the first one; zero if there are none
}

// CursorGoneError means that a cursor is from another store, or that events after it were deleted.
type CursorGoneError struct {
	Oldest string // the cursor before the oldest event that the store still has
}

func (e *CursorGoneError) Error() string { return "the events after this cursor are no longer kept" }
