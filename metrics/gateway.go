package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// GatewayOperation is what a request to the gateway asks of Sinch.
type GatewayOperation string

// The operations.
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

// GatewayOutcome says how a request to the gateway ended.
type GatewayOutcome string

// The outcomes. The first three are answers of Sinch, or of the gateway in Sinch's place.
const (
	GatewaySucceeded   GatewayOutcome = "2xx" // or 3xx
	GatewayRejected    GatewayOutcome = "4xx"
	GatewayFailed      GatewayOutcome = "5xx"
	GatewayUnreachable GatewayOutcome = "unreachable" // Sinch was called and gave no answer
	GatewayRefused     GatewayOutcome = "refused"     // Sinch was not called
	GatewayCanceled    GatewayOutcome = "canceled"    // the caller left before there was an answer
)

// Learned says what became of a batch that an answer in the gateway spoke of.
type Learned string

// What becomes of it.
const (
	LearnedRecorded   Learned = "recorded"   // durable before the caller had its answer
	LearnedLate       Learned = "late"       // durable after
	LearnedLost       Learned = "lost"       // not recorded: the store failed, or too much waited for it
	LearnedUnreadable Learned = "unreadable" // the answer could not be read as batches
)

func gatewayOperations() []GatewayOperation {
	return []GatewayOperation{
		GatewaySend, GatewayDryRun, GatewayList, GatewayGet, GatewayUpdate, GatewayReplace, GatewayCancel,
		GatewayFeedback, GatewayReport, GatewayOther,
	}
}

func gatewayOutcomes() []GatewayOutcome {
	return []GatewayOutcome{
		GatewaySucceeded, GatewayRejected, GatewayFailed, GatewayUnreachable, GatewayRefused, GatewayCanceled, other,
	}
}

func learnedResults() []Learned {
	return []Learned{LearnedRecorded, LearnedLate, LearnedLost, LearnedUnreadable}
}

// usualGateway reports whether the pair exists at zero for every plan: what an alert watches does.
func usualGateway(op GatewayOperation, o GatewayOutcome) bool {
	switch o {
	case GatewaySucceeded, GatewayUnreachable:
		return true
	case GatewayRejected, GatewayFailed, GatewayRefused:
		return op == GatewaySend || op == GatewayFeedback
	}
	return false
}

// gatewaySeries has the gateway's series of one plan.
type gatewaySeries struct {
	requests *grid // operation, outcome
	learned  map[Learned]prometheus.Counter
}

func (m *Metrics) gateway() {
	m.gatewayOperations, m.gatewayOutcomes = indexOf(gatewayOperations()), indexOf(gatewayOutcomes())
	m.gatewayRequests = m.counters("gateway_requests_total",
		"Requests to the gateway by how they ended: the class of Sinch's answer, or unreachable (there was none; a send may have been sent), "+
			"refused (Sinch was not called) or canceled (the caller left).",
		"plan", "operation", "outcome")
	m.gatewaySeconds = m.histograms("gateway_duration_seconds",
		"Time from when a request's head was read to the last byte of its answer, Sinch's share included.",
		[]string{"operation"}, .025, .1, .25, .5, 1, 5, 20)
	for _, op := range []GatewayOperation{GatewaySend, GatewayFeedback} {
		m.gatewaySeconds.WithLabelValues(string(op))
	}
	m.gatewayLearned = m.counters("gateway_learned_total",
		"Batches that answers in the gateway spoke of: recorded before the caller had the answer, late (recorded after), lost (not recorded) or unreadable.",
		"plan", "result")
}

func (m *Metrics) newGatewaySeries(name string) gatewaySeries {
	operations, outcomes := gatewayOperations(), gatewayOutcomes()
	return gatewaySeries{
		requests: newGrid(len(operations), len(outcomes), func(op, o int) prometheus.Counter {
			return m.gatewayRequests.WithLabelValues(name, string(operations[op]), string(outcomes[o]))
		}),
		learned: byLabel(learnedResults(), m.gatewayLearned.MustCurryWith(prometheus.Labels{"plan": name}).WithLabelValues),
	}
}

func (m *Metrics) existGateway(s gatewaySeries) {
	for op, row := range m.gatewayOperations {
		for o, column := range m.gatewayOutcomes {
			if usualGateway(op, o) {
				s.requests.at(row, column)
			}
		}
	}
}

// GatewayRequest counts a request to the gateway, and the time it took.
func (m *Metrics) GatewayRequest(plan string, op GatewayOperation, o GatewayOutcome, took time.Duration) {
	row, column := m.gatewayOperations.of(op), m.gatewayOutcomes.of(o)
	m.plan(plan).gateway.requests.at(row, column).Inc()
	m.gatewaySeconds.WithLabelValues(string(gatewayOperations()[row])).Observe(took.Seconds())
}

// GatewayLearned counts batches that an answer in the gateway spoke of.
func (m *Metrics) GatewayLearned(plan string, l Learned, batches int) {
	m.plan(plan).gateway.learned[l].Add(float64(batches))
}
