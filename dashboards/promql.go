package dashboards

import (
	"fmt"
	"strings"
)

// restarts is PromQL whose value is above zero where an instance was restarted.
const restarts = `changes(process_start_time_seconds{<process>}[$__rate_interval]) > 0`

// query is one PromQL expression of a panel. It may have placeholders:
//
//	<plan>     the matchers of a series that has a plan
//	<process>  the matchers of one that has none
//	<ended>    the statuses, for =~, that a message can end in which was not cancelled by who sent it
type query struct {
	expr       string
	legend     string
	mayBeEmpty bool // no result is normal, even in a busy system
}

// rare marks queries for which an empty result is normal.
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

// share returns PromQL that divides part by whole. Its result is empty, instead of NaN, while whole is zero.
func share(part, whole string) string { return part + " / (" + whole + " > 0)" }

// countryShare returns PromQL for the share of each country's messages that have a result. A series exists only after
// its first message, so a missing one counts as 0.
func countryShare(result, window string) string {
	all := "sum by (country) (" + counted(window) + "(dlrloop_route_messages_total{<process>}[" + window + "]))"
	part := "sum by (country) (" + counted(window) + `(dlrloop_route_messages_total{<process>,` +
		` result="` + result + `"}[` + window + "]))"
	return share("("+part+" or 0 * "+all+")", all)
}

// quantile returns PromQL for the q-quantile (0 to 1) of a classic histogram of the selected processes over window, by
// labels if given. Without observations its result is empty instead of NaN.
func quantile(q float64, histogram, window string, labels ...string) string {
	by := strings.Join(append([]string{"le"}, labels...), ", ")
	return fmt.Sprintf("histogram_quantile(%g, sum by (%s) (%s(%s_bucket{<process>}[%s]))) >= 0",
		q, by, counted(window), histogram, window)
}

// The windows of rates and increases.
const (
	step       = "$__rate_interval"
	wholeRange = "$__range"
)

// counted returns the PromQL function for a window: increase for the whole time range, else rate.
func counted(window string) string {
	if window == wholeRange {
		return "increase"
	}
	return "rate"
}

// quantiles returns the queries for p50, p95 and p99 of a histogram of the selected processes.
func quantiles(histogram string) []query {
	return []query{
		{expr: quantile(.5, histogram, step), legend: "p50"},
		{expr: quantile(.95, histogram, step), legend: "p95"},
		{expr: quantile(.99, histogram, step), legend: "p99"},
	}
}

// overWholeRange reports whether the query covers the whole time range, so that one instant query suffices.
func (q query) overWholeRange() bool {
	return strings.Contains(q.expr, "["+wholeRange+"]") && !strings.Contains(q.expr, "@ end()")
}
