package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// GatewayOperation is the kind of an application's call to the gateway, dlrloop's proxy for Sinch's API.
type GatewayOperation string

// The values of GatewayOperation, which the label operation of the gateway metrics shows.
const (
	GatewaySend     GatewayOperation = "send"
	GatewayDryRun   GatewayOperation = "dry_run"
	GatewayList     GatewayOperation = "list"
	GatewayGet      GatewayOperation = "get"
	GatewayUpdate   GatewayOperation = "update"
	GatewayReplace  GatewayOperation = "replace"
	GatewayCancel   GatewayOperation = "cancel"
	GatewayFeedback GatewayOperation = "feedback"
	GatewayReport   GatewayOperation = "report"
	GatewayOther    GatewayOperation = other
)

// GatewayOutcome is the result of a call to the gateway, dlrloop's proxy for Sinch's API.
type GatewayOutcome string

// The values of GatewayOutcome, which the label outcome of gateway_requests_total shows. "2xx", "4xx" and "5xx" are
// classes of HTTP statuses: an answer with such a status came from Sinch, or from the gateway on Sinch's behalf.
const (
	GatewaySucceeded   GatewayOutcome = "2xx" // or 3xx
	GatewayRejected    GatewayOutcome = "4xx"
	GatewayFailed      GatewayOutcome = "5xx"
	GatewayUnreachable GatewayOutcome = "unreachable" // Sinch was called but gave no complete answer
	GatewayRefused     GatewayOutcome = "refused"     // Sinch was not called
)

// Observed says whether a batch that the gateway found in an answer of Sinch was recorded in the store.
type Observed string

// The values of Observed. They say whether the gateway recorded a batch that it found in an answer of Sinch. The metric
// gateway_observed_total has them as values of its label "result".
const (
	ObservedRecorded   Observed = "recorded"   // durable before the caller got the answer
	ObservedLate       Observed = "late"       // durable, but only after that
	ObservedLost       Observed = "lost"       // not recorded: the store failed, or its queue was full
	ObservedUnreadable Observed = "unreadable" // the answer could not be decoded
)

func gatewayOperations() []GatewayOperation {
	return []GatewayOperation{
		GatewaySend, GatewayDryRun, GatewayList, GatewayGet, GatewayUpdate, GatewayReplace, GatewayCancel,
		GatewayFeedback, GatewayReport, GatewayOther,
	}
}

func gatewayOutcomes() []GatewayOutcome {
	return []GatewayOutcome{
		GatewaySucceeded, GatewayRejected, GatewayFailed, GatewayUnreachable, GatewayRefused,
	}
}

func observedResults() []Observed {
	return []Observed{ObservedRecorded, ObservedLate, ObservedLost, ObservedUnreadable}
}

// timedOperations returns the operations that have a histogram of their own in gateway_duration_seconds. Every other
// operation is recorded in the histogram of GatewayOther.
func timedOperations() []GatewayOperation {
	return []GatewayOperation{GatewaySend, GatewayFeedback, GatewayOther}
}

func (m *Metrics) registerGateway() {
	operations, outcomes := gatewayOperations(), gatewayOutcomes()
	requests := m.counters("gateway_requests_total",
		"Requests to the gateway by result: the class of Sinch's answer, unreachable (no complete answer; "+
			"a batch may have been sent) or refused (Sinch was not called).",
		"operation", "outcome")
	knownOperations, knownOutcomes := setOf(operations), setOf(outcomes)
	m.gatewayRequests = newByKey(requests.WithLabelValues, func(r gatewayRequest) []string {
		return []string{knownOperations.label(r.operation), knownOutcomes.label(r.outcome)}
	})
	for _, op := range operations {
		for _, o := range outcomes {
			m.gatewayRequests.create(gatewayRequest{op, o})
		}
	}
	seconds := m.histograms("gateway_duration_seconds",
		"Time from reading a request's header to the last byte of its answer, including Sinch's time. other "+
			"stands for every operation except send and feedback.",
		[]string{"operation"}, .025, .1, .25, .5, 1, 5, 20)
	m.gatewaySeconds = make(map[GatewayOperation]prometheus.Observer)
	for _, op := range timedOperations() {
		m.gatewaySeconds[op] = seconds.WithLabelValues(string(op))
	}
	m.gatewayObserved = m.counters("gateway_observed_total",
		"Batches found in Sinch's answers to the gateway: recorded before the caller got the answer, late "+
			"(recorded after it), lost (not recorded) or unreadable.",
		"plan", "result")
}

// gatewayRequest holds the label values of one counter of gateway_requests_total. It is the key of
// Metrics.gatewayRequests.
type gatewayRequest struct {
	operation GatewayOperation
	outcome   GatewayOutcome
}

// GatewayRequest counts one call to the gateway by its kind and outcome. took is its duration, to the end of the
// answer.
func (m *Metrics) GatewayRequest(op GatewayOperation, o GatewayOutcome, took time.Duration) {
	m.gatewayRequests.get(gatewayRequest{op, o}).Inc()
	seconds := m.gatewaySeconds[op]
	if seconds == nil {
		seconds = m.gatewaySeconds[GatewayOther]
	}
	seconds.Observe(took.Seconds())
}

// GatewayObserved counts batches of a service plan that the gateway found in an answer of Sinch. o says whether these
// batches were recorded in the store.
func (m *Metrics) GatewayObserved(plan string, o Observed, batches int) {
	m.plan(plan).observed.get(o).Add(float64(batches))
}
