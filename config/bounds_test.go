package config

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestEveryNumericSettingHasBounds fails if a number, duration or size has no range tag, or a default outside it.
func TestEveryNumericSettingHasBounds(t *testing.T) {
	eachKey(reflect.TypeFor[Config](), "", func(key string, f reflect.StructField) {
		if !isNumeric(f.Type) {
			assert.Empty(t, f.Tag.Get("range"), "%s: this type must not have a range", key)
			return
		}
		b, err := boundsOf(f)
		if assert.NoError(t, err, key) {
			assert.True(t, less(b.least, b.greatest), "%s: %s", key, b)
		}
	})
	c := Default()
	c.Plans, c.Destinations = []Plan{DefaultPlan()}, []Destination{DefaultDestination()}
	eachValue("", reflect.ValueOf(c).Elem(), func(key string, f reflect.StructField, v reflect.Value) {
		if b, err := boundsOf(f); isNumeric(f.Type) && assert.NoError(t, err, key) {
			assert.True(t, b.contains(v), "%s: the default %v is not within %s", key, v, b)
		}
	})
}

// TestValuesOutOfRangeAreRejected tries the bounds of every numeric setting and values beyond them.
func TestValuesOutOfRangeAreRejected(t *testing.T) {
	eachKey(reflect.TypeFor[Config](), "", func(key string, f reflect.StructField) {
		if !isNumeric(f.Type) {
			return
		}
		key = strings.ReplaceAll(key, "[]", "[0]")
		b, err := boundsOf(f)
		require.NoError(t, err)
		problems := func(text string) string {
			_, err := load(t, minimal, variable(key)+"="+text)
			if err == nil {
				return ""
			}
			var of []string
			var problems Problems
			require.ErrorAs(t, err, &problems)
			for _, p := range problems {
				if p.Key == key {
					of = append(of, p.Message)
				}
			}
			return strings.Join(of, "\n")
		}
		for _, inside := range []reflect.Value{b.least, b.greatest} {
			assert.NotContains(t, problems(fmt.Sprint(inside)), "out of range", "%s: %v", key, inside)
		}
		for _, outside := range outsideOf(f.Type, b) {
			assert.NotEmpty(t, problems(outside), "%s: %s", key, outside)
		}
		if b.zero {
			assert.Empty(t, problems("0"), key)
		}
	})
}

// outsideOf returns texts of values outside the bounds.
func outsideOf(t reflect.Type, b bounds) []string {
	var out []string
	switch t {
	case reflect.TypeFor[Duration]():
		out = []string{"-1s", "106752d", "9999999999999999h", "NaN", "Inf", fmt.Sprint(Duration(b.greatest.Int() + 1))}
		if b.least.Int() > 1 {
			out = append(out, "1ns", fmt.Sprint(Duration(b.least.Int()-1)))
		}
	case reflect.TypeFor[ByteSize]():
		out = []string{
			"-1", "1B", "8388607TiB", "9223372036854775807", "9223372036854775808", "99999999TiB", "1e9",
			fmt.Sprint(ByteSize(b.greatest.Int() + 1)),
		}
	default:
		out = []string{
			"-1", "1e999", ".nan", ".inf", "-Inf", "1e-9", "1000000000", "99999999999999999999",
			fmt.Sprint(math.MaxInt64),
		}
	}
	return out
}

func TestValuesThatOverflowAreRejected(t *testing.T) {
	got, _ := refused(t, "store: {retention: 999999d, size_limit: 99999999TiB}\n"+minimal, nil)
	require.Equal(t, `config.yaml:1:20: store.retention: "999999d" is out of range
config.yaml:1:41: store.size_limit: "99999999TiB" is out of range`, got)
}
