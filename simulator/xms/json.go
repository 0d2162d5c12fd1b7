package xms

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Decode decodes a JSON request body into v, a pointer. It ignores unknown fields; names are case-sensitive, as at
// Sinch. It returns an *Error if the body is not JSON or does not fit v.
func Decode(body []byte, v any) error {
	err := json.Unmarshal(exactNames(body), v)
	var refused *Error
	if err == nil || errors.As(err, &refused) {
		return err
	}
	return InvalidJSON("the body is not JSON of the expected structure")
}

// exactNames removes those fields of a JSON object whose names have other characters than lower-case letters and
// underscores, because encoding/json would read "Body" as "body". It does not change nested objects, and returns
// anything but an object unchanged.
func exactNames(body []byte) []byte {
	var object map[string]json.RawMessage
	if json.Unmarshal(body, &object) != nil || object == nil {
		return body
	}
	for name := range object {
		if strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") != "" {
			delete(object, name) // encoding/json ignores case and would read "Body" as "body"
		}
	}
	return Encode(object)
}

// Encode returns v as JSON. It panics if v cannot be encoded, so pass only values of the simulator's own types.
func Encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("simulator: encode %T: %v", v, err))
	}
	return b
}

// DecodeStrictly decodes exactly one JSON value from r into v, a pointer. An unknown field or a second value is an
// error.
func DecodeStrictly(r io.Reader, v any) error {
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("unexpected content after the JSON value")
	}
	return nil
}
