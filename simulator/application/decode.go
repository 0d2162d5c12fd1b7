package application

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// eventJSON is the JSON of an event, as dlrloop sends it. The member data depends on the type of the event.
type eventJSON struct {
	ID        string          `json:"id"`
	Type      string          `json:"type"`
	Timestamp string          `json:"timestamp"`
	Data      json.RawMessage `json:"data"`
}

// dataMembers holds the members of an event's data that the application reads. It has those of all types of events;
// members that the type does not have are zero.
type dataMembers struct {
	Plan       string          `json:"plan"`
	BatchID    string          `json:"batch_id"`
	Version    int64           `json:"version"`
	Recipient  string          `json:"recipient"`
	Status     string          `json:"status"`
	Code       *int            `json:"code"`
	Final      *bool           `json:"final"`
	At         string          `json:"at"`
	Counts     []statusCount   `json:"counts"`
	Recipients []string        `json:"recipients"`
	WholeBatch bool            `json:"whole_batch"`
	InboundID  string          `json:"inbound_id"`
	From       string          `json:"from"`
	Callback   json.RawMessage `json:"callback"`
	Base64     []byte          `json:"callback_base64"`
	Key        string          `json:"key"`
	Reason     string          `json:"reason"`
}

type statusCount struct {
	Status   string `json:"status"`
	Final    *bool  `json:"final"`
	Messages int    `json:"messages"`
}

// decodeEvents returns the events in a request body, which is one JSON object or an array. id is the header webhook-id.
// For an object, it must be the id of the event; for an array, it must be the id of the first event, a dot and the
// number of events. The error says what is wrong.
func decodeEvents(id string, body []byte) ([]Event, error) {
	var objects []json.RawMessage
	isArray := bytes.HasPrefix(bytes.TrimSpace(body), []byte("["))
	if isArray {
		if err := json.Unmarshal(body, &objects); err != nil {
			return nil, errors.New("the body is not JSON")
		}
	} else {
		objects = []json.RawMessage{body}
	}
	if len(objects) == 0 {
		return nil, errors.New("the array is empty")
	}
	events := make([]Event, len(objects))
	for i, object := range objects {
		var err error
		if events[i], err = decodeEvent(object); err != nil {
			return nil, fmt.Errorf("event %d of %d: %w", i+1, len(objects), err)
		}
	}
	want := events[0].ID
	if isArray {
		want = fmt.Sprintf("%s.%d", want, len(events))
	}
	if id != want {
		return nil, fmt.Errorf("%s does not match the body: it should be %s", headerID, want)
	}
	return events, nil
}

// decodeEvent decodes the JSON of one event and checks that it has the members of its type. For an unknown type, it
// checks only the members that all events have. The error says what is wrong.
func decodeEvent(object []byte) (Event, error) {
	var e eventJSON
	var d dataMembers
	if err := json.Unmarshal(object, &e); err != nil {
		return Event{}, errors.New("it is not a JSON object with text members id, type and timestamp")
	}
	if err := json.Unmarshal(e.Data, &d); err != nil {
		return Event{}, errors.New("data is missing or has a member of a wrong JSON type")
	}
	event := Event{
		ID: e.ID, Type: e.Type, Plan: d.Plan, Batch: d.BatchID, Version: d.Version, Number: d.Recipient,
		Status: d.Status, Code: NoCode, hash: hash(object),
	}
	if d.Code != nil {
		event.Code = *d.Code
	}
	if !strings.HasPrefix(e.ID, "evt_") || !isTime(e.Timestamp) || e.Type == "" || d.Plan == "" {
		return Event{}, errors.New("id, type, timestamp or data.plan is missing or wrong")
	}
	return event, event.complete(d)
}

// complete sets the fields of e that depend on e.Type. d holds the data of the event. If a member that e.Type requires
// is missing from d or wrong, complete returns an error.
func (e *Event) complete(d dataMembers) error {
	ofBatch, complete := true, true
	switch e.Type {
	case "recipient.status":
		complete = d.Recipient != "" && d.Status != "" && d.Final != nil && (d.At == "" || isTime(d.At))
	case "batch.completed":
		e.Detail, complete = describe(d.Counts)
	case "feedback.accepted", "feedback.dead":
		complete = (d.WholeBatch || len(d.Recipients) > 0) && (e.Type == "feedback.accepted" || d.Reason != "")
		e.Detail = fmt.Sprintf("recipients: %d", len(d.Recipients))
		if d.WholeBatch {
			e.Detail = "whole batch"
		}
	case "inbound.received":
		ofBatch, e.Number, e.Detail = false, d.From, typeOf(d.Callback)
		complete = d.InboundID != "" && (len(d.Callback) > 0 || len(d.Base64) > 0)
	case "callback.quarantined":
		ofBatch, complete, e.Detail = false, d.Key != "" && d.Reason != "", d.Reason
	default:
		ofBatch = false
	}
	if !complete || ofBatch && (d.BatchID == "" || d.Version <= 0) {
		return fmt.Errorf("data lacks a member of %s", e.Type)
	}
	return nil
}

// typeOf returns the value of the JSON field "type" of a callback of Sinch, or "" if the callback has no such field or
// is not JSON.
func typeOf(callback []byte) string {
	var c struct {
		Type string `json:"type"`
	}
	_ = json.Unmarshal(callback, &c) // the callback may be anything
	return c.Type
}

// describe returns the counts of final statuses as text, for example "3 Delivered, 1 Failed". It adds up the counts of
// one status with different codes. The second result is false if counts is nil or an element of counts lacks the member
// status or final.
func describe(counts []statusCount) (string, bool) {
	var statuses []string
	messages := map[string]int{}
	for _, c := range counts {
		switch {
		case c.Status == "" || c.Final == nil:
			return "", false
		case !*c.Final:
			continue
		case messages[c.Status] == 0:
			statuses = append(statuses, c.Status)
		}
		messages[c.Status] += c.Messages
	}
	for i, status := range statuses {
		statuses[i] = fmt.Sprintf("%d %s", messages[status], status)
	}
	return strings.Join(statuses, ", "), counts != nil
}

// decodeCallback returns a callback of Sinch as an Event. Equal bodies, and callbacks about the same inbound message,
// get the same id. It returns an error if the body is not a JSON object with a type.
func decodeCallback(body []byte) (Event, error) {
	var c struct {
		Type      string `json:"type"`
		ID        string `json:"id"`
		BatchID   string `json:"batch_id"`
		Recipient string `json:"recipient"`
		From      string `json:"from"`
		Status    string `json:"status"`
		Code      *int   `json:"code"`
	}
	if err := json.Unmarshal(body, &c); err != nil || c.Type == "" {
		return Event{}, errors.New(headerID + " is missing, and the body is not a callback of Sinch")
	}
	sum := sha256.Sum256(body)
	e := Event{
		ID: "callback_" + hex.EncodeToString(sum[:16]), Type: c.Type, Batch: c.BatchID, Number: c.Recipient,
		Status: c.Status, Code: NoCode, hash: hash(body),
	}
	if strings.HasPrefix(c.Type, "mo_") {
		e.ID, e.Number = "inbound_"+c.ID, c.From
	}
	if c.Code != nil {
		e.Code = *c.Code
	}
	return e, nil
}

// isTime reports whether text is an RFC 3339 time in UTC, written with Z.
func isTime(text string) bool {
	_, err := time.Parse(time.RFC3339, text)
	return err == nil && strings.HasSuffix(text, "Z")
}

func hash(b []byte) uint64 {
	sum := sha256.Sum256(b)
	return binary.BigEndian.Uint64(sum[:])
}
