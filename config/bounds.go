package config

import (
	"fmt"
	"reflect"
	"strings"
)

// bounds are the values that a number, a length of time or a size may have. They stand in the tag range of its field:
// least..greatest, written as in the file, and 0| before them where 0 has a meaning of its own. Every such field has one; a
// test demands it.
type bounds struct {
	zero            bool
	least, greatest reflect.Value
}

// isMeasured reports whether a type needs bounds.
func isMeasured(t reflect.Type) bool {
	return t.Kind() == reflect.Int || t.Kind() == reflect.Int64 || t.Kind() == reflect.Float64
}

// boundsOf reads the tag of a field. An error is a mistake in the tag.
func boundsOf(f reflect.StructField) (b bounds, err error) {
	text, zero := strings.CutPrefix(f.Tag.Get("range"), "0|")
	least, greatest, found := strings.Cut(text, "..")
	if !found {
		return b, fmt.Errorf(`%s needs a tag such as range:"1s..30d", or range:"0|1s..30d" where 0 has a meaning of its own`, f.Name)
	}
	b = bounds{zero: zero, least: reflect.New(f.Type).Elem(), greatest: reflect.New(f.Type).Elem()}
	if err = set(b.least, least); err == nil {
		err = set(b.greatest, greatest)
	}
	return b, err
}

func (b bounds) hold(v reflect.Value) bool {
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

// checkBounds refuses every value that is out of the range of its field.
func (l *loading) checkBounds() {
	eachValue("", reflect.ValueOf(l.config).Elem(), func(key string, f reflect.StructField, v reflect.Value) {
		if !isMeasured(f.Type) {
			return
		}
		switch b, err := boundsOf(f); {
		case err != nil:
			l.problem(key, "%s", err)
		case !b.hold(v):
			l.problem(key, "%v is out of range; give %s", v, b)
			l.fault(key)
		}
	})
}

// eachValue visits every value below a block with its key; a list of texts is one value.
func eachValue(under string, block reflect.Value, visit func(key string, f reflect.StructField, v reflect.Value)) {
	for i := range block.NumField() {
		f, v := block.Type().Field(i), block.Field(i)
		key := below(under, keyOf(f))
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
