package xms

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Decode parses a request body and ignores unknown members. Member names are case-sensitive, as at Sinch.
func Decode(body []byte, into any) error {
	err := json.Unmarshal(exactNames(body), into)
	var refused *Error
	if err == nil || errors.As(err, &refused) {
		return err
	}
	return InvalidJSON("the body is not JSON of the expected structure")
}

// exactNames returns a JSON object without the members that only encoding/json would match, since it ignores case:
// all of Sinch's member names consist of lower-case letters and underscores. It returns anything but an object
// unchanged.
func exactNames(body []byte) []byte {
	var object map[string]json.RawMessage
	if json.Unmarshal(body, &object) != nil || object == nil {
		return body
	}
	for name := range object {
		if strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") != "" {
			delete(object, name)
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

// DecodeStrictly decodes exactly one JSON value. Unknown members and anything after the value are errors.
func DecodeStrictly(from io.Reader, into any) error {
	d := json.NewDecoder(from)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("unexpected content after the JSON value")
	}
	return nil
}
