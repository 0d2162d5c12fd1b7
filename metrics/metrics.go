package metrics

import (
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// Config says for whom is counted.
type Config struct {
	Plans      []string // the configured plans; every other plan counts as other
	Version    string   // of this program
	StoreLimit int64    // bytes that the store may grow to; 0: nobody has said
}

// Metrics counts. It is safe for use by any number of goroutines.
type Metrics struct {
	registerer prometheus.Registerer
	names      []string // of the plans
	plans      map[string]*plan
	others     func() *plan // of what belongs to no configured plan; not exported before it is used

	types    index[dlr.Type]
	statuses index[dlr.Status]
	classes  index[dlr.Class]

	ingest, callSeconds        prometheus.Observer
	commitSize, commitSeconds  prometheus.Observer
	lag, operatorLag           prometheus.Observer
	finals                     []*final // by status's number; nil for those that are not final
	routes                     *routes
	errors                     *choice[string, prometheus.Counter] // by operation
	evicted                    prometheus.Counter
	reloaded                   prometheus.Gauge
	connections                prometheus.Gauge
	connectionLimit            prometheus.Gauge
	connectionsDropped         prometheus.Counter
	expiry                     *prometheus.GaugeVec // by listener
	callbacks, messages, calls *prometheus.CounterVec
	recipients, lookups        *prometheus.CounterVec
	duplicates, polled, lossy  *prometheus.CounterVec
	reads                      *prometheus.CounterVec
	circuit, rate, rateCeiling *prometheus.GaugeVec

	gatewayOperations index[GatewayOperation]
	gatewayOutcomes   index[GatewayOutcome]
	gatewayRequests   *grid[prometheus.Counter] // operation, outcome
	gatewayLearned    *prometheus.CounterVec
	gatewaySeconds    map[GatewayOperation]prometheus.Observer
}

// New makes the metrics and registers them, with those of the Go runtime and of the process, in r, which must not have them
// yet.
func New(r prometheus.Registerer, c Config) *Metrics {
	m := &Metrics{
		registerer: r, names: c.Plans, plans: make(map[string]*plan, len(c.Plans)),
		types: indexOf(typeLabels()), statuses: indexOf(statusLabels()), classes: indexOf(dlr.Classes()),
	}
	m.others = sync.OnceValue(func() *plan { return m.newPlan(other) })
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.ingestion()
	m.results()
	m.feedback()
	m.gateway()
	m.process(c)
	for _, name := range c.Plans {
		m.plans[name] = m.newPlan(name)
		m.exist(m.plans[name])
	}
	return m
}

func (m *Metrics) ingestion() {
	m.callbacks = m.counters("callbacks_total",
		"Callbacks by what became of them. Only stored, inbound and quarantined were answered 200, and only those have a type; of all others it is other.",
		"plan", "type", "outcome")
	m.callbacks.WithLabelValues(other, other, UnknownPlan.String())
	m.lossy = m.counters("lossy_responses_total",
		"Answers to verified callbacks after which Sinch never sends the report again. Anything but 0 is a loss.", "plan")
	m.ingest = m.histogram("ingest_duration_seconds",
		"Time from when a callback's head was read to its answer, whatever that was.",
		.001, .0025, .005, .01, .025, .05, .1, .25, 1, 2.5, 10)
	m.connections = m.gauge("connections", "Open connections of the public listener.")
	m.connectionLimit = m.gauge("connections_limit",
		"Connections that the public listener opens at most: public.max_connections, or what the descriptors of the process leave.")
	m.connectionsDropped = m.counter("connections_dropped_total",
		"Connections of the public listener that were closed because there were too many, those first that waited for a request longest.")
	m.commitSize = m.histogram("commit_size", "Arrivals that one commit made durable.",
		1, 4, 16, 64, 256, 1024, 4096)
	m.commitSeconds = m.histogram("commit_duration_seconds", "Time that one commit took until its arrivals were durable.",
		.0005, .001, .0025, .005, .01, .025, .1, .5, 2.5)
	m.errors = newChoice(operationLabels(), m.counters("store_errors_total",
		"Operations of the store that failed. On one disk commits and folds that go on failing count once a minute.",
		"operation").WithLabelValues)
	m.errors.exist()
	m.evicted = m.counter("quarantine_evicted_total", "Quarantined callbacks that were deleted to make room for newer ones.")
}

func (m *Metrics) results() {
	m.messages = m.counters("messages_total",
		"Messages newly reported in a status and class of code. Repeats count nothing; a message is counted once in each status and code it goes through. A pair that Sinch's tables and test data do not hold counts under the class other.",
		"plan", "status", "code_class")
	m.duplicates = m.counters("duplicates_total", "Reports that had been taken before and changed nothing.", "plan")
	m.polled = m.counters("reconciled_total", "Messages whose final status was read from Sinch because no callback had told it: they would be missing.", "plan")
	m.reads = m.counters("reconcile_reads_total", "Reads of a report from Sinch because callbacks of its batch are missing, by how they ended.", "plan", "reason")
	m.lag = m.histogram("callback_lag_seconds",
		"Time from when Sinch made a recipient report to when its callback was taken in; repeats do not count.",
		.1, .5, 1, 5, 10, 30, 60, 300, 900, 3600, 21600, 86400)
	m.operatorLag = m.histogram("operator_lag_seconds",
		"Time from the operator's own time of a status to when Sinch made the report; only of reports that have both times.",
		1, 5, 10, 30, 60, 300, 900, 3600, 21600, 86400)
	latency := m.histograms("delivery_latency_seconds",
		"Time from when a batch left to when Sinch made the first report of a recipient's final status; other is Aborted, Cancelled, Deleted and Unknown. "+
			"Only for batches whose facts are known.",
		[]string{"status"}, 1, 2.5, 5, 10, 30, 60, 300, 900, 7200, 86400)
	m.finals = make([]*final, len(m.statuses))
	for s, number := range m.statuses {
		if s.Final() {
			m.finals[number] = &final{resultOf(s), latency.WithLabelValues(latencyLabel(s))}
		}
	}
	m.routes = m.newRoutes()
}

// final is what is counted of a final status.
type final struct {
	result  result
	latency prometheus.Observer
}

func (m *Metrics) feedback() {
	m.recipients = m.counters("feedback_recipients_total",
		"Recipients whose delivery feedback was earned, accepted by Sinch, given up (dead), made owed again by a person (requeued), or deleted by retention while dead (expired).",
		"plan", "result")
	m.calls = m.counters("feedback_calls_total", "Delivery feedback calls to Sinch by how they ended; not_a_number counts attempts that made no call because recipients are not numbers.", "plan", "reason")
	m.callSeconds = m.histogram("feedback_call_duration_seconds", "Time of one delivery feedback call to Sinch, whatever the answer.",
		.05, .1, .25, .5, 1, 2.5, 10, 30)
	m.circuit = m.gauges("feedback_circuit_state", "1 for the state that the plan's circuit towards Sinch is in, 0 for the others.",
		"plan", "state")
	m.rate = m.gauges("feedback_rate", "Calls to Sinch a second that this replica may make for the plan's feedback now. It halves when Sinch answers 429 or 5xx, or in no time, and recovers.", "plan")
	m.rateCeiling = m.gauges("feedback_rate_ceiling", "What feedback_rate is without trouble: this replica's share of feedback.rate.", "plan")
	m.lookups = m.counters("batch_lookups_total", "Batches looked up at Sinch to learn whether they want delivery feedback. missing: Sinch does not know the batch; unknown_plan: it does not know the plan.",
		"plan", "result")
}

func (m *Metrics) process(c Config) {
	m.reloaded = m.gauge("config_last_reload_successful", "1 while the last reading of the configuration and of the TLS files succeeded, else 0.")
	m.reloaded.Set(1)
	m.expiry = m.gauges("tls_certificate_expiry_timestamp_seconds",
		"Unix time at which the first certificate expires in the chain that the listener serves. Only of listeners with TLS.", "listener")
	m.gauges("build_info", "Always 1; the labels say which build runs.", "version", "goversion").
		WithLabelValues(c.Version, runtime.Version()).Set(1)
	m.gauge("store_limit_bytes", "What the store may grow to, as the configuration says (store.size_limit); 0 when it does not say. Nothing ends there: it is for an alert that sees the disk's filling come.").
		Set(float64(c.StoreLimit))
}

// Callback counts a callback, and the time since its head was read. t is as it came, and empty when the body was not read
// that far.
func (m *Metrics) Callback(plan string, t dlr.Type, o Outcome, took time.Duration) {
	if !o.typed() {
		t = other
	}
	m.plan(plan).callbacks.at(m.types.of(t), int(o)).Inc()
	m.ingest.Observe(took.Seconds())
}

// Lossy counts an answer after which Sinch never sends the report again.
func (m *Metrics) Lossy(plan string) { m.plan(plan).lossy.Inc() }

// Connections says how many connections of the public listener are open.
func (m *Metrics) Connections(open int) { m.connections.Set(float64(open)) }

// ConnectionLimit says how many may be open.
func (m *Metrics) ConnectionLimit(most int) { m.connectionLimit.Set(float64(most)) }

// ConnectionDropped counts a connection that was closed because there were too many.
func (m *Metrics) ConnectionDropped() { m.connectionsDropped.Inc() }

// FeedbackCall counts one feedback call to Sinch.
func (m *Metrics) FeedbackCall(plan string, r store.Reason, took time.Duration) {
	m.plan(plan).calls.of(r).Inc()
	m.callSeconds.Observe(took.Seconds())
}

// FeedbackRate tells how many calls a second this replica may make for the plan, and how many without trouble.
func (m *Metrics) FeedbackRate(plan string, now, ceiling float64) {
	p := m.plan(plan)
	p.rate.Set(now)
	p.rateCeiling.Set(ceiling)
}

// FeedbackLeftOut counts an attempt that made no call because recipients are not numbers.
func (m *Metrics) FeedbackLeftOut(plan string) { m.plan(plan).calls.of(store.ReasonNotANumber).Inc() }

// Circuit says which state the plan's circuit is in: closed, half_open or open.
func (m *Metrics) Circuit(plan, state string) {
	p := m.plan(plan)
	p.circuit.existing(func(g prometheus.Gauge) { g.Set(0) })
	p.circuit.of(state).Set(1)
}

// BatchLookup counts one look-up of a batch at Sinch: found, missing or failed.
func (m *Metrics) BatchLookup(plan, result string) { m.plan(plan).lookups.of(result).Inc() }

// ReconcileRead counts one read of a report that was missing, by how it ended.
func (m *Metrics) ReconcileRead(plan string, r store.Reason) { m.plan(plan).reads.of(r).Inc() }

// CertificateExpires sets the time at which the certificate of a listener expires: public or gateway.
func (m *Metrics) CertificateExpires(listener string, at time.Time) {
	m.expiry.WithLabelValues(listener).Set(float64(at.Unix()))
}

// ConfigReloaded says whether the configuration and the TLS files could be read again.
func (m *Metrics) ConfigReloaded(ok bool) {
	if ok {
		m.reloaded.Set(1)
		return
	}
	m.reloaded.Set(0)
}

func (m *Metrics) plan(name string) *plan {
	if p := m.plans[name]; p != nil {
		return p
	}
	return m.others()
}
