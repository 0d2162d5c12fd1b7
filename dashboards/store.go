package dashboards

import "github.com/grafana/grafana-foundation-sdk/go/units"

// store shows the resources: how much they are used, what queues for them, what fails.
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
			description: "What the store uses of store.size_limit. Nothing here: no limit is configured. Good: under 80 %.",
			queries:     rare(query{expr: share(used, `max(dlrloop_store_limit_bytes{<process>})`)}),
		},
		{
			title: "Queue", unit: units.Short, thresholds: risingTo(20_000, 60_000),
			description: "Arrivals that are durable and not yet part of the state. Good: it falls back to 0; while it stays high, callbacks are slowed.",
			queries:     []query{{expr: `max(dlrloop_store_unfolded_arrivals{<process>})`}},
		},
		{
			title: "Store errors", unit: units.Short, whole: true, thresholds: zeroIsGood(),
			description: "Operations of the store, in the time shown, that failed. Good: 0. The log says which and why.",
			queries:     []query{{expr: `sum(increase(dlrloop_store_errors_total{<process>}[$__range]))`}},
		},
		{
			title: "Quarantine", unit: units.Short, thresholds: risingTo(1, 100),
			description: "Callbacks that were authentic and not understood, kept raw: GET /api/v1/quarantine shows them. Good: 0.",
			queries:     []query{{expr: `max(dlrloop_quarantine_entries{<process>})`}},
		},
		{
			title: "Configuration", unit: units.Short,
			description: "Whether every instance could read its configuration when it was last told to. If not, it goes on with the one before.",
			meanings:    []meaning{{0, "refused", vermilion}, {1, "read", green}},
			queries:     []query{{expr: `min(dlrloop_config_last_reload_successful{<process>})`}},
		},
		{
			title: "Instances by version", unit: units.Short, kind: named,
			description: "How many instances run each build. Good: one version, except during an upgrade.",
			queries:     []query{{expr: `count by (version, goversion) (dlrloop_build_info{<process>})`, legend: "{{version}} ({{goversion}})"}},
		},
	}, figure, 4, 4)
}

func commits() []panel {
	return sized([]panel{
		{
			title: "Commit duration", unit: units.Seconds,
			description: "Time until the arrivals of one commit were durable: 50, 95 and 99 of 100 take no longer. It is the disk's sync. Good: milliseconds.",
			colours:     results().of("p50", "p95", "p99"),
			queries:     quantiles("dlrloop_commit_duration_seconds", "<process>"),
		},
		{
			title: "Commit size", unit: units.Short,
			description: "Arrivals that one commit made durable. It grows with the load, and that is good: many share one sync.",
			colours:     results().of("p50", "p95", "p99"),
			queries:     quantiles("dlrloop_commit_size", "<process>"),
		},
		{
			title: "Commits and arrivals", unit: units.OpsPerSecond,
			description: "Commits a second, and the arrivals that they made durable.",
			queries: []query{
				{expr: `sum(rate(dlrloop_commit_size_count{<process>}[$__rate_interval]))`, legend: "commits"},
				{expr: `sum(rate(dlrloop_commit_size_sum{<process>}[$__rate_interval]))`, legend: "arrivals"},
			},
		},
		{
			title: "Disk time in use", unit: units.PercentUnit,
			description: "The share of the time in which a commit was under way, for each instance. Good: under 70 %; at 100 % the disk is the limit.",
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
			description: "Arrivals that are durable and not yet part of the state. Good: it falls back to 0. It is bounded: when it is full, callbacks are answered 503.",
			queries:     []query{{expr: `max(dlrloop_store_unfolded_arrivals{<process>})`, legend: "unfolded"}},
		},
		{
			title: "Size of the store", unit: units.BytesIEC,
			description: "The size of the store's files, what of it is free and will be used again, and the limit if one is configured. The file never shrinks.",
			queries: append([]query{
				{expr: `max(dlrloop_store_size_bytes{<process>})`, legend: "size"},
				{expr: `max(dlrloop_store_free_bytes{<process>})`, legend: "free"},
			}, rare(query{expr: `max(dlrloop_store_limit_bytes{<process>}) > 0`, legend: "limit"})...),
		},
	}, lines, 12, 8)
}

// replicas shows nothing where the store cannot be shared.
func replicas() []panel {
	return append(
		sized([]panel{{
			title: "Replicas that share the store", unit: units.Short,
			description: "How many share the store, as it says itself, and of how many Prometheus knows. Good: the same number. Nothing here: the store is one process's own.",
			queries: rare(
				query{expr: `max(dlrloop_store_replicas{<process>})`, legend: "share it"},
				query{expr: `count(dlrloop_replica_info{<process>})`, legend: "scraped"},
			),
		}}, lines, 12, 8),
		sized([]panel{{
			title: "Duties", unit: units.Short,
			description: "Which instance does what one does for all: reconcile asks Sinch for missing reports, retire deletes what is old. " +
				"Good: one has each, and which one it is does not matter.",
			meanings: []meaning{{0, "another's", pale}, {1, "held", green}},
			queries:  rare(query{expr: `max by (duty, instance) (dlrloop_duty_held{<process>})`, legend: "{{duty}} at {{instance}}"}),
		}}, states, 12, 8)...)
}

func failures() []panel {
	return sized([]panel{
		{
			title: "Store errors by operation", unit: units.OpsPerSecond,
			description: "Operations of the store a second that failed. Good: none. A full disk loses nothing: Sinch repeats what was answered 503.",
			queries: []query{{
				expr:   `sum by (operation) (rate(dlrloop_store_errors_total{<process>}[$__rate_interval]))`,
				legend: "{{operation}}",
			}},
		},
		{
			title: "Quarantined callbacks", unit: units.Short,
			description: "Callbacks in quarantine. Good: none. Sinch sends something that dlrloop does not understand.",
			queries:     []query{{expr: `max(dlrloop_quarantine_entries{<process>})`, legend: "kept"}},
		},
		{
			title: "Evicted from quarantine", unit: units.OpsPerSecond,
			description: "Quarantined callbacks a second that were deleted to make room for newer ones. Good: none; these are gone.",
			queries:     []query{{expr: `sum(rate(dlrloop_quarantine_evicted_total{<process>}[$__rate_interval]))`, legend: "evicted"}},
		},
	}, lines, 8, 8)
}

func process() []panel {
	return append(
		sized([]panel{
			{
				title: "CPU", unit: units.Short,
				description: "Processors in use by each instance; 1 is one whole processor.",
				queries:     []query{{expr: `rate(process_cpu_seconds_total{<process>}[$__rate_interval])`, legend: "{{instance}}"}},
			},
			{
				title: "Memory", unit: units.BytesIEC,
				description: "Memory of each instance: resident (the whole process, with the database's pages) and Go's heap in use. Good: level.",
				queries: []query{
					{expr: `process_resident_memory_bytes{<process>}`, legend: "{{instance}} resident"},
					{expr: `go_memstats_heap_inuse_bytes{<process>}`, legend: "{{instance}} heap"},
				},
			},
			{
				title: "Goroutines", unit: units.Short,
				description: "Goroutines of each instance. They follow the connections. Good: level when the load is.",
				queries:     []query{{expr: `go_goroutines{<process>}`, legend: "{{instance}}"}},
			},
			{
				title: "Garbage collection", unit: units.PercentUnit,
				description: "The share of the time that each instance stood still for the garbage collector. Good: far under 1 %.",
				queries:     []query{{expr: `rate(go_gc_duration_seconds_sum{<process>}[$__rate_interval])`, legend: "{{instance}}"}},
			},
			{
				title: "Open files", unit: units.PercentUnit, max: 1,
				description: "File descriptors and connections that each instance has open, of what it may have. Good: under 80 %.",
				queries: []query{{
					expr:   share(`process_open_fds{<process>}`, `process_max_fds{<process>}`),
					legend: "{{instance}}",
				}},
			},
			{
				title: "Webhook connections", unit: units.PercentUnit, max: 1,
				description: "Open connections of the public listener, of as many as it opens at most. At 100 % those are closed that have " +
					"waited for a request longest. Good: under 50 %.",
				queries: []query{{
					expr:   share(`dlrloop_connections{<process>}`, `dlrloop_connections_limit{<process>}`),
					legend: "{{instance}}",
				}},
			},
			{
				title: "Webhook connections dropped", unit: units.OpsPerSecond,
				description: "Connections of the public listener closed a second because there were too many. Good: none.",
				queries: []query{{
					expr:   `sum by (instance) (rate(dlrloop_connections_dropped_total{<process>}[$__rate_interval]))`,
					legend: "{{instance}}",
				}},
			},
			{
				title: "Uptime", unit: units.Seconds,
				description: "Time since each instance started. Every fall to 0 is a start; the dashboards mark it in their graphs.",
				queries:     []query{{expr: `time() - process_start_time_seconds{<process>}`, legend: "{{instance}}"}},
			},
		}, lines, 8, 8),
		sized([]panel{
			{
				title: "Starts", unit: units.Short,
				description: "How often each instance started anew in the time shown. Good: as often as somebody upgraded it.",
				queries:     []query{{expr: `changes(process_start_time_seconds{<process>}[$__range])`, legend: "{{instance}}"}},
			},
			{
				title: "Certificates expire in", unit: units.Seconds, thresholds: fallingTo(14*86400, 7*86400),
				description: "Time until the first certificate of each listener expires. Nothing here: no listener has TLS. Good: over 14 days.",
				queries: rare(query{
					expr:   `min by (listener) (dlrloop_tls_certificate_expiry_timestamp_seconds{<process>}) - time()`,
					legend: "{{listener}}",
				}),
			},
		}, named, 12, 4)...)
}
