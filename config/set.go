package config

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
)

// textParser is implemented by the types Duration and ByteSize, whose values have a text format of their own, such as
// 30d or 16MiB.
type textParser interface{ parse(text string) error }

// isScalar reports whether a field of type t holds a single value, not a block of keys (struct) or a list (slice).
func isScalar(t reflect.Type) bool { return t.Kind() != reflect.Struct && t.Kind() != reflect.Slice }

// set parses text into a field that holds a single value. An error quotes the text. For a Secret it never fails, so no
// error contains a secret.
func set(into reflect.Value, text string) error {
	if p, ok := into.Addr().Interface().(textParser); ok {
		return p.parse(text)
	}
	switch into.Kind() {
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", text)
		}
		into.SetBool(b)
	case reflect.Int:
		n, err := strconv.Atoi(text)
		if errors.Is(err, strconv.ErrRange) {
			return fmt.Errorf("%q is out of range", text)
		}
		if err != nil {
			return fmt.Errorf("%q is not a whole number", text)
		}
		into.SetInt(int64(n))
	case reflect.Float64:
		f, err := strconv.ParseFloat(text, 64)
		if errors.Is(err, strconv.ErrRange) {
			return fmt.Errorf("%q is out of range", text)
		}
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return fmt.Errorf("%q is not a number", text)
		}
		into.SetFloat(f)
	default:
		into.SetString(text)
	}
	return nil
}

// appendDefault appends an entry to list, a slice of the configuration. A plan or a destination gets its defaults, any
// other entry is the zero value.
func appendDefault(list reflect.Value) {
	entry := reflect.New(list.Type().Elem()).Elem()
	switch e := entry.Addr().Interface().(type) {
	case *Plan:
		*e = DefaultPlan()
	case *Destination:
		*e = DefaultDestination()
	}
	list.Set(reflect.Append(list, entry))
}
