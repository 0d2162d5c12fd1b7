package config

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
)

// parsed is a type that reads its own text.
type parsed interface{ parse(text string) error }

// isScalar reports whether a type is written as a single value.
func isScalar(t reflect.Type) bool { return t.Kind() != reflect.Struct && t.Kind() != reflect.Slice }

// set reads a single value. Errors are for people and name the value, which is never a secret: every text is a Secret.
func set(into reflect.Value, text string) error {
	if p, ok := into.Addr().Interface().(parsed); ok {
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
			return fmt.Errorf("%q is out of the range of any setting", text)
		}
		if err != nil {
			return fmt.Errorf("%q is not a whole number", text)
		}
		into.SetInt(int64(n))
	case reflect.Float64:
		f, err := strconv.ParseFloat(text, 64)
		if errors.Is(err, strconv.ErrRange) {
			return fmt.Errorf("%q is out of the range of any setting", text)
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

// grow adds an entry with its defaults to a list.
func grow(list reflect.Value) {
	entry := reflect.New(list.Type().Elem()).Elem()
	if plan, ok := entry.Addr().Interface().(*Plan); ok {
		*plan = DefaultPlan()
	}
	list.Set(reflect.Append(list, entry))
}
