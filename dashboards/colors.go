package dashboards

import (
	"maps"
	"slices"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// The colors of all dashboards, in hexadecimal RGB: seven from the palette of Okabe and Ito, and four more. A test
// ensures that people with color vision deficiencies can distinguish the colors of the message statuses.
const (
	green     = "#009E73"
	vermilion = "#D55E00"
	purple    = "#CC79A7"
	orange    = "#E69F00"
	yellow    = "#F0E442"
	sky       = "#56B4E9"
	blue      = "#0072B2"
	darkRed   = "#990000"
	violet    = "#9955FF"
	plum      = "#773355"
	pale      = "#BBDDBB"
)

// palette maps the name of a series, such as a status, to its color. A name has the same color on all dashboards.
type palette map[string]string

// statusColors returns the color of each message status, in a new map. The key "other" stands for all undocumented
// statuses.
func statusColors() palette {
	return palette{
		"Delivered": green, "Failed": vermilion, "Rejected": purple, "Expired": orange, "Aborted": darkRed,
		"Cancelled": violet,
		"Deleted":   plum, "Unknown": yellow, "Dispatched": sky, "Queued": blue, "other": pale,
	}
}

// ended returns the names of all final statuses except Cancelled. Percentages leave out cancelled messages, because the
// sender stopped them.
func ended() []string {
	return []string{"Delivered", "Failed", "Rejected", "Aborted", "Expired", "Deleted", "Unknown"}
}

// resultColors returns the colors of all series names that are not statuses, such as outcomes, results and reasons, in
// a new map.
func resultColors() palette {
	return palette{
		"delivered": green, "undelivered": vermilion, "unknown": yellow,
		"stored": green, "inbound": sky, "quarantined": pale, "busy": orange, "failed": vermilion, "canceled": violet,
		"unauthorized": darkRed, "too_large": plum, "too_large_unverified": sky, "shed": purple,
		"shed_unverified": green, "incomplete": blue, "unknown_plan": yellow,
		"accepted": green, "earned": sky, "dead": vermilion, "requeued": yellow, "deleted": orange,
		"pending": sky, "dropped": plum,
		"rate_limited": yellow, "server": vermilion, "timeout": orange, "network": darkRed, "auth": purple,
		"forbidden":              orange,
		"not_enabled_or_unknown": sky, "rejected": blue, "not_a_number": plum, "other": pale,
		"found": green, "deferred": orange, "filtered": pale, "redirected": plum, "gone": purple, "tls": darkRed,
		"2xx": green, "4xx": orange, "5xx": vermilion, "unreachable": darkRed, "refused": purple,
		"recorded": green, "late": orange, "lost": vermilion, "unreadable": pale,
		"rate": sky, "ceiling": pale,
		"p50": sky, "p95": orange, "p99": vermilion,
	}
}

// of returns a new palette with only the given names of series and their colors. All names must be in p; a name that is
// not gets the color "", which is invalid.
func (p palette) of(names ...string) palette {
	chosen := make(palette, len(names))
	for _, name := range names {
		chosen[name] = p[name]
	}
	return chosen
}

// overrides returns Grafana field overrides, sorted by name, that give each series in the palette its color.
func (p palette) overrides() []dashboard.DashboardFieldConfigSourceOverrides {
	all := make([]dashboard.DashboardFieldConfigSourceOverrides, 0, len(p))
	for _, name := range slices.Sorted(maps.Keys(p)) {
		all = append(all, override(name, dashboard.DynamicConfigValue{Id: "color", Value: fixed(p[name])}))
	}
	return all
}

// override returns a Grafana field override. It sets properties, such as the color, of the series or table column with
// the given name.
func override(name string, properties ...dashboard.DynamicConfigValue) dashboard.DashboardFieldConfigSourceOverrides {
	return dashboard.DashboardFieldConfigSourceOverrides{
		Matcher: dashboard.MatcherConfig{Id: "byName", Options: name}, Properties: properties,
	}
}

func fixed(color string) dashboard.FieldColor {
	return dashboard.FieldColor{Mode: dashboard.FieldColorModeIdFixed, FixedColor: new(color)}
}

// risingTo returns color thresholds for a value that should be low: green below warn, orange from warn on, vermilion
// from bad on.
func risingTo(warn, bad float64) []dashboard.Threshold {
	return []dashboard.Threshold{{Color: green}, {Value: new(warn), Color: orange}, {Value: new(bad), Color: vermilion}}
}

// zeroIsGood returns color thresholds for a value that should be zero: green at zero, vermilion above.
func zeroIsGood() []dashboard.Threshold {
	return []dashboard.Threshold{{Color: green}, {Value: new(1e-9), Color: vermilion}}
}

// fallingTo returns color thresholds for a value that should be high: vermilion below warn, orange from warn on, green
// from good on.
func fallingTo(good, warn float64) []dashboard.Threshold {
	return []dashboard.Threshold{
		{Color: vermilion},
		{Value: new(warn), Color: orange},
		{Value: new(good), Color: green},
	}
}
