package dashboards

import "github.com/grafana/grafana-foundation-sdk/go/units"

// overview answers at one look whether the loop is closed: reports come in, results are known, feedback goes out.
func overview() board {
	return board{
		uid:         "dlrloop-overview",
		title:       "dlrloop: overview",
		description: "Do delivery reports come in, what became of the messages, and does the feedback reach Sinch?",
		byPlan:      true,
		sections: []section{
			{title: "At a glance", panels: glance()},
			{title: "Callbacks from Sinch", panels: callbacks()},
			{title: "Messages", panels: messages()},
			{title: "Delivery feedback to Sinch", panels: feedbackInBrief()},
			{title: "Gateway", panels: gateway()},
		},
	}
}

// good says in words what the figures should look like. The alerts of the runbook say the same to a pager.
const good = `- **Lossy answers are 0.** Anything else is a report that Sinch never sends again.
- **Callbacks are stored** in milliseconds. *Unauthorized* that goes on means a wrong secret: Sinch repeats for about a day.
- **Delivered share** is what it was last week.
- **Awaited** falls back between campaigns; **found missing** is near 0.
- **Oldest due** is seconds, **dead** is 0, all **circuits** are closed.

If not: [runbook](` + runbook + `). What each series counts: [metrics](` + docs + `metrics.md).`

func glance() []panel {
	figures := []panel{
		{
			title: "Instances up", unit: units.Short, thresholds: fallingTo(1, 1),
			description: "Instances that Prometheus can scrape. Good: as many as run.",
			queries:     []query{{expr: `sum(up{<process>})`}},
		},
		{
			title: "Callbacks", unit: units.RequestsPerSecond,
			description: "Callbacks from Sinch a second, whatever became of them.",
			queries:     []query{{expr: `sum(rate(dlrloop_callbacks_total{<plan>}[$__rate_interval]))`}},
		},
		{
			title: "Answered within", unit: units.Seconds, thresholds: risingTo(.5, 2),
			description: "95 of 100 callbacks are answered within this time, durable on disk. Good: well under a second.",
			queries:     []query{{expr: quantile(.95, "dlrloop_ingest_duration_seconds", "<process>", step)}},
		},
		{
			title: "Delivered share", unit: units.PercentUnit, max: 1,
			description: "Of the messages that ended in the time shown, the share that was delivered. Those that were cancelled are left out.",
			queries: []query{{expr: share(
				`sum(increase(dlrloop_messages_total{<plan>, status="Delivered"}[$__range]))`,
				`sum(increase(dlrloop_messages_total{<plan>, status=~"<ended>"}[$__range]))`)}},
		},
		{
			title: "Time to final, median", unit: units.Seconds,
			description: "Half of the messages that ended in the time shown had their final status within this time of leaving. All plans.",
			queries:     []query{{expr: quantile(.5, "dlrloop_delivery_latency_seconds", "<process>", wholeRange)}},
		},
		{
			title: "Lossy answers", unit: units.Short, whole: true, thresholds: zeroIsGood(),
			description: "Answers, in the time shown, after which Sinch never sends a report again. Good: 0. Anything else is a loss.",
			queries:     []query{{expr: `sum(increase(dlrloop_lossy_responses_total{<plan>}[$__range]))`}},
		},
		{
			title: "Messages awaited", unit: units.Short,
			description: "Messages whose final report is still expected. Good: it falls back to 0 after each campaign.",
			queries:     []query{{expr: `sum(max by (plan) (dlrloop_messages_awaited{<plan>}))`}},
		},
		{
			title: "Feedback owed", unit: units.Short,
			description: "Recipients whose delivery feedback is still to be sent. Good: near 0, or falling.",
			queries:     []query{{expr: `sum(max by (plan) (dlrloop_feedback_task_recipients{<plan>, state="pending"}))`}},
		},
		{
			title: "Oldest due", unit: units.Seconds, thresholds: risingTo(15*60, 4*3600),
			description: "How long the oldest due feedback has been due. Good: seconds.",
			queries:     []query{{expr: `max(dlrloop_feedback_oldest_due_seconds{<plan>})`}},
		},
		{
			title: "Feedback dead", unit: units.Short, thresholds: zeroIsGood(),
			description: "Recipients whose feedback was given up. It waits for a person. Good: 0.",
			queries:     []query{{expr: `sum(max by (plan) (dlrloop_feedback_task_recipients{<plan>, state="dead"}))`}},
		},
		{
			title: "Circuits not closed", unit: units.Short, thresholds: zeroIsGood(),
			description: "Plans that some instance sends no feedback for at the moment, because Sinch kept failing. Good: 0.",
			queries:     []query{{expr: `sum(max by (plan) (dlrloop_feedback_circuit_state{<plan>, state=~"open|half_open"}))`}},
		},
		{
			title: "Found missing", unit: units.Short, whole: true,
			description: "Messages, in the time shown, whose final status had to be read from Sinch because no callback told it. Good: 0 or a few.",
			queries:     []query{{expr: `sum(increase(dlrloop_reconciled_total{<plan>}[$__range]))`}},
		},
	}
	return append([]panel{{
		title: "What good looks like", description: "How to read this page.",
		width: 6, height: 10, kind: words, text: good,
	}}, sized(figures, figure, 3, 5)...)
}

func callbacks() []panel {
	return sized([]panel{
		{
			title: "Callbacks by type", unit: units.RequestsPerSecond, kind: stacked,
			description: "Callbacks from Sinch a second, by the type of what they bring; other was not read that far. Good: it follows what is sent.",
			queries:     []query{{expr: `sum by (type) (rate(dlrloop_callbacks_total{<plan>}[$__rate_interval]))`, legend: "{{type}}"}},
		},
		{
			title: "Callbacks not stored", unit: units.RequestsPerSecond,
			description: "Callbacks a second that brought no report into the store, by what became of them. Sinch repeats all but too_large, " +
				"too_large_unverified and, where it is rejected, unauthorized; quarantined is kept raw and answered 200. Good: nothing here for long.",
			colours: results().of("quarantined", "busy", "failed", "unauthorized", "too_large", "too_large_unverified", "shed",
				"shed_unverified", "incomplete", "unknown_plan"),
			queries: []query{{
				expr:   `sum by (outcome) (rate(dlrloop_callbacks_total{<plan>, outcome!~"stored|inbound"}[$__rate_interval]))`,
				legend: "{{outcome}}",
			}},
		},
		{
			title: "Time to answer", unit: units.Seconds,
			description: "Time from a callback's head to its answer: 50, 95 and 99 of 100 take no longer. All plans. Good: p99 under a second.",
			colours:     results().of("p50", "p95", "p99"),
			queries:     quantiles("dlrloop_ingest_duration_seconds", "<process>"),
		},
		{
			title: "Repeats absorbed", unit: units.OpsPerSecond,
			description: "Reports a second that had been taken before and changed nothing, by plan. Sinch repeats what was not answered in time: " +
				"many of them mean answers that are lost or late.",
			queries: []query{{
				expr:   `sum by (plan) (rate(dlrloop_duplicates_total{<plan>}[$__rate_interval]))`,
				legend: "{{plan}}",
			}},
		},
	}, lines, 6, 8)
}

func messages() []panel {
	return append(
		sized([]panel{
			{
				title: "Messages by status", unit: units.OpsPerSecond, kind: stacked,
				description: "Messages a second newly reported in each status. A message counts once in every status it goes through; repeats count nothing.",
				colours:     statuses(),
				queries: []query{{
					expr:   `sum by (status) (rate(dlrloop_messages_total{<plan>}[$__rate_interval]))`,
					legend: "{{status}}",
				}},
			},
			{
				title: "Delivered share by plan", unit: units.PercentUnit, max: 1,
				description: "Of the messages that ended at each moment, the share that was delivered, by plan; cancelled ones are left out. A gap: none ended.",
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
				description: "Time from when a batch left to a message's final status: 50, 95 and 99 of 100 take no longer. All plans; batches whose facts are known.",
				colours:     results().of("p50", "p95", "p99"),
				queries:     quantiles("dlrloop_delivery_latency_seconds", "<process>"),
			},
			{
				title: "Messages awaited by plan", unit: units.Short, kind: stacked,
				description: "Messages whose final report is still expected, by plan. Good: it falls back to 0 after each campaign.",
				queries: []query{{
					expr:   `max by (plan) (dlrloop_messages_awaited{<plan>})`,
					legend: "{{plan}}",
				}},
			},
			{
				title: "Found missing by plan", unit: units.OpsPerSecond,
				description: "Messages a second whose final status was read from Sinch because no callback told it, by plan. " +
					"Good: near 0. If it rises, callbacks do not arrive.",
				queries: []query{{
					expr:   `sum by (plan) (rate(dlrloop_reconciled_total{<plan>}[$__rate_interval]))`,
					legend: "{{plan}}",
				}},
			},
		}, lines, 8, 8)...)
}

func feedbackInBrief() []panel {
	return append(
		sized([]panel{recipientsByState(), recipientsByResult(), oldestDue()}, lines, 8, 8),
		sized([]panel{circuits()}, states, 24, 5)...)
}

func gateway() []panel {
	return sized([]panel{
		{
			title: "Requests by outcome", unit: units.RequestsPerSecond, kind: stacked,
			description: "Requests to the gateway a second by how they ended: the class of Sinch's answer, unreachable " +
				"(no whole answer) or refused (Sinch was not called). All plans. Good: 2xx.",
			colours: results().of("2xx", "4xx", "5xx", "unreachable", "refused", "other"),
			queries: []query{{
				expr:   `sum by (outcome) (rate(dlrloop_gateway_requests_total{<process>}[$__rate_interval]))`,
				legend: "{{outcome}}",
			}},
		},
		{
			title: "Time to answer, 95 of 100", unit: units.Seconds,
			description: "95 of 100 requests of each operation take no longer, Sinch's share included. All plans.",
			queries: []query{{
				expr:   quantile(.95, "dlrloop_gateway_duration_seconds", "<process>", step, "operation"),
				legend: "{{operation}}",
			}},
		},
		{
			title: "Batches learned", unit: units.OpsPerSecond,
			description: "Batches that answers in the gateway spoke of, a second: recorded before the caller had the answer, late (after), lost " +
				"(looked up later instead) or unreadable. Good: recorded.",
			colours: results().of("recorded", "late", "lost", "unreadable"),
			queries: []query{{
				expr:   `sum by (result) (rate(dlrloop_gateway_learned_total{<plan>}[$__rate_interval]))`,
				legend: "{{result}}",
			}},
		},
	}, lines, 8, 8)
}
