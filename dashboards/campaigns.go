package dashboards

import (
	"github.com/grafana/grafana-foundation-sdk/go/units"
)

// campaigns returns the Grafana dashboard about the results of messages, by plan, country and time.
func campaigns() board {
	return board{
		uid:   "dlrloop-campaigns",
		title: "dlrloop: campaigns",
		description: "Results of the messages: how many were delivered, in which countries, how fast," +
			" and why the others were not.",
		byPlan: true,
		sections: []section{
			{title: "In the time range", panels: campaignGlance()},
			{title: "Delivered or not", panels: delivered()},
			{title: "Countries (all plans)", panels: routes()},
			{title: "Delays (all plans)", panels: delays()},
			{title: "Each plan", panels: eachPlan()},
		},
	}
}

// endedIn returns a query for the fraction, from 0 to 1, of messages that got the given final status. The whole is all
// messages that became final in the dashboard's time range, except cancelled ones.
func endedIn(status string) query {
	return query{expr: share(
		`sum(increase(dlrloop_messages_total{<plan>, status="`+status+`"}[$__range]))`,
		`sum(increase(dlrloop_messages_total{<plan>, status=~"<ended>"}[$__range]))`)}
}

func campaignGlance() []panel {
	return sized([]panel{
		{
			title: "Ended", unit: units.Short, whole: true,
			description: "Messages that reached a final status. Cancelled messages are not counted, here and in " +
				"the shares.",
			queries: []query{{expr: `sum(increase(dlrloop_messages_total{<plan>, status=~"<ended>"}[$__range]))`}},
		},
		{
			title: "Delivered", unit: units.PercentUnit, max: 1,
			description: "Share of the final messages that were delivered. A good value depends on the countries " +
				"and on the age of the numbers: compare with last week.",
			queries: []query{endedIn("Delivered")},
		},
		{
			title: "Unknown", unit: units.PercentUnit, max: 1,
			description: "Share of the final messages whose status is Unknown: the operator does not report the " +
				"result. Many on one route suggest that reports are invented or withheld.",
			queries: []query{endedIn("Unknown")},
		},
		{
			title: "Missing reports", unit: units.Short,
			description: "Messages whose final report has not arrived yet, at present.",
			queries:     []query{{expr: `sum(max by (plan) (dlrloop_messages_missing{<plan>}))`}},
		},
		{
			title: "Time to final, p50", unit: units.Seconds,
			description: "Half of the messages had their final status within this time after sending. All plans; " +
				"only batches whose batch info is known.",
			queries: []query{{expr: quantile(.5, "dlrloop_delivery_latency_seconds", wholeRange)}},
		},
		{
			title: "Time to final, p95", unit: units.Seconds,
			description: "95 % of the messages had their final status within this time after sending. All plans; " +
				"only batches whose batch info is known.",
			queries: []query{{expr: quantile(.95, "dlrloop_delivery_latency_seconds", wholeRange)}},
		},
	}, figure, 4, 4)
}

func delivered() []panel {
	return sized([]panel{
		{
			title: "Delivered share by plan", unit: units.PercentUnit, max: 1,
			description: "Share of the messages becoming final at each moment that were delivered. A gap means " +
				"that no message became final.",
			queries: []query{{
				expr: share(
					`sum by (plan) (rate(dlrloop_messages_total{<plan>, status="Delivered"}[$__rate_interval]))`,
					`sum by (plan) (rate(dlrloop_messages_total{<plan>, status=~"<ended>"}[$__rate_interval]))`),
				legend: "{{plan}}",
			}},
		},
		{
			title: "Not delivered, by class of code", unit: units.PercentUnit, max: 1, kind: stacked,
			description: "Share of the messages becoming final at each moment that were not delivered, by the " +
				"class of the report's code. The rest up to 100 % was delivered.",
			queries: []query{{
				expr: `sum by (code_class) (rate(dlrloop_messages_total{<plan>, status=~"<ended>",` +
					` status!="Delivered"}[$__rate_interval]))` +
					` / on () group_left () (sum(rate(dlrloop_messages_total{<plan>,` +
					` status=~"<ended>"}[$__rate_interval])) > 0)`,
				legend: "{{code_class}}",
			}},
		},
	}, lines, 12, 9)
}

func routes() []panel {
	const messages = `sum by (country) (increase(dlrloop_route_messages_total{<process>}[$__range]))`
	return sized([]panel{
		{
			title: "By country", unit: units.Short, kind: countries,
			description: "Messages that became final in the time range, by the country of the number's calling " +
				"code. Only reports that name the recipient count. Look for a large country whose shares " +
				"have changed.",
			queries: []query{
				{expr: countryShare("delivered", wholeRange), legend: columnDelivered},
				{expr: countryShare("unknown", wholeRange), legend: columnUnknown},
				{expr: messages + " > 0", legend: columnMessages},
			},
		},
		{
			title: "Delivered share of the largest countries", unit: units.PercentUnit, max: 1,
			description: "Share of the messages becoming final at each moment that were delivered, for the eight " +
				"countries with the most messages in the time range.",
			queries: []query{{
				expr: countryShare("delivered", step) +
					` and on (country) topk(8,` +
					` sum by (country) (increase(dlrloop_route_messages_total{<process>}[$__range] @ end())))`,
				legend: "{{country}}",
			}},
		},
	}, lines, 12, 11)
}

func delays() []panel {
	return append(
		sized([]panel{
			{
				title: "Time to final", unit: units.Seconds, kind: heat,
				description: "Number of messages by the time from sending to the final status: time to the right, " +
					"duration upwards, brighter means more. A second band far up is a route that delays " +
					"messages.",
				queries: []query{{
					expr: `sum by (le) (increase(dlrloop_delivery_latency_seconds_bucket{<process>}` +
						`[$__rate_interval]))`,
					legend: "{{le}}",
				}},
			},
			{
				title: "Time to final by status, p95", unit: units.Seconds,
				description: "95 % of the messages with each final status reached it within this time after sending. " +
					"Expired messages take as long as their validity.",
				colors: statusColors(),
				queries: []query{{
					expr:   quantile(.95, "dlrloop_delivery_latency_seconds", step, "status"),
					legend: "{{status}}",
				}},
			},
		}, lines, 12, 10),
		sized([]panel{
			{
				title: "Operator delay", unit: units.Seconds,
				description: "Time from the operator's time of a status to Sinch's report, as p50, p95 and p99. Only " +
					"reports with both times count. This is the network's part of the delay.",
				colors:  resultColors().of("p50", "p95", "p99"),
				queries: quantiles("dlrloop_operator_lag_seconds"),
			},
			{
				title: "Callback delay", unit: units.Seconds,
				description: "Time from Sinch's report to its callback being stored, as p50, p95 and p99. Good: " +
					"seconds. It rises while Sinch has to repeat callbacks.",
				colors:  resultColors().of("p50", "p95", "p99"),
				queries: quantiles("dlrloop_callback_lag_seconds"),
			},
		}, lines, 12, 8)...)
}

// eachPlan returns one panel, which Grafana repeats for each service plan. The section with this panel must be the last
// one of the dashboard, because the height of the section depends on the number of plans.
func eachPlan() []panel {
	return sized([]panel{{
		title: "Statuses of $plan", unit: units.OpsPerSecond, kind: stacked, repeat: "plan",
		description: "Messages of the plan newly reported in each status, per second. A message counts once in " +
			"each status that it passes through.",
		colors: statusColors(),
		queries: []query{{
			expr:   `sum by (status) (rate(dlrloop_messages_total{<plan>}[$__rate_interval]))`,
			legend: "{{status}}",
		}},
	}}, lines, 12, 8)
}
