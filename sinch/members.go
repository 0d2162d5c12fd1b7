package sinch

import (
	"bytes"
	"encoding/json"
	"errors"
	"time"

	"github.com/dlrloop/dlrloop/dlr"
)

// members holds the members of a JSON object that are not decoded yet. Each method decodes and removes the member with
// the given name. If the member is absent, null or of another type, the method returns a zero value and removes
// nothing.
type members map[string]json.RawMessage

var (
	errNoObject = errors.New("it is not a JSON object")
	errNull     = errors.New("it is null, not a JSON object")
)

func parseMembers(body []byte) (members, error) {
	var m members
	err := json.Unmarshal(body, &m)
	_, mismatch := errors.AsType[*json.UnmarshalTypeError](err)
	switch {
	case mismatch:
		return nil, errNoObject
	case err != nil:
		return nil, err
	case m == nil:
		return nil, errNull
	}
	for name, raw := range m {
		if isNull(raw) {
			delete(m, name)
		}
	}
	return m, nil
}

// rest returns the members that were not decoded, or nil if there are none. The caller keeps them in a field Unknown.
func (m members) rest() map[string]json.RawMessage {
	if len(m) == 0 {
		return nil
	}
	return m
}

// read decodes a member with parse and removes it from m. If the member is absent or parse returns false, read returns
// the zero value of T and removes nothing.
func read[T any](m members, name string, parse func(json.RawMessage) (T, bool)) T {
	var zero T
	raw, found := m[name]
	if !found {
		return zero
	}
	v, ok := parse(raw)
	if !ok {
		return zero
	}
	delete(m, name)
	return v
}

func (m members) raw(name string) json.RawMessage {
	return read(m, name, func(raw json.RawMessage) (json.RawMessage, bool) { return raw, true })
}

func (m members) text(name string) string            { return read(m, name, looseText) }
func (m members) texts(name string) []string         { return read(m, name, looseTexts) }
func (m members) flag(name string) bool              { return read(m, name, looseFlag) }
func (m members) integer(name string) *int           { return read(m, name, looseInteger) }
func (m members) moment(name string) time.Time       { return read(m, name, looseMoment) }
func (m members) parameters(name string) Parameters  { return read(m, name, looseParameters) }
func (m members) list(name string) []json.RawMessage { return read(m, name, as[[]json.RawMessage]) }

func looseText(raw json.RawMessage) (string, bool) { return dlr.Text(raw) }

// looseTexts decodes a list of strings and numbers as strings, and skips other elements. It returns false if raw is not
// a list.
func looseTexts(raw json.RawMessage) ([]string, bool) {
	list, ok := as[[]json.RawMessage](raw)
	var texts []string
	for _, element := range list {
		if s, ok := dlr.Text(element); ok {
			texts = append(texts, s)
		}
	}
	return texts, ok
}

// looseFlag decodes true and false, also as a string and in capital letters. For any other value ok is false.
func looseFlag(raw json.RawMessage) (value, ok bool) {
	word := bytes.Trim(raw, `"`)
	value = bytes.EqualFold(word, []byte("true"))
	return value, value || bytes.EqualFold(word, []byte("false"))
}

func looseInteger(raw json.RawMessage) (*int, bool) {
	i, ok := dlr.Integer(raw)
	return &i, ok
}

// looseMoment decodes a JSON string with a time. It returns false if dlr.ParseTime cannot parse the time.
func looseMoment(raw json.RawMessage) (time.Time, bool) {
	s, _ := dlr.Text(raw)
	return dlr.ParseTime(s)
}

// looseParameters decodes message parameters. It returns false if a text in them is neither a string nor a number.
func looseParameters(raw json.RawMessage) (Parameters, bool) {
	keys, ok := as[map[string]map[string]json.RawMessage](raw)
	p := make(Parameters, len(keys))
	for key, values := range keys {
		p[key] = make(map[string]string, len(values))
		for number, v := range values {
			s, readable := dlr.Text(v)
			if !readable {
				return nil, false
			}
			p[key][number] = s
		}
	}
	return p, ok
}
