package config

import (
	"fmt"
	"reflect"
	"strings"
)

// bounds is the range of values that a field of the configuration may have, if it is a number, duration or size. The
// struct tag of that field defines the range: range:"1s..30d", or range:"0|1s..30d" if 0 is also allowed and has a
// meaning of its own.
type bounds struct {
	zero            bool
	least, greatest reflect.Value
}

// isNumeric reports whether t is the type of a number, duration or size. A configuration field of such a type needs the
// struct tag "range".
func isNumeric(t reflect.Type) bool {
	return t.Kind() == reflect.Int || t.Kind() == reflect.Int64 || t.Kind() == reflect.Float64
}

// boundsOf returns the bounds of a field from its struct tag "range", or an error for a missing or malformed tag.
func boundsOf(f reflect.StructField) (b bounds, err error) {
	text, zero := strings.CutPrefix(f.Tag.Get("range"), "0|")
	least, greatest, found := strings.Cut(text, "..")
	if !found {
		return b, fmt.Errorf(`%s needs a tag such as range:"1s..30d", or range:"0|1s..30d" if 0 has a meaning of its own`,
			f.Name)
	}
	b = bounds{zero: zero, least: reflect.New(f.Type).Elem(), greatest: reflect.New(f.Type).Elem()}
	if err = set(b.least, least); err == nil {
		err = set(b.greatest, greatest)
	}
	return b, err
}

// contains reports whether v lies in the range, bounds included. It also returns true for 0 if the struct tag begins
// with "0|".
func (b bounds) contains(v reflect.Value) bool {
	return b.zero && v.IsZero() || !less(v, b.least) && !less(b.greatest, v)
}

func (b bounds) String() string {
	text := fmt.Sprintf("%v to %v", b.least, b.greatest)
	if b.zero {
		return "0, or " + text
	}
	return text
}

func less(a, b reflect.Value) bool {
	if a.Kind() == reflect.Float64 {
		return a.Float() < b.Float()
	}
	return a.Int() < b.Int()
}

// checkBounds records a problem for every number, duration and size of the configuration that is outside the range in
// its field's struct tag.
func (l *loader) checkBounds() {
	eachValue("", reflect.ValueOf(l.config).Elem(), func(key string, f reflect.StructField, v reflect.Value) {
		if !isNumeric(f.Type) {
			return
		}
		switch b, err := boundsOf(f); {
		case err != nil:
			l.problem(key, "%s", err)
		case !b.contains(v):
			l.problem(key, "%v is out of range; allowed: %s", v, b)
			l.markInvalid(key)
		}
	})
}

// eachValue calls visit for every value of block, a struct of the configuration, and of all structs inside block, also
// those in lists. A value is a field that holds a single value or a list of texts. visit gets the key of the value,
// such as plans[0].id, its struct field, and the value itself. blockKey is the key of block, or "" for the whole
// configuration.
func eachValue(blockKey string, block reflect.Value, visit func(key string, f reflect.StructField, v reflect.Value)) {
	for i := range block.NumField() {
		f, v := block.Type().Field(i), block.Field(i)
		key := below(blockKey, keyOf(f))
		switch {
		case keyOf(f) == "":
		case f.Type.Kind() == reflect.Struct:
			eachValue(key, v, visit)
		case f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct:
			for n := range v.Len() {
				eachValue(element(key, n), v.Index(n), visit)
			}
		default:
			visit(key, f, v)
		}
	}
}
