package dlr

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Callback is the decoded body of a callback from Sinch: either a delivery report or an inbound message. If Parse
// returns an error, Report and Inbound are nil.
type Callback struct {
	Type    Type     // as received, at most 64 bytes; empty if absent
	Report  *Report  // nil for an inbound message
	Inbound *Inbound // nil for a report
}

// Reason tells why the body of a callback could not be decoded. The constants below are the only values. Stores keep
// reasons, so the text of a constant must never change.
type Reason string

// The values of Reason. The API shows them for quarantined callbacks, which are stored as received because their body
// could not be decoded.
const (
	NotJSON         Reason = "not_json"
	NoType          Reason = "no_type"
	UnknownType     Reason = "unknown_type"
	NoBatchID       Reason = "no_batch_id"
	NoID            Reason = "no_id" // of an inbound message
	NoRecipient     Reason = "no_recipient"
	NoStatus        Reason = "no_status"
	TooManyStatuses Reason = "too_many_statuses"

	TooManyRecipients Reason = "too_many_recipients"
)

// Reasons returns all values of Reason. The caller owns the slice.
func Reasons() []Reason {
	return []Reason{
		NotJSON, NoType, UnknownType, NoBatchID, NoID, NoRecipient, NoStatus, TooManyStatuses, TooManyRecipients,
	}
}

// ParseError is the error of Parse for a body that cannot be decoded. It may be logged: it contains no part of the body
// except the type and, if the body is not JSON, the offending character.
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

// Limits of values in a report, in bytes. Parse treats a longer batch id, phone number or status as missing, because it
// would not fit into a database key. A longer type is truncated. Sinch's own values are far shorter.
const (
	MaxBatchID = 255
	MaxNumber  = 64 // of a recipient's phone number, as received
	maxType    = 64
	maxStatus  = 64
)

// maxStatuses is the maximum number of entries in a batch report; Parse rejects a report with more. Sinch writes one
// entry for each status and code that occurs, and there are hundreds of codes.
const maxStatuses = 4096

// maxRecipients is the maximum number of recipients in a batch report; Parse rejects a report with more. Sinch sends a
// batch to at most 1000 numbers or groups, but a group can contain many numbers. A body with maxRecipients phone
// numbers is about 16 MB long, which is the default limit of a callback's body.
const maxRecipients = 1 << 20

// maxText is the number of characters to which Parse truncates strings such as client_reference. That is also Sinch's
// limit for a client_reference.
const maxText = 2048

// Parse decodes the body of one callback. Every error is a *ParseError; the caller must then keep the body and still
// accept the callback. The body must be a JSON object with a type that Sinch documents. A recipient report must have a
// batch id, a recipient and a status. A batch report must have a batch id and a list of entries, each with a status; it
// may have at most 4096 entries and 1 048 576 recipients. An inbound message must have an id. Other members that are
// missing or unreadable become zero values; a missing code becomes NoCode.
func Parse(body []byte) (Callback, error) {
	object, err := objectOf(body)
	if err != nil {
		return Callback{}, &ParseError{Reason: NotJSON, Err: err}
	}
	raw := readRawReport(object)
	t, batchID := Type(readText(raw.kind)), readText(raw.batchID)
	switch {
	case t == "":
		return Callback{}, &ParseError{Reason: NoType}
	case t.Inbound():
		return parseInbound(t, object)
	case !t.Known():
		t = Type(strings.ToValidUTF8(string(t[:min(len(t), maxType)]), ""))
		return Callback{Type: t}, &ParseError{Reason: UnknownType, Type: t}
	case len(batchID) > MaxBatchID:
		return Callback{Type: t}, &ParseError{Reason: NoBatchID, Type: t, Err: errLongBatchID}
	case strings.TrimSpace(string(batchID)) == "":
		return Callback{Type: t}, &ParseError{Reason: NoBatchID, Type: t}
	}
	entries, missing := raw.entries(t)
	if missing != "" {
		return Callback{Type: t}, &ParseError{Reason: missing, Type: t}
	}
	r := &Report{
		Type:              t,
		BatchID:           string(batchID),
		ClientReference:   readText(raw.clientReference).cut(),
		Total:             max(readInteger(raw.total, 0), 0),
		Entries:           entries,
		AppliedOriginator: readText(raw.appliedOriginator).cut(),
		Encoding:          readText(raw.encoding).cut(),
		Operator:          readText(raw.operator).cut(),
		Parts:             max(readInteger(raw.parts, 0), 0),
	}
	if t.Recipient() {
		r.Total = 1
	}
	return Callback{Type: t, Report: r}, nil
}

var errLongBatchID = fmt.Errorf("the batch id has more than %d bytes", MaxBatchID)

const bom = "\xef\xbb\xbf"

// nullObject is parsed in place of the JSON body null, so that Parse reports a missing type and not invalid JSON.
var nullObject = []byte("{}")

// objectOf returns the JSON object in body, without a byte order mark and white space around it. If body holds
// something else, such as an array, the error says what. For null it returns an empty object.
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
