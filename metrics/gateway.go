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
	GatewayUnreachable GatewayOutcome = "unreachable" // Sinch was called and gave no whole answer
	GatewayRefused     GatewayOutcome = "refused"     // Sinch was not called
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
		GatewaySucceeded, GatewayRejected, GatewayFailed, GatewayUnreachable, GatewayRefused, other,
	}
}

func learnedResults() []Learned {
	return []Learned{LearnedRecorded, LearnedLate, LearnedLost, LearnedUnreadable}
}

// timed are the operations whose duration is told apart; the rest count as other.
func timed() []GatewayOperation {
	return []GatewayOperation{GatewaySend, GatewayFeedback, GatewayOther}
}

func (m *Metrics) gateway() {
	operations, outcomes := gatewayOperations(), gatewayOutcomes()
	m.gatewayOperations, m.gatewayOutcomes = indexOf(operations), indexOf(outcomes)
	requests := m.counters("gateway_requests_total",
		"Requests to the gateway by how they ended: the class of Sinch's answer, unreachable (there was no whole answer; "+
			"a send may have been sent) or refused (Sinch was not called).",
		"operation", "outcome")
	m.gatewayRequests = newGrid(len(operations), len(outcomes), func(op, o int) prometheus.Counter {
		return requests.WithLabelValues(string(operations[op]), string(outcomes[o]))
	})
	for op := range operations {
		for o, outcome := range outcomes {
			if outcome != other {
				m.gatewayRequests.at(op, o)
			}
		}
	}
	seconds := m.histograms("gateway_duration_seconds",
		"Time from when a request's head was read to the last byte of its answer, Sinch's share included; other is every operation but send and feedback.",
		[]string{"operation"}, .025, .1, .25, .5, 1, 5, 20)
	m.gatewaySeconds = make(map[GatewayOperation]prometheus.Observer)
	for _, op := range timed() {
		m.gatewaySeconds[op] = seconds.WithLabelValues(string(op))
	}
	m.gatewayLearned = m.counters("gateway_learned_total",
		"Batches that answers in the gateway spoke of: recorded before the caller had the answer, late (recorded after), lost (not recorded) or unreadable.",
		"plan", "result")
}

// GatewayRequest counts a request to the gateway, and the time it took.
func (m *Metrics) GatewayRequest(op GatewayOperation, o GatewayOutcome, took time.Duration) {
	m.gatewayRequests.at(m.gatewayOperations.of(op), m.gatewayOutcomes.of(o)).Inc()
	seconds := m.gatewaySeconds[op]
	if seconds == nil {
		seconds = m.gatewaySeconds[GatewayOther]
	}
	seconds.Observe(took.Seconds())
}

// GatewayLearned counts batches that an answer in the gateway spoke of.
func (m *Metrics) GatewayLearned(plan string, l Learned, batches int) {
	m.plan(plan).learned.of(l).Add(float64(batches))
}
