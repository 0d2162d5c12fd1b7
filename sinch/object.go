package sinch

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"
	"unicode/utf8"

	"github.com/dlrloop/dlrloop/dlr"
)

// object decodes the members of a JSON object strictly: a member of the wrong type is an error, stored in fault.
type object struct {
	unread map[string]json.RawMessage // members not decoded yet
	fault  error                      // the first error
}

func parseObject(body []byte) (*object, error) {
	if !utf8.Valid(body) {
		return nil, invalid("", "it is not JSON: it must be UTF-8")
	}
	o := &object{}
	err := json.Unmarshal(body, &o.unread)
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return nil, invalid("", "it is not JSON: %v, at byte %d", syntax, syntax.Offset)
	}
	if err != nil || o.unread == nil {
		return nil, invalid("", "it must be a JSON object")
	}
	return o, nil
}

// note stores err in o.fault, unless o.fault already holds an error.
func (o *object) note(err error) {
	if o.fault == nil {
		o.fault = err
	}
}

func (o *object) fail(member, reason string) { o.note(invalid(member, "%s", reason)) }

func (o *object) require(members ...string) {
	for _, member := range members {
		if _, found := o.unread[member]; !found {
			o.fail(member, "it is missing; a message of this type needs it")
		}
	}
}

// rest returns the members that were not decoded, or nil if there are none. The caller keeps them in a field Unknown.
func (o *object) rest() map[string]json.RawMessage {
	if len(o.unread) == 0 {
		return nil
	}
	return o.unread
}

func isNull(raw json.RawMessage) bool { return string(raw) == "null" }

func (o *object) dropNulls() {
	for member, raw := range o.unread {
		if isNull(raw) {
			delete(o.unread, member)
		}
	}
}

// take removes a member from the object and decodes it with read. It returns nil if the member is absent or read
// returns false. In the second case, it stores an error in o.fault: "it must be " and the expected type.
func take[T any](o *object, member, expected string, read func(json.RawMessage) (T, bool)) *T {
	raw, found := o.unread[member]
	if !found {
		return nil
	}
	delete(o.unread, member)
	v, ok := read(raw)
	if !ok {
		o.fail(member, "it must be "+expected)
		return nil
	}
	return &v
}

// as decodes a JSON value as a T. It returns false if the value is null or not a T.
func as[T any](raw json.RawMessage) (v T, ok bool) {
	return v, !isNull(raw) && json.Unmarshal(raw, &v) == nil
}

func (o *object) text(member string) *string  { return take(o, member, "a string", as[string]) }
func (o *object) flag(member string) *bool    { return take(o, member, "true or false", as[bool]) }
func (o *object) integer(member string) *int  { return take(o, member, "a whole number", asInteger) }
func (o *object) base64(member string) []byte { return value(take(o, member, "base64", asBase64)) }
func (o *object) hex(member string) []byte {
	return value(take(o, member, "hexadecimal digits", asHex))
}

// messageType decodes the member "type", or returns "" if it is absent. An unknown type is stored as an error in
// o.fault.
func (o *object) messageType() Type {
	raw := o.text("type")
	if raw != nil && !Type(*raw).known() {
		o.fail("type", unknownType)
	}
	return Type(value(raw))
}

func (o *object) texts(member string) *[]string {
	return take(o, member, "a list of strings", asTexts)
}

func (o *object) moment(member string) *time.Time {
	return take(o, member, "a time such as 2025-08-20T05:30:00Z", asMoment)
}

func (o *object) parameters(member string) Parameters {
	return value(take(o, member, `an object of objects: key, then number or "default", then a string`, asParameters))
}

// media decodes a member as the body of a media message. It returns nil if the member is absent or not an object. If a
// part of the body is wrong, the error in o.fault names that part, such as body.url.
func (o *object) media(member string) *Media {
	raw := take(o, member, "an object with a url", as[map[string]json.RawMessage])
	if raw == nil {
		return nil
	}
	inner := &object{unread: *raw}
	inner.dropNulls()
	m := &Media{
		URL: value(inner.text("url")), Message: value(inner.text("message")), Subject: value(inner.text("subject")),
	}
	m.Unknown = inner.rest()
	if e, ok := errors.AsType[*InvalidError](inner.fault); ok {
		o.fail(member+"."+e.Member, e.Reason)
	}
	return m
}

// asInteger decodes a whole JSON number, such as 3 or 3.0. It returns false for anything else, such as the string "3".
func asInteger(raw json.RawMessage) (int, bool) {
	i, ok := dlr.Integer(raw)
	return i, ok && raw[0] != '"'
}

func asTexts(raw json.RawMessage) ([]string, bool) {
	list, ok := as[[]*string](raw)
	texts := make([]string, len(list))
	for i, s := range list {
		if s == nil {
			return nil, false
		}
		texts[i] = *s
	}
	return texts, ok
}

func asMoment(raw json.RawMessage) (time.Time, bool) {
	s, ok := as[string](raw)
	if !ok {
		return time.Time{}, false
	}
	return dlr.ParseTime(s)
}

func asBase64(raw json.RawMessage) ([]byte, bool) {
	s, ok := as[string](raw)
	b, err := base64.StdEncoding.DecodeString(s)
	return b, ok && err == nil
}

func asHex(raw json.RawMessage) ([]byte, bool) {
	s, ok := as[string](raw)
	b, err := hex.DecodeString(s)
	return b, ok && err == nil
}

func asParameters(raw json.RawMessage) (Parameters, bool) {
	keys, ok := as[map[string]map[string]*string](raw)
	p := make(Parameters, len(keys))
	for key, values := range keys {
		if values == nil {
			return nil, false
		}
		p[key] = make(map[string]string, len(values))
		for number, v := range values {
			if v == nil {
				return nil, false
			}
			p[key][number] = *v
		}
	}
	return p, ok
}
