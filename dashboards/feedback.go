package dashboards

import "github.com/grafana/grafana-foundation-sdk/go/units"

// feedback shows how what is owed to Sinch gets there.
func feedback() board {
	return board{
		uid:         "dlrloop-feedback",
		title:       "dlrloop: feedback",
		description: "What delivery feedback is owed to Sinch, how the calls end, and what is asked of Sinch besides.",
		byPlan:      true,
		sections: []section{
			{title: "At a glance", panels: feedbackGlance()},
			{title: "Calls", panels: calls()},
			{title: "What is owed", panels: owed()},
			{title: "What Sinch is asked", panels: asked()},
		},
	}
}

func feedbackGlance() []panel {
	return sized([]panel{
		{
			title: "Owed", unit: units.Short,
			description: "Recipients whose delivery feedback is still to be sent. Good: near 0, or falling.",
			queries:     []query{{expr: `sum(max by (plan) (dlrloop_feedback_task_recipients{<plan>, state="pending"}))`}},
		},
		{
			title: "Oldest due", unit: units.Seconds, thresholds: risingTo(15*60, 4*3600),
			description: "How long the oldest due feedback has been due. Good: seconds.",
			queries:     []query{{expr: `max(dlrloop_feedback_oldest_due_seconds{<plan>})`}},
		},
		{
			title: "Dead", unit: units.Short, thresholds: zeroIsGood(),
			description: "Recipients whose feedback was given up. See why with GET /api/v1/feedback?state=dead, mend it, then requeue it. Good: 0.",
			queries:     []query{{expr: `sum(max by (plan) (dlrloop_feedback_task_recipients{<plan>, state="dead"}))`}},
		},
		{
			title: "Calls accepted", unit: units.PercentUnit, thresholds: fallingTo(.95, .8), max: 1,
			description: "Of the calls in the time shown, the share that Sinch accepted. The others are tried again or given up. Good: near 100 %.",
			queries: []query{{expr: share(
				`sum(increase(dlrloop_feedback_calls_total{<plan>, reason="accepted"}[$__range]))`,
				`sum(increase(dlrloop_feedback_calls_total{<plan>}[$__range]))`)}},
		},
		{
			title: "Recipients told of", unit: units.Short, whole: true,
			description: "Recipients, in the time shown, whose feedback Sinch accepted.",
			queries:     []query{{expr: `sum(increase(dlrloop_feedback_recipients_total{<plan>, result="accepted"}[$__range]))`}},
		},
		{
			title: "Recipients a call", unit: units.Short,
			description: "How many recipients one accepted call tells of, at an average. The more, the fewer calls a campaign needs.",
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
				description: "Delivery feedback calls to Sinch a second by how they ended. Good: accepted; auth needs a person.",
				colours: results().of("accepted", "rate_limited", "server", "timeout", "network", "auth", "forbidden",
					"not_enabled_or_unknown", "rejected", "not_a_number", "canceled", "other"),
				queries: []query{{
					expr:   `sum by (reason) (rate(dlrloop_feedback_calls_total{<plan>}[$__rate_interval]))`,
					legend: "{{reason}}",
				}},
			},
			{
				title: "Call duration", unit: units.Seconds,
				description: "Time of one call, whatever the answer: 50, 95 and 99 of 100 take no longer. All plans. Good: under a second.",
				colours:     results().of("p50", "p95", "p99"),
				queries:     quantiles("dlrloop_feedback_call_duration_seconds", "<process>"),
			},
		}, lines, 12, 8),
		append(sized([]panel{circuits()}, states, 12, 6), sized([]panel{callRate()}, lines, 12, 6)...)...)
}

func callRate() panel {
	return panel{
		title: "Call rate", unit: units.RequestsPerSecond,
		description: "Calls a second that the replicas may make now, and without trouble (ceiling). It halves on 429 and 5xx. Good: at the ceiling.",
		colours:     results().of("rate", "ceiling"),
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
				colours:     results().of("pending", "dead"),
				queries: []query{{
					expr:   `sum by (state) (max by (plan, state) (dlrloop_feedback_tasks{<plan>}))`,
					legend: "{{state}}",
				}},
			},
		}, lines, 12, 8)...)
}

func asked() []panel {
	return sized([]panel{
		{
			title: "Batches looked up", unit: units.RequestsPerSecond,
			description: "Batches looked up at Sinch, a second, to learn whether they want feedback: found, missing (Sinch does not know them) or failed. " +
				"Batches that went through the gateway need none.",
			colours: results().of("found", "missing", "unknown_plan", "failed", "other"),
			queries: []query{{
				expr:   `sum by (result) (rate(dlrloop_batch_lookups_total{<plan>}[$__rate_interval]))`,
				legend: "{{result}}",
			}},
		},
		{
			title: "Reports read by the reconciler", unit: units.RequestsPerSecond,
			description: "Reads of a report, a second, because callbacks of its batch are missing, by how they ended. Good: few, and accepted.",
			colours: results().of("accepted", "rate_limited", "server", "timeout", "network", "auth", "forbidden", "unknown_plan",
				"not_enabled_or_unknown", "rejected", "canceled", "other"),
			queries: []query{{
				expr:   `sum by (reason) (rate(dlrloop_reconcile_reads_total{<plan>}[$__rate_interval]))`,
				legend: "{{reason}}",
			}},
		},
		{
			title: "Messages found", unit: units.OpsPerSecond,
			description: "Messages a second whose final status those reads brought, by plan: without them they would be missing. Good: near 0.",
			queries: []query{{
				expr:   `sum by (plan) (rate(dlrloop_reconciled_total{<plan>}[$__rate_interval]))`,
				legend: "{{plan}}",
			}},
		},
	}, lines, 8, 8)
}

// What follows stands in the overview too.

func recipientsByState() panel {
	return panel{
		title: "Recipients by state", unit: units.Short,
		description: "Recipients whose feedback is owed (pending), was given up (dead), or is not wanted by their batch (dropped). Good: dead is 0.",
		colours:     results().of("pending", "dead", "dropped"),
		queries: []query{{
			expr:   `sum by (state) (max by (plan, state) (dlrloop_feedback_task_recipients{<plan>}))`,
			legend: "{{state}}",
		}},
	}
}

func recipientsByResult() panel {
	return panel{
		title: "Recipients by result", unit: units.OpsPerSecond,
		description: "Recipients a second whose feedback was earned, accepted by Sinch, given up (dead), made owed again by a person (requeued) or " +
			"deleted while dead (expired). Good: accepted follows earned.",
		colours: results().of("earned", "accepted", "dead", "requeued", "expired"),
		queries: []query{{
			expr:   `sum by (result) (rate(dlrloop_feedback_recipients_total{<plan>}[$__rate_interval]))`,
			legend: "{{result}}",
		}},
	}
}

func oldestDue() panel {
	return panel{
		title: "Oldest due by plan", unit: units.Seconds,
		description: "How long the oldest due feedback of each plan has been due. Good: seconds. If it rises, feedback does not get through.",
		queries: []query{{
			expr:   `max by (plan) (dlrloop_feedback_oldest_due_seconds{<plan>})`,
			legend: "{{plan}}",
		}},
	}
}

func circuits() panel {
	return panel{
		title: "Circuit", unit: units.Short,
		description: "Whether each instance calls Sinch for a plan: closed (it does), half open (it tries), open (it waits, because Sinch kept failing). " +
			"Good: closed. What is owed waits and is not lost.",
		meanings: []meaning{{0, "closed", green}, {1, "half open", orange}, {2, "open", vermilion}},
		queries: []query{{
			expr: `max by (plan, instance) (dlrloop_feedback_circuit_state{<plan>, state="half_open"})` +
				` + 2 * max by (plan, instance) (dlrloop_feedback_circuit_state{<plan>, state="open"})`,
			legend: "{{plan}} at {{instance}}",
		}},
	}
}
