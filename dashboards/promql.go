package dashboards

import (
	"fmt"
	"strings"
)

// restarts is above zero where an instance started anew.
const restarts = `changes(process_start_time_seconds{<process>}[$__rate_interval]) > 0`

// query is one PromQL expression of a panel. It may have placeholders:
//
//	<plan>     the matchers of a series that has a plan
//	<process>  the matchers of one that has none
//	<ended>    the statuses, for =~, that a message can end in which was not cancelled by who sent it
type query struct {
	expr       string
	legend     string
	mayBeEmpty bool // in a healthy system that is not idle: what it shows need not have happened
}

// rare marks queries whose answer may well be empty.
func rare(queries ...query) []query {
	for i := range queries {
		queries[i].mayBeEmpty = true
	}
	return queries
}

func expand(expr string) string {
	return strings.NewReplacer(
		"<plan>", `job=~"$job", instance=~"$instance", plan=~"$plan"`,
		"<process>", `job=~"$job", instance=~"$instance"`,
		"<ended>", strings.Join(ended(), "|"),
	).Replace(expr)
}

// share divides a part by its whole, and has no answer, rather than NaN, while the whole is zero.
func share(part, whole string) string { return part + " / (" + whole + " > 0)" }

// countryShare is the share of each country's messages that ended with a result. A series is there from its first message
// on, so one that is not there counts as 0.
func countryShare(result, window string) string {
	all := "sum by (country) (" + counted(window) + "(dlrloop_route_messages_total{<process>}[" + window + "]))"
	part := "sum by (country) (" + counted(window) + `(dlrloop_route_messages_total{<process>, result="` + result + `"}[` + window + "]))"
	return share("("+part+" or 0 * "+all+")", all)
}

// quantile is of a classic histogram over window, by labels if there are any. Without observations it has no answer,
// rather than NaN.
func quantile(q float64, histogram, matchers, window string, labels ...string) string {
	by := strings.Join(append([]string{"le"}, labels...), ", ")
	return fmt.Sprintf("histogram_quantile(%g, sum by (%s) (%s(%s_bucket{%s}[%s]))) >= 0",
		q, by, counted(window), histogram, matchers, window)
}

// The windows that a rate or an increase is taken over.
const (
	step       = "$__rate_interval"
	wholeRange = "$__range"
)

// counted is what happened a second, or in all of the time that is shown.
func counted(window string) string {
	if window == wholeRange {
		return "increase"
	}
	return "rate"
}

// quantiles are the usual three of a histogram.
func quantiles(histogram, matchers string) []query {
	return []query{
		{expr: quantile(.5, histogram, matchers, step), legend: "p50"},
		{expr: quantile(.95, histogram, matchers, step), legend: "p95"},
		{expr: quantile(.99, histogram, matchers, step), legend: "p99"},
	}
}

// overWholeRange reports whether the query looks back over all the time that is shown, so that one answer says it.
func (q query) overWholeRange() bool {
	return strings.Contains(q.expr, "["+wholeRange+"]") && !strings.Contains(q.expr, "@ end()")
}
