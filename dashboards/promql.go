package dashboards

import (
	"fmt"
	"strings"
)

// restarts is a PromQL query that returns a value for each instance at the times when it restarted, and nothing at
// other times.
const restarts = `changes(process_start_time_seconds{<process>}[$__rate_interval]) > 0`

// query is one PromQL expression of a panel. It may have placeholders:
//
//	<plan>     the label matchers for a series with the label plan
//	<process>  the label matchers for a series without the label plan
//	<ended>    the final statuses without Cancelled, for =~
type query struct {
	expr       string
	legend     string
	mayBeEmpty bool // an empty result is normal, even in a busy system
}

// allowEmpty marks queries whose result may be empty even in a busy system. It changes queries and returns the same
// slice. The end-to-end tests wait for a result of every query except these.
func allowEmpty(queries ...query) []query {
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

// share returns a PromQL expression that divides part by whole. While whole is zero, the result is empty instead of
// NaN.
func share(part, whole string) string { return part + " / (" + whole + " > 0)" }

// countryShare returns PromQL for the fraction of messages with the given result among all messages of a country. It
// counts the messages in the time range given by window, such as wholeRange. A missing series counts as 0, because a
// series exists only after its first message.
func countryShare(result, window string) string {
	all := "sum by (country) (" + counted(window) + "(dlrloop_route_messages_total{<process>}[" + window + "]))"
	part := "sum by (country) (" + counted(window) + `(dlrloop_route_messages_total{<process>,` +
		` result="` + result + `"}[` + window + "]))"
	return share("("+part+" or 0 * "+all+")", all)
}

// quantile returns PromQL for the q-quantile (p99 for q = 0.99) of the observations that a classic histogram counted in
// the time range given by window, such as step. The query returns one value for each combination of values of the given
// labels. If there are no observations, the query returns nothing instead of NaN.
func quantile(q float64, histogram, window string, labels ...string) string {
	by := strings.Join(append([]string{"le"}, labels...), ", ")
	return fmt.Sprintf("histogram_quantile(%g, sum by (%s) (%s(%s_bucket{<process>}[%s]))) >= 0",
		q, by, counted(window), histogram, window)
}

// Grafana variables for the range in a PromQL query. step is a short range for each point of a graph; wholeRange is the
// time range that the user has chosen on the dashboard.
const (
	step       = "$__rate_interval"
	wholeRange = "$__range"
)

// counted returns the name of the PromQL function for a counter: "increase" if window, the time range of the query, is
// wholeRange, else "rate".
func counted(window string) string {
	if window == wholeRange {
		return "increase"
	}
	return "rate"
}

// quantiles returns three queries for the quantiles p50, p95 and p99 of a histogram, for the instances that the user
// has chosen on the dashboard.
func quantiles(histogram string) []query {
	return []query{
		{expr: quantile(.5, histogram, step), legend: "p50"},
		{expr: quantile(.95, histogram, step), legend: "p95"},
		{expr: quantile(.99, histogram, step), legend: "p99"},
	}
}

// overWholeRange reports whether the query returns one value for the dashboard's whole time range. Grafana then
// evaluates it once, instead of once for each point of a graph.
func (q query) overWholeRange() bool {
	return strings.Contains(q.expr, "["+wholeRange+"]") && !strings.Contains(q.expr, "@ end()")
}
