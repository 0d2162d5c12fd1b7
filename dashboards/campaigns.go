package dashboards

import (
	"github.com/grafana/grafana-foundation-sdk/go/units"
)

// campaigns shows what became of the messages: how many arrived, where, how fast, and why the others did not.
func campaigns() board {
	return board{
		uid:         "dlrloop-campaigns",
		title:       "dlrloop: campaigns",
		description: "What became of the messages: how many arrived, in which countries, how fast, and why the others did not.",
		byPlan:      true,
		sections: []section{
			{title: "In the time shown", panels: campaignGlance()},
			{title: "Delivered, or why not", panels: delivered()},
			{title: "Countries (all plans)", panels: routes()},
			{title: "How fast (all plans)", panels: delays()},
			{title: "Each plan", panels: eachPlan()},
		},
	}
}

// endedIn has the share of the messages that ended in the time shown which did so in one status.
func endedIn(status string) query {
	return query{expr: share(
		`sum(increase(dlrloop_messages_total{<plan>, status="`+status+`"}[$__range]))`,
		`sum(increase(dlrloop_messages_total{<plan>, status=~"<ended>"}[$__range]))`)}
}

func campaignGlance() []panel {
	return sized([]panel{
		{
			title: "Ended", unit: units.Short, whole: true,
			description: "Messages that came to a final status. Those that were cancelled are left out, here and in the shares.",
			queries:     []query{{expr: `sum(increase(dlrloop_messages_total{<plan>, status=~"<ended>"}[$__range]))`}},
		},
		{
			title: "Delivered", unit: units.PercentUnit, max: 1,
			description: "The share of them that was delivered. What is good depends on the countries and on how old the numbers are: compare with last week.",
			queries:     []query{endedIn("Delivered")},
		},
		{
			title: "Unknown", unit: units.PercentUnit, max: 1,
			description: "The share of them whose status is Unknown: the operator does not say. Many on one route hint at reports that are made up or kept back.",
			queries:     []query{endedIn("Unknown")},
		},
		{
			title: "Still awaited", unit: units.Short,
			description: "Messages whose final status is still expected, as of now.",
			queries:     []query{{expr: `sum(max by (plan) (dlrloop_messages_awaited{<plan>}))`}},
		},
		{
			title: "Time to final, 50 of 100", unit: units.Seconds,
			description: "Half of the messages had their final status within this time of leaving. All plans; batches whose facts are known.",
			queries:     []query{{expr: quantile(.5, "dlrloop_delivery_latency_seconds", "<process>", wholeRange)}},
		},
		{
			title: "Time to final, 95 of 100", unit: units.Seconds,
			description: "95 of 100 messages had their final status within this time of leaving. All plans; batches whose facts are known.",
			queries:     []query{{expr: quantile(.95, "dlrloop_delivery_latency_seconds", "<process>", wholeRange)}},
		},
	}, figure, 4, 4)
}

func delivered() []panel {
	return sized([]panel{
		{
			title: "Delivered share by plan", unit: units.PercentUnit, max: 1,
			description: "Of the messages that ended at each moment, the share that was delivered. A gap: none ended.",
			queries: []query{{
				expr: share(
					`sum by (plan) (rate(dlrloop_messages_total{<plan>, status="Delivered"}[$__rate_interval]))`,
					`sum by (plan) (rate(dlrloop_messages_total{<plan>, status=~"<ended>"}[$__rate_interval]))`),
				legend: "{{plan}}",
			}},
		},
		{
			title: "Not delivered, by class of code", unit: units.PercentUnit, max: 1, kind: stacked,
			description: "Of the messages that ended at each moment, the share that was not delivered, by who says so: the class of the report's code. " +
				"What all of them leave open up to 100 % was delivered.",
			queries: []query{{
				expr: `sum by (code_class) (rate(dlrloop_messages_total{<plan>, status=~"<ended>", status!="Delivered"}[$__rate_interval]))` +
					` / on () group_left () (sum(rate(dlrloop_messages_total{<plan>, status=~"<ended>"}[$__rate_interval])) > 0)`,
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
			description: "Messages that ended in the time shown, by the country of the number's calling code; only where a report names the recipient. " +
				"Look for a large country whose shares are not what they were.",
			queries: []query{
				{expr: countryShare("delivered", wholeRange), legend: columnDelivered},
				{expr: countryShare("unknown", wholeRange), legend: columnUnknown},
				{expr: messages + " > 0", legend: columnMessages},
			},
		},
		{
			title: "Delivered share of the largest countries", unit: units.PercentUnit, max: 1,
			description: "Of the messages that ended at each moment, the share that was delivered, in the eight countries with the most messages in the time shown.",
			queries: []query{{
				expr: countryShare("delivered", step) +
					` and on (country) topk(8, sum by (country) (increase(dlrloop_route_messages_total{<process>}[$__range] @ end())))`,
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
				description: "How many messages took how long from leaving to their final status: time to the right, duration upwards, brighter is more. " +
					"A second band far up is a route that holds messages back.",
				queries: []query{{
					expr:   `sum by (le) (increase(dlrloop_delivery_latency_seconds_bucket{<process>}[$__rate_interval]))`,
					legend: "{{le}}",
				}},
			},
			{
				title: "Time to final by status, 95 of 100", unit: units.Seconds,
				description: "95 of 100 messages that ended in each status took no longer from leaving. Expired ones take as long as they may.",
				colours:     statuses(),
				queries: []query{{
					expr:   quantile(.95, "dlrloop_delivery_latency_seconds", "<process>", step, "status"),
					legend: "{{status}}",
				}},
			},
		}, lines, 12, 10),
		sized([]panel{
			{
				title: "Operator delay", unit: units.Seconds,
				description: "Time from the operator's own time of a status to when Sinch made the report: 50, 95 and 99 of 100 take no longer. " +
					"Only of reports that have both times. It is the network's share of the delay.",
				colours: results().of("p50", "p95", "p99"),
				queries: quantiles("dlrloop_operator_lag_seconds", "<process>"),
			},
			{
				title: "Callback delay", unit: units.Seconds,
				description: "Time from when Sinch made a report to when its callback was taken in: 50, 95 and 99 of 100 take no longer. " +
					"Good: seconds. It rises while Sinch has to repeat callbacks.",
				colours: results().of("p50", "p95", "p99"),
				queries: quantiles("dlrloop_callback_lag_seconds", "<process>"),
			},
		}, lines, 12, 8)...)
}

// eachPlan comes last: it grows with the plans.
func eachPlan() []panel {
	return sized([]panel{{
		title: "Statuses of $plan", unit: units.OpsPerSecond, kind: stacked, repeat: "plan",
		description: "Messages of the plan, a second, newly reported in each status. A message counts once in every status it goes through.",
		colours:     statuses(),
		queries: []query{{
			expr:   `sum by (status) (rate(dlrloop_messages_total{<plan>}[$__rate_interval]))`,
			legend: "{{status}}",
		}},
	}}, lines, 12, 8)
}
