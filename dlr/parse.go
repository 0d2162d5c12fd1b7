package dlr

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Callback is what one call to the webhook brought. Report is nil for an inbound message, which is no report.
type Callback struct {
	Type   Type
	Report *Report
}

// Reason says why a body was not understood. The set is closed: it labels quarantined callbacks.
type Reason string

// The reasons.
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

// Reasons returns the closed set.
func Reasons() []Reason {
	return []Reason{NotJSON, NoType, UnknownType, NoBatchID, NoRecipient, NoStatus, TooManyStatuses, TooManyRecipients}
}

// ParseError says why a body could not be taken for a report. Of the body it holds the type and, where that is no JSON, the
// character at fault; so it may be logged.
type ParseError struct {
	Reason Reason
	Type   Type // as it came, at most 64 bytes of it; empty if there was none
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

// What a report is filed under is bounded, in bytes: one key too long for a store would block every report behind it.
// Nothing that Sinch sends comes near. What is longer counts as missing.
const (
	maxType    = 64
	maxBatchID = 255
	maxNumber  = 64
	maxStatus  = 64
)

// maxStatuses is how many entries a batch report may have. Sinch makes one for each status and code that occurs, of which
// there are hundreds.
const maxStatuses = 4096

// maxRecipients is how many recipients a batch report may name. Sinch addresses at most 1000 numbers or groups with a batch;
// a report of as many recipients has about 16 MB, the default limit of a callback's body.
const maxRecipients = 1 << 20

// maxText is where other texts are cut, in characters: Sinch's own limit for a client_reference.
const maxText = 2048

// Parse reads the body of one callback. What it does not understand comes back as a *ParseError: such a body is worth
// keeping, never worth refusing. Members that are missing, of another JSON type or unreadable become the zero value (a
// code becomes NoCode), as long as there is a batch, and a recipient with a status or a list of statuses. Names of members
// are case-sensitive; of several members with one name only the last counts, whatever its value. An entry without a status
// makes the whole report a ParseError: its recipients would be lost otherwise. So do more than 4096 entries,
// or more than 1 048 576 recipients.
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
	case len(batchID) > maxBatchID:
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
		Total:             max(readInteger(w.total).or(0), 0),
		Entries:           entries,
		AppliedOriginator: readText(w.appliedOriginator).cut(),
		Encoding:          readText(w.encoding).cut(),
		Operator:          readText(w.operator).cut(),
		Parts:             max(readInteger(w.parts).or(0), 0),
	}
	if t.Recipient() {
		r.Total = 1
	}
	return Callback{Type: t, Report: r}, nil
}

var errLongBatchID = fmt.Errorf("the batch id has more than %d bytes", maxBatchID)

const bom = "\xef\xbb\xbf"

// nullObject is what a body of null is read as.
var nullObject = []byte("{}")

// objectOf returns the JSON object that is the body, or why it is none.
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
		return nil, errors.New("it is of type array")
	case '"':
		return nil, errors.New("it is of type string")
	case 't', 'f':
		return nil, errors.New("it is of type bool")
	}
	return nil, errors.New("it is of type number")
}
