package events

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// Marshal returns the event as one JSON object in one line, without a newline at the end. The order of the members is
// fixed, times are RFC 3339 in UTC with milliseconds, and <, > and & are not escaped. Invalid UTF-8 becomes U+FFFD.
// Marshal returns an error only for store.ReportReceived, which has no JSON form, and for an unknown type.
func Marshal(e *store.Event) ([]byte, error) {
	data := view(e)
	if data == nil {
		return nil, fmt.Errorf("an event of type %q has no JSON form", string(e.Type))
	}
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(envelope{ID: e.ID(), Type: e.Type, Timestamp: instant(e.At), Data: data})
	if err != nil {
		return nil, fmt.Errorf("encode an event of type %q: %w", string(e.Type), err)
	}
	return bytes.TrimSuffix(line.Bytes(), []byte("\n")), nil
}

// envelope is the JSON object that Marshal writes for an event of any type. Data holds the members that depend on the
// type; function view returns them.
type envelope struct {
	ID        string          `json:"id"`
	Type      store.EventType `json:"type"`
	Timestamp instant         `json:"timestamp"`
	Data      any             `json:"data"`
}

// view returns the value of the member data in an event's JSON: a struct that depends on the event's type. It returns
// nil for store.ReportReceived, which has no JSON form, and for an unknown type.
func view(e *store.Event) any {
	switch e.Type {
	case store.RecipientStatus:
		return viewStatus(e)
	case store.BatchCompleted:
		return viewCompleted(e)
	case store.FeedbackAccepted, store.FeedbackGivenUp:
		return viewFeedback(e)
	case store.InboundReceived:
		return viewInbound(e)
	case store.CallbackQuarantined:
		return quarantinedView{Plan: e.Plan, Key: e.Key, Reason: e.Misread, CallbackType: e.CallbackType}
	}
	return nil
}

// batchView holds the JSON members that all events of a batch have in common. Version rises with each event of a batch,
// so readers can tell which of two events is newer.
type batchView struct {
	Plan            string `json:"plan"`
	BatchID         string `json:"batch_id"`
	Version         int64  `json:"version"`
	ClientReference string `json:"client_reference,omitempty"`
}

func viewBatch(e *store.Event) batchView {
	return batchView{Plan: e.Plan, BatchID: e.BatchID, Version: e.Version, ClientReference: e.ClientReference}
}

// codeView holds the JSON members for a delivery status and an error code. Name, Class and Permanence describe the
// code, as dlr.LookupCode returns them. Code is nil, and left out of the JSON, if the report has no code (dlr.NoCode).
type codeView struct {
	Status     dlr.Status     `json:"status"`
	Code       *int           `json:"code,omitempty"`
	Name       string         `json:"code_name"`
	Class      dlr.Class      `json:"code_class"`
	Permanence dlr.Permanence `json:"permanence"`
	Final      bool           `json:"final"`
}

func viewCode(status dlr.Status, code int) codeView {
	known := dlr.LookupCode(code)
	v := codeView{
		Status: status, Name: known.Name, Class: known.Class, Permanence: known.Permanence, Final: status.Final(),
	}
	if code != dlr.NoCode {
		v.Code = &code
	}
	return v
}

type statusView struct {
	batchView
	Recipient string `json:"recipient"`
	codeView
	At         instant `json:"at,omitzero"`
	OperatorAt instant `json:"operator_status_at,omitzero"`
}

func viewStatus(e *store.Event) statusView {
	return statusView{
		batchView: viewBatch(e), Recipient: e.Number, codeView: viewCode(e.State.Status, e.State.Code),
		At: instant(e.State.At), OperatorAt: instant(e.State.OperatorAt),
	}
}

type completedView struct {
	batchView
	Counts []countView `json:"counts"`
}

type countView struct {
	codeView
	Messages int `json:"messages"`
}

func viewCompleted(e *store.Event) completedView {
	v := completedView{batchView: viewBatch(e), Counts: make([]countView, len(e.Counts))}
	for i, c := range e.Counts {
		v.Counts[i] = countView{viewCode(c.Status, c.Code), c.Messages}
	}
	return v
}

type feedbackView struct {
	batchView
	Recipients []string     `json:"recipients"`
	WholeBatch bool         `json:"whole_batch,omitempty"`
	Reason     store.Reason `json:"reason,omitempty"`
	Detail     string       `json:"detail,omitempty"`
}

func viewFeedback(e *store.Event) feedbackView {
	return feedbackView{
		batchView:  viewBatch(e),
		Recipients: append([]string{}, e.Recipients...), // [] if there are none, not null
		WholeBatch: e.WholeBatch, Reason: e.Reason, Detail: e.Detail,
	}
}

// inboundView holds the JSON members of an inbound message, which a phone sent to the service plan. Members that are
// missing in Sinch's callback are left out. If dlrloop cannot parse the callback, the JSON contains the callback
// itself, but neither the sender nor the text of the message.
type inboundView struct {
	Plan            string  `json:"plan"`
	ID              string  `json:"inbound_id"`
	From            string  `json:"from,omitempty"`
	To              string  `json:"to,omitempty"`
	Body            string  `json:"body,omitempty"`
	ClientReference string  `json:"client_reference,omitempty"`
	Operator        string  `json:"operator_id,omitempty"`
	SentAt          instant `json:"sent_at,omitzero"`
	ReceivedAt      instant `json:"received_at,omitzero"`
	callbackView
}

func viewInbound(e *store.Event) inboundView {
	v := inboundView{
		Plan: e.Plan, ID: e.Key, ClientReference: e.ClientReference, callbackView: viewCallback(e.Raw),
	}
	if c, err := dlr.Parse(e.Raw); err == nil && c.Inbound != nil {
		v.From, v.To, v.Body, v.Operator = c.Inbound.From, c.Inbound.To, c.Inbound.Text, c.Inbound.Operator
		v.SentAt, v.ReceivedAt = instant(c.Inbound.SentAt), instant(c.Inbound.ReceivedAt)
	}
	return v
}

// callbackView holds the body of a callback, a request that Sinch sent to dlrloop. The field Callback holds a body that
// is valid JSON in UTF-8 and nested at most maxDepth deep. The field Base64 holds any other body. Both fields are empty
// if there is no body.
type callbackView struct {
	Callback json.RawMessage `json:"callback,omitempty"`
	Base64   []byte          `json:"callback_base64,omitempty"`
}

func viewCallback(body []byte) callbackView {
	value := bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")) // a byte order mark is not part of the JSON
	if utf8.Valid(value) && json.Valid(value) && depth(value) <= maxDepth {
		return callbackView{Callback: value}
	}
	return callbackView{Base64: body}
}

// maxDepth limits how deep objects and arrays may be nested in a callback that an event contains as JSON. A deeper
// callback is encoded in Base64, because JSON parsers have limits (64 in .NET) and a reader could never get past an
// event that its parser refuses. Sinch nests up to four levels.
const maxDepth = 32

// depth returns how deep the objects and arrays of a JSON text are nested: 1 for {"a": 1}, 0 for a number. The text
// must be valid JSON.
func depth(value []byte) (deepest int) {
	open, text := 0, false
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case text && c == '\\':
			i++
		case c == '"':
			text = !text
		case text:
		case c == '{', c == '[':
			open++
			deepest = max(deepest, open)
		case c == '}', c == ']':
			open--
		}
	}
	return deepest
}

type quarantinedView struct {
	Plan         string     `json:"plan"`
	Key          string     `json:"key"`
	Reason       dlr.Reason `json:"reason"`
	CallbackType dlr.Type   `json:"callback_type,omitempty"`
}

// instant is a time.Time that encodes to JSON in RFC 3339 and UTC, always with milliseconds.
type instant time.Time

// IsZero reports whether the time is the zero time. Package encoding/json calls it to leave out fields that have the
// option omitzero.
func (i instant) IsZero() bool { return time.Time(i).IsZero() }

// MarshalJSON returns the time as a JSON string in RFC 3339 and UTC, with milliseconds. The error is always nil.
func (i instant) MarshalJSON() ([]byte, error) {
	return []byte(time.Time(i).UTC().Format(`"2006-01-02T15:04:05.000Z07:00"`)), nil
}
