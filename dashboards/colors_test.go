package dashboards

import (
	"encoding/json"
	"math"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fixedColors returns the colors set by the panel's overrides, by field name.
func fixedColors(t *testing.T, p drawn) map[string]string {
	t.Helper()
	colors := make(map[string]string)
	for _, o := range p.FieldConfig.Overrides {
		for _, property := range o.Properties {
			if property.ID != "color" {
				continue
			}
			var c struct{ Mode, FixedColor string }
			require.NoError(t, json.Unmarshal(property.Value, &c))
			require.Equal(t, "byName", o.Matcher.ID)
			require.Equal(t, "fixed", c.Mode)
			require.Regexp(t, `^#[0-9A-F]{6}$`, c.FixedColor, "%s: %s", p.Title, o.Matcher.Options)
			colors[o.Matcher.Options] = c.FixedColor
		}
	}
	return colors
}

func TestNameHasTheSameColorEverywhere(t *testing.T) {
	everywhere := make(map[string]string)
	eachPanel(t, func(t *testing.T, _ file, p drawn) {
		for name, color := range fixedColors(t, p) {
			if seen, found := everywhere[name]; found {
				assert.Equal(t, seen, color, "%s in %s", name, p.Title)
			}
			everywhere[name] = color
		}
	})
	require.Len(t, statusColors(), 11)
	for status, color := range statusColors() {
		assert.Equal(t, color, everywhere[status], status)
	}
}

// TestClosedSetsHaveFixedColors checks that a legend with a label of a closed set has a color for each value that
// docs/metrics.md lists.
func TestClosedSetsHaveFixedColors(t *testing.T) {
	documented := documentedMetrics(t)
	label := regexp.MustCompile(`^{{(status|outcome|result|reason|state)}}$`)
	checked := 0
	eachPanel(t, func(t *testing.T, _ file, p drawn) {
		for _, q := range p.Targets {
			found := label.FindStringSubmatch(q.LegendFormat)
			if found == nil {
				continue
			}
			colors := fixedColors(t, p)
			for _, s := range selectors(t, q.Expr) {
				for _, value := range documented[base(s.Name)].values[found[1]] {
					if !admits(t, s, found[1], value) {
						continue
					}
					assert.Contains(t, colors, value, "%s: %s", p.Title, found[1])
					checked++
				}
			}
		}
	})
	require.Greater(t, checked, 50)
}

func TestStatusesAreComplete(t *testing.T) {
	documented := documentedMetrics(t)["dlrloop_messages_total"].values["status"]
	require.Len(t, documented, len(statusColors()))
	for _, status := range documented {
		require.Contains(t, statusColors(), status)
	}
	for _, status := range ended() {
		require.Contains(t, statusColors(), status)
	}
}

// vision returns, for each kind of color vision, its matrix on linear RGB (Machado, Oliveira, Fernandes 2009,
// severity 1).
func vision() map[string][3][3]float64 {
	return map[string][3][3]float64{
		"trichromat": {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}},
		"protanope": {
			{0.152286, 1.052583, -0.204868},
			{0.114503, 0.786281, 0.099216},
			{-0.003882, -0.048116, 1.051998},
		},
		"deuteranope": {
			{0.367322, 0.860646, -0.227968},
			{0.280085, 0.672501, 0.047413},
			{-0.011820, 0.042940, 0.968881},
		},
		"tritanope": {
			{1.255528, -0.076749, -0.178779},
			{-0.078411, 0.930809, 0.147602},
			{0.004733, 0.691367, 0.303900},
		},
	}
}

func TestStatusColorsAreDistinguishable(t *testing.T) {
	const minDifference = 15 // CIE76; two adjacent areas differ clearly from about 5
	for who, seen := range vision() {
		for a, color := range statusColors() {
			for b, other := range statusColors() {
				if a < b {
					assert.Greater(t, difference(see(t, color, seen), see(t, other, seen)), float64(minDifference),
						"%s and %s, for a %s", a, b, who)
				}
			}
		}
	}
}

func TestStatusColorsAreVisibleOnBothThemes(t *testing.T) {
	const dark, light = "#181B1F", "#FFFFFF" // background colors of Grafana's panels
	for status, color := range statusColors() {
		assert.Greater(t, contrast(t, color, dark), 1.9, "%s on dark", status)
		assert.Greater(t, contrast(t, color, light), 1.25, "%s on light", status)
	}
}

func linear(t *testing.T, color string) (rgb [3]float64) {
	t.Helper()
	require.Regexp(t, `^#[0-9A-F]{6}$`, color)
	for i := range rgb {
		value, err := strconv.ParseUint(color[1+2*i:3+2*i], 16, 8)
		require.NoError(t, err)
		rgb[i] = float64(value) / 255
		if rgb[i] <= 0.04045 {
			rgb[i] /= 12.92
		} else {
			rgb[i] = math.Pow((rgb[i]+0.055)/1.055, 2.4)
		}
	}
	return rgb
}

// see returns a color in CIE L*a*b* as seen with the vision m.
func see(t *testing.T, color string, m [3][3]float64) [3]float64 {
	t.Helper()
	from := linear(t, color)
	var c [3]float64
	for i := range c {
		c[i] = min(1, max(0, m[i][0]*from[0]+m[i][1]*from[1]+m[i][2]*from[2]))
	}
	f := func(v float64) float64 {
		if v > 0.008856 {
			return math.Cbrt(v)
		}
		return 7.787*v + 16.0/116
	}
	x := f((0.4124*c[0] + 0.3576*c[1] + 0.1805*c[2]) / 0.95047)
	y := f(0.2126*c[0] + 0.7152*c[1] + 0.0722*c[2])
	z := f((0.0193*c[0] + 0.1192*c[1] + 0.9505*c[2]) / 1.08883)
	return [3]float64{116*y - 16, 500 * (x - y), 200 * (y - z)}
}

func difference(a, b [3]float64) float64 {
	return math.Hypot(math.Hypot(a[0]-b[0], a[1]-b[1]), a[2]-b[2])
}

// contrast returns the contrast ratio of WCAG, from 1 to 21.
func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	luminance := func(color string) float64 {
		c := linear(t, color)
		return 0.2126*c[0] + 0.7152*c[1] + 0.0722*c[2] + 0.05
	}
	one, other := luminance(a), luminance(b)
	return max(one, other) / min(one, other)
}
