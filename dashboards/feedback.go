package dashboards

import "github.com/grafana/grafana-foundation-sdk/go/units"

// feedback returns the Grafana dashboard about sending delivery feedback to Sinch.
func feedback() board {
	return board{
		uid:         "dlrloop-feedback",
		title:       "dlrloop: feedback",
		description: "Owed delivery feedback, the results of feedback calls, and other reads from Sinch.",
		byPlan:      true,
		sections: []section{
			{title: "At a glance", panels: feedbackGlance()},
			{title: "Calls", panels: calls()},
			{title: "Owed feedback", panels: owed()},
			{title: "Reads from Sinch", panels: sinchReads()},
		},
	}
}

func feedbackGlance() []panel {
	return sized([]panel{
		{
			title: "Owed", unit: units.Short,
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
			title: "Dead", unit: units.Short, thresholds: zeroIsGood(),
			description: "Recipients whose feedback was given up. GET /api/v1/feedback?state=dead lists the " +
				"reasons; remove the cause, then requeue. Good: 0.",
			queries: []query{{expr: `sum(max by (plan) (dlrloop_feedback_task_recipients{<plan>, state="dead"}))`}},
		},
		{
			title: "Calls accepted", unit: units.PercentUnit, thresholds: fallingTo(.95, .8), max: 1,
			description: "Share of the calls in the time range that Sinch accepted. The others are retried or " +
				"given up. Good: near 100 %.",
			queries: []query{{expr: share(
				`sum(increase(dlrloop_feedback_calls_total{<plan>, reason="accepted"}[$__range]))`,
				`sum(increase(dlrloop_feedback_calls_total{<plan>}[$__range]))`)}},
		},
		{
			title: "Recipients accepted", unit: units.Short, whole: true,
			description: "Recipients whose feedback Sinch accepted in the time range.",
			queries: []query{{expr: `sum(increase(dlrloop_feedback_recipients_total{<plan>,` +
				` result="accepted"}[$__range]))`}},
		},
		{
			title: "Recipients per call", unit: units.Short,
			description: "Average number of recipients in an accepted call. The more, the fewer calls a campaign " +
				"needs.",
			queries: []query{{expr: share(
				`sum(increase(dlrloop_feedback_recipients_total{<plan>, result="accepted"}[$__range]))`,
				`sum(increase(dlrloop_feedback_calls_total{<plan>, reason="accepted"}[$__range]))`)}},
		},
	}, figure, 4, 4)
}

func calls() []panel {
	return append(
		sized([]panel{
			{
				title: "Calls by reason", unit: units.RequestsPerSecond, kind: stacked,
				description: "Delivery feedback calls to Sinch per second, by result. Good: accepted; auth needs a " +
					"person to act.",
				colors: resultColors().of("accepted", "rate_limited", "server", "timeout", "network", "auth", "forbidden",
					"not_enabled_or_unknown", "rejected", "not_a_number", "canceled", "other"),
				queries: []query{{
					expr:   `sum by (reason) (rate(dlrloop_feedback_calls_total{<plan>}[$__rate_interval]))`,
					legend: "{{reason}}",
				}},
			},
			{
				title: "Call duration", unit: units.Seconds,
				description: "Duration of one call, whatever the answer, as p50," +
					" p95 and p99. All plans. Good: under a " +
					"second.",
				colors:  resultColors().of("p50", "p95", "p99"),
				queries: quantiles("dlrloop_feedback_call_duration_seconds"),
			},
		}, lines, 12, 8),
		append(sized([]panel{circuits()}, states, 12, 6), sized([]panel{callRate()}, lines, 12, 6)...)...)
}

func callRate() panel {
	return panel{
		title: "Call rate", unit: units.RequestsPerSecond,
		description: "Calls per second that the replicas may make at present, and the configured maximum " +
			"(ceiling). The rate is halved on 429 and 5xx. Good: at the ceiling.",
		colors: resultColors().of("rate", "ceiling"),
		queries: []query{
			{expr: `sum(dlrloop_feedback_rate{<plan>})`, legend: "rate"},
			{expr: `sum(dlrloop_feedback_rate_ceiling{<plan>})`, legend: "ceiling"},
		},
	}
}

func owed() []panel {
	return append(
		sized([]panel{recipientsByResult(), oldestDue()}, lines, 12, 8),
		sized([]panel{
			recipientsByState(),
			{
				title: "Tasks by state", unit: units.Short,
				description: "Batches whose feedback is owed (pending) or was given up (dead). Good: dead is 0.",
				colors:      resultColors().of("pending", "dead"),
				queries: []query{{
					expr:   `sum by (state) (max by (plan, state) (dlrloop_feedback_tasks{<plan>}))`,
					legend: "{{state}}",
				}},
			},
		}, lines, 12, 8)...)
}

func sinchReads() []panel {
	return sized([]panel{
		{
			title: "Batches looked up", unit: units.RequestsPerSecond,
			description: "Batches looked up at Sinch per second to find out whether feedback is enabled: found, " +
				"unknown to Sinch, unknown_plan (Sinch does not know the plan) or failed. " +
				"Batches sent through the gateway need no lookup.",
			colors: resultColors().of("found", "unknown", "unknown_plan", "failed", "other"),
			queries: []query{{
				expr:   `sum by (result) (rate(dlrloop_batch_lookups_total{<plan>}[$__rate_interval]))`,
				legend: "{{result}}",
			}},
		},
		{
			title: "Reports fetched by the reconciler", unit: units.RequestsPerSecond,
			description: "Reports fetched per second because callbacks of their batch are missing, by result. " +
				"Good: few, and accepted.",
			colors: resultColors().of("accepted", "rate_limited", "server", "timeout", "network", "auth", "forbidden",
				"unknown_plan",
				"not_enabled_or_unknown", "rejected", "canceled", "other"),
			queries: []query{{
				expr:   `sum by (reason) (rate(dlrloop_reconcile_reads_total{<plan>}[$__rate_interval]))`,
				legend: "{{reason}}",
			}},
		},
		{
			title: "Messages recovered", unit: units.OpsPerSecond,
			description: "Messages per second whose final status was in a fetched report, by plan. Without the " +
				"fetch they would be lost. Good: near 0.",
			queries: []query{{
				expr:   `sum by (plan) (rate(dlrloop_reconciled_total{<plan>}[$__rate_interval]))`,
				legend: "{{plan}}",
			}},
		},
	}, lines, 8, 8)
}

// The panels that the following functions return are also part of the dashboard overview.

func recipientsByState() panel {
	return panel{
		title: "Recipients by state", unit: units.Short,
		description: "Recipients whose feedback is owed (pending), was given up (dead), or is not enabled for " +
			"their batch (dropped). Good: dead is 0.",
		colors: resultColors().of("pending", "dead", "dropped"),
		queries: []query{{
			expr:   `sum by (state) (max by (plan, state) (dlrloop_feedback_task_recipients{<plan>}))`,
			legend: "{{state}}",
		}},
	}
}

func recipientsByResult() panel {
	return panel{
		title: "Recipients by result", unit: units.OpsPerSecond,
		description: "Recipients per second whose feedback was earned, accepted by Sinch, given up (dead), " +
			"made owed again by a person (requeued) or deleted while dead (deleted). Good: accepted " +
			"follows earned.",
		colors: resultColors().of("earned", "accepted", "dead", "requeued", "deleted"),
		queries: []query{{
			expr:   `sum by (result) (rate(dlrloop_feedback_recipients_total{<plan>}[$__rate_interval]))`,
			legend: "{{result}}",
		}},
	}
}

func oldestDue() panel {
	return panel{
		title: "Oldest due by plan", unit: units.Seconds,
		description: "How long the oldest due feedback of each plan has been waiting. Good: seconds. If it " +
			"rises, feedback does not reach Sinch.",
		queries: []query{{
			expr:   `max by (plan) (dlrloop_feedback_oldest_due_seconds{<plan>})`,
			legend: "{{plan}}",
		}},
	}
}

func circuits() panel {
	return panel{
		title: "Circuit", unit: units.Short,
		description: "State of each instance's circuit breaker for a plan: closed (calls are made), half open " +
			"(one call is tried) or open (no calls, since Sinch kept failing). Good: closed. Owed " +
			"feedback waits and is not lost.",
		meanings: []meaning{{0, "closed", green}, {1, "half open", orange}, {2, "open", vermilion}},
		queries: []query{{
			expr: `max by (plan, instance) (dlrloop_feedback_circuit_state{<plan>, state="half_open"})` +
				` + 2 * max by (plan, instance) (dlrloop_feedback_circuit_state{<plan>, state="open"})`,
			legend: "{{plan}} at {{instance}}",
		}},
	}
}
