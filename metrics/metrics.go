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

// Config lists the plans and destinations that get series of their own, and holds settings that gauges show. A plan
// that is not listed counts as "other".
type Config struct {
	Plans      []string // the configured plans
	Version    string   // version of this program
	StoreLimit int64    // maximum size of the store, in bytes; 0 if not configured

	InboundKept bool // inbound messages are stored

	Destinations []string // the names of the configured destinations
}

// Metrics holds all series that the process exports to Prometheus. Its methods count what happened. It is safe for
// concurrent use.
type Metrics struct {
	registerer prometheus.Registerer
	names      []string // names of the configured plans
	plans      map[string]*plan
	others     func() *plan // series of all plans that are not configured; created at first use

	ingest, callSeconds        prometheus.Observer
	commitSize, commitSeconds  prometheus.Observer
	lag, operatorLag           prometheus.Observer
	finals                     map[dlr.Status]*final // of the final statuses
	routes                     *routes
	errors                     byLabel[string, prometheus.Counter] // by operation
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

	gatewayRequests *byKey[gatewayRequest, prometheus.Counter]
	gatewayObserved *prometheus.CounterVec
	gatewaySeconds  map[GatewayOperation]prometheus.Observer

	destinations destinations
}

// New creates the metrics of dlrloop, of the Go runtime and of the process, and registers them in r. It panics if r
// already contains one of them.
func New(r prometheus.Registerer, c Config) *Metrics {
	m := &Metrics{
		registerer: r, names: c.Plans, plans: make(map[string]*plan, len(c.Plans)),
	}
	m.others = sync.OnceValue(func() *plan { return m.newPlan(other) })
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.registerCallbacks()
	m.registerReports()
	m.registerFeedback()
	m.registerGateway()
	m.registerDestinations(c.Destinations)
	m.registerProcess(c)
	for _, name := range c.Plans {
		m.plans[name] = m.newPlan(name)
		m.plans[name].createSeries()
	}
	return m
}

func (m *Metrics) registerCallbacks() {
	m.callbacks = m.counters("callbacks_total",
		"Callbacks by outcome. Only stored, inbound and quarantined were answered 200. Only these are counted by "+
			"type; the others have type other.",
		"plan", "type", "outcome")
	m.callbacks.WithLabelValues(other, other, UnknownPlan.String())
	m.lossy = m.counters("lossy_responses_total",
		"Answers to verified callbacks after which Sinch never sends the report again. Each one is a lost report.", "plan")
	m.ingest = m.histogram("ingest_duration_seconds",
		"Time from reading a callback's header to its answer, for every outcome.",
		.001, .0025, .005, .01, .025, .05, .1, .25, 1, 2.5, 10)
	m.connections = m.gauge("connections", "Open connections of the public listener.")
	m.connectionLimit = m.gauge("connections_limit",
		"Maximum number of open connections of the public listener: public.max_connections, or less if the "+
			"process has too few file descriptors.")
	m.connectionsDropped = m.counter("connections_dropped_total",
		"Connections of the public listener that were closed to stay within the limit. Those idle longest are closed first.")
	m.commitSize = m.histogram("commit_size", "Arrivals made durable by one commit.",
		1, 4, 16, 64, 256, 1024, 4096)
	m.commitSeconds = m.histogram("commit_duration_seconds", "Duration of one commit, until its arrivals were durable.",
		.0005, .001, .0025, .005, .01, .025, .1, .5, 2.5)
	m.errors = newByLabel(operationLabels(), m.counters("store_errors_total",
		"Failed operations of the store. In the store on one disk, commits and folds that keep failing count once a minute.",
		"operation").WithLabelValues)
	m.errors.createAll()
	m.evicted = m.counter("quarantine_evicted_total", "Quarantined callbacks deleted to make room for newer ones.")
}

func (m *Metrics) registerReports() {
	m.messages = m.counters("messages_total",
		"Messages by status and code class. A message counts once for each status and code it is reported in; "+
			"repeats do not count. A pair that Sinch does not document counts under the class other.",
		"plan", "status", "code_class")
	m.duplicates = m.counters("duplicates_total", "Repeated reports, which change nothing.", "plan")
	m.polled = m.counters("reconciled_total",
		"Messages whose final status was fetched from Sinch because no callback reported it.", "plan")
	m.reads = m.counters("reconcile_reads_total",
		"Reports fetched from Sinch because callbacks of the batch are missing, by result.", "plan", "reason")
	m.lag = m.histogram("callback_lag_seconds",
		"Time from the creation of a recipient report at Sinch to the receipt of its callback. Repeats do not count.",
		.1, .5, 1, 5, 10, 30, 60, 300, 900, 3600, 21600, 86400)
	m.operatorLag = m.histogram("operator_lag_seconds",
		"Time from the operator's time of a status to the creation of the report at Sinch. Only reports with both "+
			"times count.",
		1, 5, 10, 30, 60, 300, 900, 3600, 21600, 86400)
	latency := m.histograms("delivery_latency_seconds",
		"Time from the sending of a batch to the first report of a recipient's final status. other stands for "+
			"Aborted, Cancelled, Deleted and Unknown. Only batches whose sending time is known count.",
		[]string{"status"}, 1, 2.5, 5, 10, 30, 60, 300, 900, 7200, 86400)
	m.finals = make(map[dlr.Status]*final)
	for _, s := range statusLabels() {
		if s.Final() {
			m.finals[s] = &final{resultOf(s), latency.WithLabelValues(latencyLabel(s))}
		}
	}
	m.routes = m.newRoutes()
}

// final holds what is needed to count a message that has reached one final delivery status: the label result in
// route_messages_total, and the histogram of delivery_latency_seconds.
type final struct {
	result  result
	latency prometheus.Observer
}

func (m *Metrics) registerFeedback() {
	m.recipients = m.counters("feedback_recipients_total",
		"Recipients whose delivery feedback was earned, accepted by Sinch, given up (dead), requeued by an "+
			"operator, or deleted by retention while dead (deleted).",
		"plan", "result")
	m.calls = m.counters("feedback_calls_total",
		"Delivery feedback calls to Sinch by result. not_a_number counts attempts without a call, because "+
			"recipients are not numbers.",
		"plan", "reason")
	m.callSeconds = m.histogram("feedback_call_duration_seconds",
		"Duration of one delivery feedback call to Sinch, for every answer.",
		.05, .1, .25, .5, 1, 2.5, 10, 30)
	m.circuit = m.gauges("feedback_circuit_state",
		"1 for the current state of the plan's circuit breaker, 0 for the other states.",
		"plan", "state")
	m.rate = m.gauges("feedback_rate",
		"Calls per second to Sinch that this replica currently allows itself for the plan's feedback. The rate "+
			"halves when Sinch answers 429 or 5xx or times out, and recovers.",
		"plan")
	m.rateCeiling = m.gauges("feedback_rate_ceiling",
		"Maximum of feedback_rate: this replica's share of the configured feedback.rate.", "plan")
	m.lookups = m.counters("batch_lookups_total", "Lookups of batches at Sinch, which show whether a batch wants "+
		"delivery feedback. unknown: Sinch does not know the batch; unknown_plan: Sinch does not know the plan.",
		"plan", "result")
}

func (m *Metrics) registerProcess(c Config) {
	m.reloaded = m.gauge("config_last_reload_successful",
		"1 if the last load of the configuration and the TLS files succeeded, else 0.")
	m.reloaded.Set(1)
	m.expiry = m.gauges("tls_certificate_expiry_timestamp_seconds",
		"Unix time at which the first certificate of the listener's chain expires. Only for listeners with TLS.", "listener")
	m.gauges("build_info", "Always 1; the labels identify the running build.", "version", "goversion").
		WithLabelValues(c.Version, runtime.Version()).Set(1)
	kept := m.gauge("inbound_kept", "1 if inbound messages are stored; 0 if inbound.keep is false, so that they are only "+
		"acknowledged.")
	if c.InboundKept {
		kept.Set(1)
	}
	m.gauge("store_limit_bytes", "Configured size limit of the store (store.size_limit); 0 if not configured. Not "+
		"enforced; it lets an alert predict when the disk fills up.").
		Set(float64(c.StoreLimit))
}

// Callback counts a callback of Sinch by its type and outcome. t is the report type as received, or "" if the body was
// not parsed. took is the time since the request's header was read. A plan that is not configured counts as "other".
func (m *Metrics) Callback(plan string, t dlr.Type, o Outcome, took time.Duration) {
	if !o.hasType() || !o.possible(t) && t.Known() {
		t = other
	}
	m.plan(plan).callbacks.get(callback{t, o}).Inc()
	m.ingest.Observe(took.Seconds())
}

// Lossy counts an answer to a callback after which Sinch never sends the report again, so that the report is lost. A
// plan that is not configured counts as "other".
func (m *Metrics) Lossy(plan string) { m.plan(plan).lossy.Inc() }

// Connections sets the number of open connections of the public listener.
func (m *Metrics) Connections(open int) { m.connections.Set(float64(open)) }

// ConnectionLimit sets the maximum number of open connections of the public listener.
func (m *Metrics) ConnectionLimit(most int) { m.connectionLimit.Set(float64(most)) }

// ConnectionDropped counts a connection of the public listener that was closed to stay within the limit.
func (m *Metrics) ConnectionDropped() { m.connectionsDropped.Inc() }

// FeedbackCall counts one call with delivery feedback to Sinch by its result. took is the duration of the call.
func (m *Metrics) FeedbackCall(plan string, r store.Reason, took time.Duration) {
	m.plan(plan).calls.get(r).Inc()
	m.callSeconds.Observe(took.Seconds())
}

// FeedbackRate sets how many calls per second with delivery feedback this process may make to Sinch for a service plan.
// current is the present limit, and ceiling is the maximum to which it can rise.
func (m *Metrics) FeedbackRate(plan string, current, ceiling float64) {
	p := m.plan(plan)
	p.rate.Set(current)
	p.rateCeiling.Set(ceiling)
}

// FeedbackNotANumber counts delivery feedback that was not sent to Sinch, because a recipient is not a phone number.
func (m *Metrics) FeedbackNotANumber(plan string) {
	m.plan(plan).calls.get(store.ReasonNotANumber).Inc()
}

// Circuit sets the state of a plan's circuit breaker, which stops feedback calls while Sinch fails. state is "closed",
// "half_open" or "open".
func (m *Metrics) Circuit(plan, state string) {
	p := m.plan(plan)
	for _, s := range circuitLabels() {
		p.circuit.get(s).Set(0)
	}
	p.circuit.get(state).Set(1)
}

// BatchLookup counts one request to Sinch that finds out whether a batch wants delivery feedback. result is "found",
// "unknown" (Sinch does not know the batch), "unknown_plan" (Sinch does not know the plan) or "failed" (any other
// error). Any other text counts as "other".
func (m *Metrics) BatchLookup(plan, result string) { m.plan(plan).lookups.get(result).Inc() }

// ReconcileRead counts one attempt to fetch the missing reports of a batch from Sinch, by its result.
func (m *Metrics) ReconcileRead(plan string, r store.Reason) { m.plan(plan).reads.get(r).Inc() }

// CertificateExpires sets when the TLS certificate of a listener expires. listener is "public" or "gateway".
func (m *Metrics) CertificateExpires(listener string, at time.Time) {
	m.expiry.WithLabelValues(listener).Set(float64(at.Unix()))
}

// ConfigReloaded sets whether the last reload of the configuration and the TLS files succeeded. Until the first call,
// the gauge is 1.
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
