package dlr

import (
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// UnmarshalExact is json.Unmarshal with stricter member names: they are case-sensitive, and of several members with the
// same name only the last counts, whatever its value. json.Unmarshal alone would also fill the field "status" from
// "Status" and "\u017ftatus", and would merge objects of the same name.
func UnmarshalExact(body []byte, into any) error { return exactDecoder{}.unmarshal(body, into) }

// UnmarshalStrict is UnmarshalExact, but returns an error for a member that into does not have.
func UnmarshalStrict(body []byte, into any) error {
	return exactDecoder{strict: true}.unmarshal(body, into)
}

// exactDecoder rewrites JSON for json.Unmarshal: an object that decodes into a struct keeps only the struct's own
// members, each once.
type exactDecoder struct{ strict bool }

func (e exactDecoder) unmarshal(body []byte, into any) error {
	exact, err := e.value(body, reflect.TypeOf(into).Elem())
	if err != nil {
		return err
	}
	return json.Unmarshal(exact, into)
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

// value rewrites raw, which decodes into a t. A value of another JSON type is left for json.Unmarshal to reject.
func (e exactDecoder) value(raw json.RawMessage, t reflect.Type) (json.RawMessage, error) {
	if reflect.PointerTo(t).Implements(unmarshaler) {
		return raw, nil
	}
	switch t.Kind() {
	case reflect.Pointer:
		return e.value(raw, t.Elem())
	case reflect.Slice, reflect.Array:
		return e.list(raw, t.Elem())
	case reflect.Map:
		return e.object(raw, func(string) (reflect.Type, bool) { return t.Elem(), true })
	case reflect.Struct:
		fields := fieldsOf(t)
		return e.object(raw, func(name string) (reflect.Type, bool) { f, found := fields[name]; return f, found })
	}
	return raw, nil
}

func (e exactDecoder) list(raw json.RawMessage, element reflect.Type) (json.RawMessage, error) {
	var elements []json.RawMessage
	if json.Unmarshal(raw, &elements) != nil || elements == nil {
		return raw, nil //nolint:nilerr // json.Unmarshal of the whole returns it
	}
	for i := range elements {
		exact, err := e.value(elements[i], element)
		if err != nil {
			return nil, err
		}
		elements[i] = exact
	}
	return joined('[', elements, ']'), nil
}

func (e exactDecoder) object(raw json.RawMessage, of func(name string) (reflect.Type, bool)) (json.RawMessage, error) {
	var object map[string]json.RawMessage
	if json.Unmarshal(raw, &object) != nil || object == nil {
		return raw, nil //nolint:nilerr // json.Unmarshal of the whole returns it
	}
	parts := make([]json.RawMessage, 0, len(object))
	for name, value := range object {
		t, known := of(name)
		switch {
		case known:
		case e.strict:
			return nil, fmt.Errorf("unknown member %.40q", name)
		default:
			continue
		}
		exact, err := e.value(value, t)
		if err != nil {
			return nil, err
		}
		quoted, err := json.Marshal(name)
		if err != nil {
			return nil, err
		}
		parts = append(parts, append(append(quoted, ':'), exact...))
	}
	return joined('{', parts, '}'), nil
}

func joined(first byte, parts []json.RawMessage, last byte) json.RawMessage {
	b := []byte{first}
	for i, part := range parts {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, part...)
	}
	return append(b, last)
}

// fieldsOf returns the types of a struct's fields by their JSON names, including the fields of embedded structs.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	fields := make(map[string]reflect.Type)
	for _, f := range reflect.VisibleFields(t) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); f.IsExported() && !f.Anonymous && name != "-" {
			fields[cmp.Or(name, f.Name)] = f.Type
		}
	}
	return fields
}
