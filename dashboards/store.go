package dashboards

import "github.com/grafana/grafana-foundation-sdk/go/units"

// store returns the Grafana dashboard about the store and the process: use of resources, queues and errors.
func store() board {
	return board{
		uid:         "dlrloop-store",
		title:       "dlrloop: store and process",
		description: "Whether the disk and the process keep up: use, queues and errors.",
		sections: []section{
			{title: "At a glance", panels: storeGlance()},
			{title: "Commits", panels: commits()},
			{title: "Size", panels: size()},
			{title: "Replicas", panels: replicas()},
			{title: "Errors", panels: failures()},
			{title: "Process", panels: process()},
		},
	}
}

const used = `(max(dlrloop_store_size_bytes{<process>}) - max(dlrloop_store_free_bytes{<process>}))`

func storeGlance() []panel {
	return sized([]panel{
		{
			title: "Used of the limit", unit: units.PercentUnit, thresholds: risingTo(.8, .95), max: 1,
			description: "Used share of store.size_limit. Empty if no limit is configured. Good: under 80 %.",
			queries:     allowEmpty(query{expr: share(used, `max(dlrloop_store_limit_bytes{<process>})`)}),
		},
		{
			title: "Queue", unit: units.Short, thresholds: risingTo(20_000, 60_000),
			description: "Arrivals that are durable but not folded yet. Good: it falls back to 0. While it is " +
				"high, callbacks are slowed down.",
			queries: []query{{expr: `max(dlrloop_store_unfolded_arrivals{<process>})`}},
		},
		{
			title: "Store errors", unit: units.Short, whole: true, thresholds: zeroIsGood(),
			description: "Failed operations of the store in the time range. Good: 0. The log has the details.",
			queries:     []query{{expr: `sum(increase(dlrloop_store_errors_total{<process>}[$__range]))`}},
		},
		{
			title: "Quarantine", unit: units.Short, thresholds: risingTo(1, 100),
			description: "Authentic callbacks that were not understood. They are stored raw; GET " +
				"/api/v1/quarantine lists them. Good: 0.",
			queries: []query{{expr: `max(dlrloop_quarantine_entries{<process>})`}},
		},
		{
			title: "Configuration", unit: units.Short,
			description: "Whether every instance could read its configuration at the last reload. If not, it " +
				"continues with the previous one.",
			meanings: []meaning{{0, "refused", vermilion}, {1, "read", green}},
			queries:  []query{{expr: `min(dlrloop_config_last_reload_successful{<process>})`}},
		},
		{
			title: "Instances by version", unit: units.Short, kind: namedFigure,
			description: "Number of instances of each build. Good: one version, except during an upgrade.",
			queries: []query{{
				expr:   `count by (version, goversion) (dlrloop_build_info{<process>})`,
				legend: "{{version}} ({{goversion}})",
			}},
		},
	}, figure, 4, 4)
}

func commits() []panel {
	return sized([]panel{
		{
			title: "Commit duration", unit: units.Seconds,
			description: "Time until the arrivals of one commit were durable, as p50, p95 and p99. Mostly the " +
				"disk's sync. Good: milliseconds.",
			colors:  resultColors().of("p50", "p95", "p99"),
			queries: quantiles("dlrloop_commit_duration_seconds"),
		},
		{
			title: "Commit size", unit: units.Short,
			description: "Arrivals per commit, as p50, p95 and p99. It grows with the load, which is good: many " +
				"arrivals share one sync.",
			colors:  resultColors().of("p50", "p95", "p99"),
			queries: quantiles("dlrloop_commit_size"),
		},
		{
			title: "Commits and arrivals", unit: units.OpsPerSecond,
			description: "Commits per second, and the arrivals that they made durable.",
			queries: []query{
				{expr: `sum(rate(dlrloop_commit_size_count{<process>}[$__rate_interval]))`, legend: "commits"},
				{expr: `sum(rate(dlrloop_commit_size_sum{<process>}[$__rate_interval]))`, legend: "arrivals"},
			},
		},
		{
			title: "Disk time in use", unit: units.PercentUnit,
			description: "Share of the time in which a commit was running, by instance. Good: under 70 %; at 100 % " +
				"the disk is the limit.",
			queries: []query{{
				expr:   `sum by (instance) (rate(dlrloop_commit_duration_seconds_sum{<process>}[$__rate_interval]))`,
				legend: "{{instance}}",
			}},
		},
	}, lines, 12, 8)
}

func size() []panel {
	return sized([]panel{
		{
			title: "Queue of unfolded arrivals", unit: units.Short,
			description: "Arrivals that are durable but not folded yet. Good: it falls back to 0. The queue is " +
				"bounded: when it is full, callbacks are answered 503.",
			queries: []query{{expr: `max(dlrloop_store_unfolded_arrivals{<process>})`, legend: "unfolded"}},
		},
		{
			title: "Size of the store", unit: units.BytesIEC,
			description: "Size of the store's files, the free part of it that is reused, and the limit if one is " +
				"configured. The file never shrinks.",
			queries: append([]query{
				{expr: `max(dlrloop_store_size_bytes{<process>})`, legend: "size"},
				{expr: `max(dlrloop_store_free_bytes{<process>})`, legend: "free"},
			}, allowEmpty(query{expr: `max(dlrloop_store_limit_bytes{<process>}) > 0`, legend: "limit"})...),
		},
	}, lines, 12, 8)
}

// replicas returns the panels about replicas that share a store. They are empty if the store belongs to a single
// process.
func replicas() []panel {
	return append(
		sized([]panel{{
			title: "Replicas that share the store", unit: units.Short,
			description: "Number of replicas according to the store, and the number that Prometheus scrapes. Good: " +
				"the same. Empty if the store belongs to a single process.",
			queries: allowEmpty(
				query{expr: `max(dlrloop_store_replicas{<process>})`, legend: "sharing"},
				query{expr: `count(dlrloop_replica_info{<process>})`, legend: "scraped"},
			),
		}}, lines, 12, 8),
		sized([]panel{{
			title: "Leader leases", unit: units.Short,
			description: "The instance that holds each lease: destinations delivers events to the application (not held " +
				"if none is configured), reconcile fetches missing reports from Sinch, retention " +
				"deletes old batches. Good: each lease has a holder; which instance holds it does not " +
				"matter.",
			meanings: []meaning{{0, "not held", pale}, {1, "held", green}},
			queries: allowEmpty(query{
				expr:   `max by (lease, instance) (dlrloop_leader_lease_held{<process>})`,
				legend: "{{lease}} at {{instance}}",
			}),
		}}, states, 12, 8)...)
}

func failures() []panel {
	return sized([]panel{
		{
			title: "Store errors by operation", unit: units.OpsPerSecond,
			description: "Failed operations of the store per second. Good: none. A full disk loses nothing: Sinch " +
				"repeats callbacks that were answered 503.",
			queries: []query{{
				expr:   `sum by (operation) (rate(dlrloop_store_errors_total{<process>}[$__rate_interval]))`,
				legend: "{{operation}}",
			}},
		},
		{
			title: "Quarantined callbacks", unit: units.Short,
			description: "Callbacks in quarantine. Good: none. Sinch is sending something that dlrloop does not " +
				"understand.",
			queries: []query{{expr: `max(dlrloop_quarantine_entries{<process>})`, legend: "quarantined"}},
		},
		{
			title: "Evicted from quarantine", unit: units.OpsPerSecond,
			description: "Quarantined callbacks deleted per second to make room for newer ones. Good: none, since " +
				"they are lost.",
			queries: []query{{
				expr:   `sum(rate(dlrloop_quarantine_evicted_total{<process>}[$__rate_interval]))`,
				legend: "evicted",
			}},
		},
	}, lines, 8, 8)
}

func process() []panel {
	return append(
		sized([]panel{
			{
				title: "CPU", unit: units.Short,
				description: "Processors used by each instance; 1 means one whole processor.",
				queries: []query{{
					expr:   `rate(process_cpu_seconds_total{<process>}[$__rate_interval])`,
					legend: "{{instance}}",
				}},
			},
			{
				title: "Memory", unit: units.BytesIEC,
				description: "Memory of each instance: resident (the whole process, including the database's pages) " +
					"and Go's heap in use. Good: constant.",
				queries: []query{
					{expr: `process_resident_memory_bytes{<process>}`, legend: "{{instance}} resident"},
					{expr: `go_memstats_heap_inuse_bytes{<process>}`, legend: "{{instance}} heap"},
				},
			},
			{
				title: "Goroutines", unit: units.Short,
				description: "Goroutines of each instance. The number follows the connections. Good: constant under " +
					"constant load.",
				queries: []query{{expr: `go_goroutines{<process>}`, legend: "{{instance}}"}},
			},
			{
				title: "Garbage collection", unit: units.PercentUnit,
				description: "Share of the time that each instance was stopped by the garbage collector. Good: far " +
					"under 1 %.",
				queries: []query{{
					expr:   `rate(go_gc_duration_seconds_sum{<process>}[$__rate_interval])`,
					legend: "{{instance}}",
				}},
			},
			{
				title: "Open files", unit: units.PercentUnit, max: 1,
				description: "Open file descriptors and connections of each instance, as a share of the limit. Good: " +
					"under 80 %.",
				queries: []query{{
					expr:   share(`process_open_fds{<process>}`, `process_max_fds{<process>}`),
					legend: "{{instance}}",
				}},
			},
			{
				title: "Webhook connections", unit: units.PercentUnit, max: 1,
				description: "Open connections of the public listener, as a share of the limit. At 100 % the " +
					"connections that have waited longest for a request are closed. Good: under 50 %.",
				queries: []query{{
					expr:   share(`dlrloop_connections{<process>}`, `dlrloop_connections_limit{<process>}`),
					legend: "{{instance}}",
				}},
			},
			{
				title: "Webhook connections dropped", unit: units.OpsPerSecond,
				description: "Connections of the public listener closed per second because of the limit. Good: none.",
				queries: []query{{
					expr:   `sum by (instance) (rate(dlrloop_connections_dropped_total{<process>}[$__rate_interval]))`,
					legend: "{{instance}}",
				}},
			},
			{
				title: "Uptime", unit: units.Seconds,
				description: "Time since each instance started. Each fall to 0 is a restart, marked in all graphs.",
				queries:     []query{{expr: `time() - process_start_time_seconds{<process>}`, legend: "{{instance}}"}},
			},
		}, lines, 8, 8),
		sized([]panel{
			{
				title: "Starts", unit: units.Short,
				description: "Restarts of each instance in the time range. Good: only those for upgrades.",
				queries: []query{{
					expr:   `changes(process_start_time_seconds{<process>}[$__range])`,
					legend: "{{instance}}",
				}},
			},
			{
				title: "Certificates expire in", unit: units.Seconds, thresholds: fallingTo(14*86400, 7*86400),
				description: "Time until the first certificate of each listener expires. Empty if no listener uses " +
					"TLS. Good: over 14 days.",
				queries: allowEmpty(query{
					expr:   `min by (listener) (dlrloop_tls_certificate_expiry_timestamp_seconds{<process>}) - time()`,
					legend: "{{listener}}",
				}),
			},
		}, namedFigure, 12, 4)...)
}
