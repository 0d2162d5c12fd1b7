package dashboards

import "github.com/grafana/grafana-foundation-sdk/go/units"

// destinations returns the Grafana dashboard about the delivery of events to the application.
func destinations() board {
	return board{
		uid:   "dlrloop-destinations",
		title: "dlrloop: destinations",
		description: "Events for the application: what waits for each destination, the results of the requests, and " +
			"events that were given up.",
		sections: []section{
			{title: "At a glance", panels: destinationsGlance()},
			{title: "Requests", panels: destinationRequests()},
			{title: "Events", panels: destinationEvents()},
		},
	}
}

func destinationsGlance() []panel {
	return sized([]panel{
		{
			title: "Waiting", unit: units.Short,
			description: "Events that wait for destinations. Good: near 0, or falling.",
			queries: allowEmpty(query{
				expr: `sum(max by (destination) (dlrloop_destination_waiting{<process>}))`,
			}),
		},
		{
			title: "Oldest waiting", unit: units.Seconds, thresholds: risingTo(15*60, 4*3600),
			description: "Age of the oldest event that waits for a destination. Good: seconds.",
			queries:     allowEmpty(query{expr: `max(dlrloop_destination_oldest_seconds{<process>})`}),
		},
		{
			title: "Dead", unit: units.Short, thresholds: zeroIsGood(),
			description: "Events that were given up. Remove the cause, then requeue them. Good: 0.",
			queries:     allowEmpty(query{expr: `sum(max by (destination) (dlrloop_destination_dead{<process>}))`}),
		},
		{
			title: "Paused", unit: units.Short, thresholds: zeroIsGood(),
			description: "Destinations that answered 410 Gone. They get no events until an operator requeues theirs. " +
				"Good: 0.",
			queries: allowEmpty(query{expr: `sum(max by (destination) (dlrloop_destination_paused{<process>}))`}),
		},
	}, figure, 6, 4)
}

func destinationRequests() []panel {
	return append(
		sized([]panel{
			{
				title: "Requests by reason", unit: units.RequestsPerSecond,
				description: "Requests to destinations per second, by result. Good: accepted.",
				colors: resultColors().of("accepted", "rate_limited", "server", "timeout", "network", "rejected", "canceled",
					"redirected", "gone", "tls", "other"),
				queries: allowEmpty(query{
					expr:   `sum by (reason) (rate(dlrloop_destination_attempts_total{<process>}[$__rate_interval]))`,
					legend: "{{reason}}",
				}),
			},
			{
				title: "Request duration", unit: units.Seconds,
				description: "Duration of one request, whatever the answer, as p50, p95 and p99. Good: under a second.",
				colors:      resultColors().of("p50", "p95", "p99"),
				queries:     allowEmpty(quantiles("dlrloop_destination_attempt_duration_seconds")...),
			},
		}, lines, 12, 8),
		sized([]panel{{
			title: "Destination circuit", unit: units.Short,
			description: "State of each destination's circuit breaker: closed (requests are made), half open (one " +
				"request is tried) or open (no requests, since the destination kept failing). Good: closed. Events " +
				"wait and are not lost.",
			meanings: []meaning{{0, "closed", green}, {1, "half open", orange}, {2, "open", vermilion}},
			queries: allowEmpty(query{
				expr: `max by (destination) (dlrloop_destination_circuit_state{<process>, state="half_open"})` +
					` + 2 * max by (destination) (dlrloop_destination_circuit_state{<process>, state="open"})`,
				legend: "{{destination}}",
			}),
		}}, states, 24, 6)...)
}

func destinationEvents() []panel {
	return sized([]panel{
		{
			title: "Events by result", unit: units.OpsPerSecond,
			description: "Events per second that a destination accepted (delivered), that are retried later " +
				"(deferred), that were given up (dead), that the destination does not receive (filtered), or that " +
				"retention deleted before (lost). Good: delivered and filtered.",
			colors: resultColors().of("delivered", "deferred", "dead", "filtered", "lost"),
			queries: allowEmpty(query{
				expr:   `sum by (result) (rate(dlrloop_destination_events_total{<process>}[$__rate_interval]))`,
				legend: "{{result}}",
			}),
		},
		{
			title: "Waiting by destination", unit: units.Short,
			description: "Events that wait for each destination. Good: near 0, or falling.",
			queries: allowEmpty(query{
				expr:   `max by (destination) (dlrloop_destination_waiting{<process>})`,
				legend: "{{destination}}",
			}),
		},
		{
			title: "Oldest waiting by destination", unit: units.Seconds,
			description: "Age of the oldest event that waits for each destination. Good: seconds.",
			queries: allowEmpty(query{
				expr:   `max by (destination) (dlrloop_destination_oldest_seconds{<process>})`,
				legend: "{{destination}}",
			}),
		},
	}, lines, 8, 8)
}
