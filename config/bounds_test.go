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

// TestEveryMeasuredSettingHasBounds fails for a new number, length of time or size without a range.
func TestEveryMeasuredSettingHasBounds(t *testing.T) {
	eachKey(reflect.TypeFor[Config](), "", func(key string, f reflect.StructField) {
		if !isMeasured(f.Type) {
			assert.Empty(t, f.Tag.Get("range"), "%s: its type has no range", key)
			return
		}
		b, err := boundsOf(f)
		if assert.NoError(t, err, key) {
			assert.True(t, less(b.least, b.greatest), "%s: %s", key, b)
		}
	})
	c := Default()
	c.Plans = []Plan{DefaultPlan()}
	eachValue("", reflect.ValueOf(c).Elem(), func(key string, f reflect.StructField, v reflect.Value) {
		if b, err := boundsOf(f); isMeasured(f.Type) && assert.NoError(t, err, key) {
			assert.True(t, b.hold(v), "%s: its default %v is not in %s", key, v, b)
		}
	})
}

// TestValuesOutOfRangeAreRefused tries, for every setting that is measured, its bounds and values on both sides of them.
func TestValuesOutOfRangeAreRefused(t *testing.T) {
	eachKey(reflect.TypeFor[Config](), "", func(key string, f reflect.StructField) {
		if !isMeasured(f.Type) {
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
			for _, p := range err.(Problems) {
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

// outsideOf are texts of values that bounds do not hold.
func outsideOf(t reflect.Type, b bounds) []string {
	var out []string
	switch t {
	case reflect.TypeFor[Duration]():
		out = []string{"-1s", "106752d", "9999999999999999h", "NaN", "Inf", fmt.Sprint(Duration(b.greatest.Int() + 1))}
		if b.least.Int() > 1 {
			out = append(out, "1ns", fmt.Sprint(Duration(b.least.Int()-1)))
		}
	case reflect.TypeFor[ByteSize]():
		out = []string{"-1", "1B", "8388607TiB", "9223372036854775807", "9223372036854775808", "99999999TiB", "1e9", fmt.Sprint(ByteSize(b.greatest.Int() + 1))}
	default:
		out = []string{"-1", "1e999", ".nan", ".inf", "-Inf", "1e-9", "1000000000", "99999999999999999999", fmt.Sprint(math.MaxInt64)}
	}
	return out
}

func TestAnOverflowIsNotTakenForAnotherUnit(t *testing.T) {
	got, _ := refused(t, "store: {retention: 999999d, size_limit: 99999999TiB}\n"+minimal, nil)
	require.Equal(t, `config.yaml:1:20: store.retention: "999999d" is out of the range of any setting
config.yaml:1:41: store.size_limit: "99999999TiB" is out of the range of any setting`, got)
}
