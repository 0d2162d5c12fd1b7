package dlr

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Callback is the decoded body of one callback. Report is nil for an inbound message.
type Callback struct {
	Type   Type // as received, at most 64 bytes; empty if absent
	Report *Report
}

// Reason classifies why a body could not be decoded as a report. The set is closed, since it labels quarantined
// callbacks.
type Reason string

// The values of Reason, as the API shows them for quarantined callbacks.
const (
	NotJSON         Reason = "not_json"
	NoType          Reason = "no_type"
	UnknownType     Reason = "unknown_type"
	NoBatchID       Reason = "no_batch_id"
	NoRecipient     Reason = "no_recipient"
	NoStatus        Reason = "no_status"
	TooManyStatuses Reason = "too_many_statuses"

	TooManyRecipients Reason = "too_many_recipients"
)

// Reasons returns all values of Reason. The caller owns the slice.
func Reasons() []Reason {
	return []Reason{NotJSON, NoType, UnknownType, NoBatchID, NoRecipient, NoStatus, TooManyStatuses, TooManyRecipients}
}

// ParseError reports why a body could not be decoded as a report. It contains no more of the body than the type and, if
// the body is not JSON, the offending character, so it may be logged.
type ParseError struct {
	Reason Reason
	Type   Type // as received, at most 64 bytes; empty if the body has no type
	Err    error
}

func (e *ParseError) Error() string {
	switch e.Reason {
	case NotJSON:
		return fmt.Sprintf("not a JSON object: %v", e.Err)
	case NoType:
		return "no member \"type\""
	case UnknownType:
		return fmt.Sprintf("unknown type %.40q", string(e.Type))
	}
	if e.Err != nil {
		return fmt.Sprintf("%s: %v", e.Type, e.Err)
	}
	return fmt.Sprintf("%s: %s", e.Type, strings.ReplaceAll(string(e.Reason), "_", " "))
}

func (e *ParseError) Unwrap() error { return e.Err }

// Limits, in bytes, of the values that stores use as keys: one key too long for a store would block every report
// behind it. Sinch's own values are far shorter. A longer value counts as missing.
const (
	MaxBatchID = 255
	MaxNumber  = 64 // of a recipient's phone number, as received
	maxType    = 64
	maxStatus  = 64
)

// maxStatuses is the most entries of a batch report. Sinch makes one entry for each status and code that occurs; there
// are hundreds of codes.
const maxStatuses = 4096

// maxRecipients is the most recipients of a batch report. Sinch sends a batch to at most 1000 numbers or groups. A
// report of this many recipients has about 16 MB, the default limit of a callback's body.
const maxRecipients = 1 << 20

// maxText is the length to which other strings are truncated, in characters. It is Sinch's limit for a
// client_reference.
const maxText = 2048

// Parse decodes the body of one callback. A body that it does not understand is a *ParseError; the caller must keep
// such a body, not refuse it. A member that is absent, of another JSON type or unreadable becomes the zero value (a
// code becomes NoCode), but a report needs a batch id, and either a recipient with a status or a list of statuses.
// Member names are case-sensitive, and of several members with the same name only the last counts, whatever its value.
// An entry without a status makes the whole report a ParseError, because its recipients would otherwise be lost; so do
// more than 4096 entries or 1 048 576 recipients.
func Parse(body []byte) (Callback, error) {
	object, err := objectOf(body)
	if err != nil {
		return Callback{}, &ParseError{Reason: NotJSON, Err: err}
	}
	w := readCallback(object)
	t, batchID := Type(readText(w.kind)), readText(w.batchID)
	switch {
	case t == "":
		return Callback{}, &ParseError{Reason: NoType}
	case t.Inbound():
		return Callback{Type: t}, nil
	case !t.Known():
		t = Type(strings.ToValidUTF8(string(t[:min(len(t), maxType)]), ""))
		return Callback{Type: t}, &ParseError{Reason: UnknownType, Type: t}
	case len(batchID) > MaxBatchID:
		return Callback{Type: t}, &ParseError{Reason: NoBatchID, Type: t, Err: errLongBatchID}
	case strings.TrimSpace(string(batchID)) == "":
		return Callback{Type: t}, &ParseError{Reason: NoBatchID, Type: t}
	}
	entries, missing := w.entries(t)
	if missing != "" {
		return Callback{Type: t}, &ParseError{Reason: missing, Type: t}
	}
	r := &Report{
		Type:              t,
		BatchID:           string(batchID),
		ClientReference:   readText(w.clientReference).cut(),
		Total:             max(readInteger(w.total, 0), 0),
		Entries:           entries,
		AppliedOriginator: readText(w.appliedOriginator).cut(),
		Encoding:          readText(w.encoding).cut(),
		Operator:          readText(w.operator).cut(),
		Parts:             max(readInteger(w.parts, 0), 0),
	}
	if t.Recipient() {
		r.Total = 1
	}
	return Callback{Type: t, Report: r}, nil
}

var errLongBatchID = fmt.Errorf("the batch id has more than %d bytes", MaxBatchID)

const bom = "\xef\xbb\xbf"

// nullObject replaces a body of null.
var nullObject = []byte("{}")

// objectOf returns the JSON object of the body, or an error that describes what the body is instead.
func objectOf(body []byte) ([]byte, error) {
	body = bytes.TrimPrefix(body, []byte(bom))
	if !json.Valid(body) {
		return nil, json.Unmarshal(body, new(json.RawMessage)) // for its error
	}
	body = bytes.TrimSpace(body)
	switch body[0] {
	case '{':
		return body, nil
	case 'n':
		return nullObject, nil
	case '[':
		return nil, errors.New("it is an array")
	case '"':
		return nil, errors.New("it is a string")
	case 't', 'f':
		return nil, errors.New("it is a boolean")
	}
	return nil, errors.New("it is a number")
}
