package dashboards

import "github.com/grafana/grafana-foundation-sdk/go/units"

// overview returns the main Grafana dashboard: incoming reports, results of messages, and outgoing feedback.
func overview() board {
	return board{
		uid:   "dlrloop-overview",
		title: "dlrloop: overview",
		description: "Are delivery reports coming in, what are the results of the messages," +
			" and does the feedback reach Sinch?",
		byPlan: true,
		sections: []section{
			{title: "At a glance", panels: glance()},
			{title: "Callbacks from Sinch", panels: callbacks()},
			{title: "Messages", panels: messages()},
			{title: "Delivery feedback to Sinch", panels: feedbackSummary()},
			{title: "Gateway", panels: gateway()},
		},
	}
}

// good is a Markdown text on the overview dashboard that tells users which values are normal. The alerts check the same
// values.
const good = `- **Lossy answers are 0.** Each one is a report that Sinch never sends again.
- **Callbacks are stored** in milliseconds. *Unauthorized* over minutes means a wrong secret: Sinch repeats for a day.
- **Delivered share** is the same as last week.
- **Missing reports** fall back between campaigns; **fetched reports** are near 0.
- **Oldest due** is seconds, **dead** is 0, all **circuits** are closed.

If not: [runbook](` + runbook + `). Description of each series: [metrics](` + docs + `metrics.md).`

func glance() []panel {
	figures := []panel{
		{
			title: "Instances up", unit: units.Short, thresholds: fallingTo(1, 1),
			description: "Instances that Prometheus can scrape. Good: all that are running.",
			queries:     []query{{expr: `sum(up{<process>})`}},
		},
		{
			title: "Callbacks", unit: units.RequestsPerSecond,
			description: "Callbacks from Sinch per second, whatever the answer.",
			queries:     []query{{expr: `sum(rate(dlrloop_callbacks_total{<plan>}[$__rate_interval]))`}},
		},
		{
			title: "Answered within", unit: units.Seconds, thresholds: risingTo(.5, 2),
			description: "95 % of the callbacks are answered, and durable on disk, within this time. Good: well " +
				"under a second.",
			queries: []query{{expr: quantile(.95, "dlrloop_ingest_duration_seconds", step)}},
		},
		{
			title: "Delivered share", unit: units.PercentUnit, max: 1,
			description: "Share of the messages becoming final in the time range that were delivered. Cancelled " +
				"messages are not counted.",
			queries: []query{{expr: share(
				`sum(increase(dlrloop_messages_total{<plan>, status="Delivered"}[$__range]))`,
				`sum(increase(dlrloop_messages_total{<plan>, status=~"<ended>"}[$__range]))`)}},
		},
		{
			title: "Time to final, median", unit: units.Seconds,
			description: "Half of the messages becoming final in the time range had their final status within this " +
				"time after sending. All plans.",
			queries: []query{{expr: quantile(.5, "dlrloop_delivery_latency_seconds", wholeRange)}},
		},
		{
			title: "Lossy answers", unit: units.Short, whole: true, thresholds: zeroIsGood(),
			description: "Answers in the time range after which Sinch never sends a report again. Good: 0. Each " +
				"one is a lost report.",
			queries: []query{{expr: `sum(increase(dlrloop_lossy_responses_total{<plan>}[$__range]))`}},
		},
		{
			title: "Missing reports", unit: units.Short,
			description: "Messages whose final report has not arrived yet. Good: it falls back to 0 after each " +
				"campaign.",
			queries: []query{{expr: `sum(max by (plan) (dlrloop_messages_missing{<plan>}))`}},
		},
		{
			title: "Feedback owed", unit: units.Short,
			description: "Recipients whose delivery feedback has not been sent yet. Good: near 0, or falling.",
			queries: []query{{expr: `sum(max by (plan) (dlrloop_feedback_task_recipients{<plan>,` +
				` state="pending"}))`}},
		},
		{
			title: "Oldest due", unit: units.Seconds, thresholds: risingTo(15*60, 4*3600),
			description: "How long the oldest due feedback has been waiting. Good: seconds.",
			queries:     []query{{expr: `max(dlrloop_feedback_oldest_due_seconds{<plan>})`}},
		},
		{
			title: "Feedback dead", unit: units.Short, thresholds: zeroIsGood(),
			description: "Recipients whose feedback was given up. A person must act. Good: 0.",
			queries:     []query{{expr: `sum(max by (plan) (dlrloop_feedback_task_recipients{<plan>, state="dead"}))`}},
		},
		{
			title: "Circuits not closed", unit: units.Short, thresholds: zeroIsGood(),
			description: "Plans for which an instance sends no feedback at present, because Sinch kept failing. " +
				"Good: 0.",
			queries: []query{{expr: `sum(max by (plan) (dlrloop_feedback_circuit_state{<plan>,` +
				` state=~"open|half_open"}))`}},
		},
		{
			title: "Fetched reports", unit: units.Short, whole: true,
			description: "Messages in the time range whose final status was fetched from Sinch because no callback " +
				"reported it. Good: 0 or a few.",
			queries: []query{{expr: `sum(increase(dlrloop_reconciled_total{<plan>}[$__range]))`}},
		},
	}
	return append([]panel{{
		title: "What good looks like", description: "How the figures on this page should look.",
		width: 6, height: 10, kind: markdown, text: good,
	}}, sized(figures, figure, 3, 5)...)
}

func callbacks() []panel {
	return append(sized([]panel{
		{
			title: "Callbacks by type", unit: units.RequestsPerSecond, kind: stacked,
			description: "Callbacks from Sinch per second, by the type of their content; other means that the type " +
				"was not read. Good: it follows the number of sent messages.",
			queries: []query{{
				expr:   `sum by (type) (rate(dlrloop_callbacks_total{<plan>}[$__rate_interval]))`,
				legend: "{{type}}",
			}},
		},
		{
			title: "Callbacks not stored", unit: units.RequestsPerSecond,
			description: "Callbacks per second that stored no report, by outcome. Sinch repeats all but too_large, " +
				"too_large_unverified and, with on_failure: reject, unauthorized. Quarantined callbacks " +
				"are stored raw and answered 200. Good: none for long.",
			colors: resultColors().of("quarantined", "busy", "failed", "unauthorized", "too_large", "too_large_unverified",
				"shed",
				"shed_unverified", "incomplete", "unknown_plan"),
			queries: []query{{
				expr: `sum by (outcome) (rate(dlrloop_callbacks_total{<plan>,` +
					` outcome!~"stored|inbound"}[$__rate_interval]))`,
				legend: "{{outcome}}",
			}},
		},
		{
			title: "Time to answer", unit: units.Seconds,
			description: "Time from a callback's header to its answer, as p50, p95 and p99. All plans. Good: p99 " +
				"under a second.",
			colors:  resultColors().of("p50", "p95", "p99"),
			queries: quantiles("dlrloop_ingest_duration_seconds"),
		},
		{
			title: "Duplicates", unit: units.OpsPerSecond,
			description: "Reports per second that were already stored and changed nothing, by plan. Sinch repeats " +
				"callbacks that were not answered in time: many duplicates mean that answers are lost or " +
				"late.",
			queries: []query{{
				expr:   `sum by (plan) (rate(dlrloop_duplicates_total{<plan>}[$__rate_interval]))`,
				legend: "{{plan}}",
			}},
		},
	}, lines, 6, 8), sized([]panel{
		{
			title: "Inbound messages", unit: units.RequestsPerSecond,
			description: "Inbound messages (MO), such as STOP, that Sinch sent per second, by type. Repeats count.",
			queries: []query{{
				expr:   `sum by (type) (rate(dlrloop_callbacks_total{<plan>, outcome="inbound"}[$__rate_interval]))`,
				legend: "{{type}}",
			}},
		},
		{
			title: "Inbound messages are stored", unit: units.Short,
			description: "1 while inbound messages are stored; 0 with inbound.keep: false, which acknowledges and drops " +
				"them. Good: 1, unless your team wants 0.",
			queries: []query{{expr: `min(dlrloop_inbound_kept{<process>})`, legend: "stored"}},
		},
	}, lines, 12, 6)...)
}

func messages() []panel {
	return append(
		sized([]panel{
			{
				title: "Messages by status", unit: units.OpsPerSecond, kind: stacked,
				description: "Messages newly reported in each status," +
					" per second. A message counts once in each status " +
					"that it passes through; duplicates do not count.",
				colors: statusColors(),
				queries: []query{{
					expr:   `sum by (status) (rate(dlrloop_messages_total{<plan>}[$__rate_interval]))`,
					legend: "{{status}}",
				}},
			},
			{
				title: "Delivered share by plan", unit: units.PercentUnit, max: 1,
				description: "Share of the messages becoming final at each moment that were delivered, by plan. " +
					"Cancelled messages are not counted. A gap means that no message became final.",
				queries: []query{{
					expr: share(
						`sum by (plan) (rate(dlrloop_messages_total{<plan>, status="Delivered"}[$__rate_interval]))`,
						`sum by (plan) (rate(dlrloop_messages_total{<plan>, status=~"<ended>"}[$__rate_interval]))`),
					legend: "{{plan}}",
				}},
			},
		}, lines, 12, 9),
		sized([]panel{
			{
				title: "Time to final", unit: units.Seconds,
				description: "Time from sending a batch to a message's final status, as p50, p95 and p99. All plans; " +
					"only batches whose batch info is known.",
				colors:  resultColors().of("p50", "p95", "p99"),
				queries: quantiles("dlrloop_delivery_latency_seconds"),
			},
			{
				title: "Missing reports by plan", unit: units.Short, kind: stacked,
				description: "Messages whose final report has not arrived yet," +
					" by plan. Good: it falls back to 0 after " +
					"each campaign.",
				queries: []query{{
					expr:   `max by (plan) (dlrloop_messages_missing{<plan>})`,
					legend: "{{plan}}",
				}},
			},
			{
				title: "Fetched reports by plan", unit: units.OpsPerSecond,
				description: "Messages per second whose final status was fetched from Sinch because no callback " +
					"reported it, by plan. Good: near 0. If it rises, callbacks do not arrive.",
				queries: []query{{
					expr:   `sum by (plan) (rate(dlrloop_reconciled_total{<plan>}[$__rate_interval]))`,
					legend: "{{plan}}",
				}},
			},
		}, lines, 8, 8)...)
}

func feedbackSummary() []panel {
	return append(
		sized([]panel{recipientsByState(), recipientsByResult(), oldestDue()}, lines, 8, 8),
		sized([]panel{circuits()}, states, 24, 5)...)
}

func gateway() []panel {
	return sized([]panel{
		{
			title: "Requests by outcome", unit: units.RequestsPerSecond, kind: stacked,
			description: "Requests to the gateway per second, by outcome: the class of Sinch's answer, unreachable " +
				"(no complete answer) or refused (not sent to Sinch). All plans. Good: 2xx.",
			colors: resultColors().of("2xx", "4xx", "5xx", "unreachable", "refused", "other"),
			queries: []query{{
				expr:   `sum by (outcome) (rate(dlrloop_gateway_requests_total{<process>}[$__rate_interval]))`,
				legend: "{{outcome}}",
			}},
		},
		{
			title: "Time to answer, p95", unit: units.Seconds,
			description: "95 % of the requests of each operation are answered within this time, including Sinch's " +
				"part. All plans.",
			queries: []query{{
				expr:   quantile(.95, "dlrloop_gateway_duration_seconds", step, "operation"),
				legend: "{{operation}}",
			}},
		},
		{
			title: "Batches recorded", unit: units.OpsPerSecond,
			description: "Batches in the gateway's answers, per second: recorded before the caller got the answer, " +
				"late (recorded after it), lost (looked up later instead) or unreadable. Good: recorded.",
			colors: resultColors().of("recorded", "late", "lost", "unreadable"),
			queries: []query{{
				expr:   `sum by (result) (rate(dlrloop_gateway_observed_total{<plan>}[$__rate_interval]))`,
				legend: "{{result}}",
			}},
		},
	}, lines, 8, 8)
}
