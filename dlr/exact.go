package dlr

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// UnmarshalExact decodes JSON into the variable that into points to, like json.Unmarshal, but member names are
// case-sensitive. Of several members of an object with the same name, only the last counts.
func UnmarshalExact(body []byte, into any) error { return exactDecoder{}.unmarshal(body, into) }

// UnmarshalStrict decodes JSON like UnmarshalExact, but returns an error if the struct has no field for a member.
func UnmarshalStrict(body []byte, into any) error {
	return exactDecoder{strict: true}.unmarshal(body, into)
}

// exactDecoder rewrites JSON before json.Unmarshal decodes it. From an object that is decoded into a struct, it removes
// the members whose name is not exactly that of a field; if strict is set, such a member is an error. If an object has
// several members with the same name, only the last remains.
type exactDecoder struct{ strict bool }

func (e exactDecoder) unmarshal(body []byte, into any) error {
	if !json.Valid(body) {
		return json.Unmarshal(body, into) // for its error
	}
	exact, err := e.value(nil, bytes.TrimSpace(body), reflect.TypeOf(into).Elem())
	if err != nil {
		return err
	}
	return json.Unmarshal(exact, into)
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

// value rewrites raw, a JSON value that is decoded into a variable of type t, as described at exactDecoder. It appends
// the result to b and returns the longer slice. A value that does not fit t, such as a string for a struct, is not
// changed; json.Unmarshal later returns the error.
func (e exactDecoder) value(b, raw []byte, t reflect.Type) ([]byte, error) {
	switch kind := t.Kind(); {
	case reflect.PointerTo(t).Implements(unmarshaler):
	case kind == reflect.Pointer:
		return e.value(b, raw, t.Elem())
	case (kind == reflect.Slice || kind == reflect.Array) && raw[0] == '[':
		return e.list(b, raw, t.Elem())
	case kind == reflect.Map && raw[0] == '{':
		return e.object(b, raw, func(string) (reflect.Type, bool) { return t.Elem(), true })
	case kind == reflect.Struct && raw[0] == '{':
		fields := fieldsOf(t)
		return e.object(b, raw, func(name string) (reflect.Type, bool) { f, found := fields[name]; return f, found })
	}
	return append(b, raw...), nil
}

func (e exactDecoder) list(b, raw []byte, t reflect.Type) (_ []byte, err error) {
	b = append(b, '[')
	for _, element := range elements(raw) {
		if b[len(b)-1] != '[' {
			b = append(b, ',')
		}
		if b, err = e.value(b, element, t); err != nil {
			return nil, err
		}
	}
	return append(b, ']'), nil
}

func (e exactDecoder) object(b, raw []byte, of func(name string) (reflect.Type, bool)) (_ []byte, err error) {
	last := make(map[string][]byte) // json.Unmarshal would fill "status" from "Status" too, and merge repeated objects
	for name, value := range Members(raw) {
		last[string(name)] = value
	}
	b = append(b, '{')
	for name, value := range last {
		t, known := of(name)
		switch {
		case known:
		case e.strict:
			return nil, fmt.Errorf("unknown member %.40q", name)
		default:
			continue
		}
		if b[len(b)-1] != '{' {
			b = append(b, ',')
		}
		quoted, _ := json.Marshal(name) // a string can be encoded
		if b, err = e.value(append(append(b, quoted...), ':'), value, t); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

// fieldsOf returns the types of a struct's exported fields by their JSON names. It includes the fields of embedded
// structs.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	fields := make(map[string]reflect.Type)
	for _, f := range reflect.VisibleFields(t) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); f.IsExported() && !f.Anonymous && name != "-" {
			fields[cmp.Or(name, f.Name)] = f.Type
		}
	}
	return fields
}
