package metrics

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dlrloop/dlrloop/store"
)

// DestinationResult says what happened to an event on its way to a destination, which is a URL of the application.
type DestinationResult string

// The values of DestinationResult, which the label result of destination_events_total shows.
const (
	DestinationDelivered DestinationResult = "delivered" // the destination accepted it
	DestinationDeferred  DestinationResult = "deferred"  // several attempts failed; it is retried later
	DestinationDead      DestinationResult = "dead"      // given up until an operator requeues it
	DestinationFiltered  DestinationResult = "filtered"  // the destination does not receive such events
	DestinationLost      DestinationResult = "lost"      // deleted by retention before it was delivered
)

func destinationResults() []DestinationResult {
	return []DestinationResult{
		DestinationDelivered, DestinationDeferred, DestinationDead, DestinationFiltered, DestinationLost,
	}
}

// attemptReasons returns the values of the label reason of destination_attempts_total: the results of a request to a
// destination.
func attemptReasons() []store.DeliveryReason {
	return slices.DeleteFunc(append(store.DeliveryReasons(), other), func(r store.DeliveryReason) bool {
		return r == store.DeliveryGaveUp || r == store.DeliveryOverflow
	})
}

// destinations holds the metrics about destinations, which are the URLs to which events are sent. For each configured
// destination it also holds the series, so that counting does not have to look them up.
type destinations struct {
	attempts, events              *prometheus.CounterVec
	waiting, oldest, dead, paused *prometheus.GaugeVec
	circuit                       *prometheus.GaugeVec
	seconds                       prometheus.Observer // nil if no destination is configured
	byName                        map[string]*destination
}

type destination struct {
	attempts                      byLabel[store.DeliveryReason, prometheus.Counter]
	events                        byLabel[DestinationResult, prometheus.Counter]
	circuit                       byLabel[string, prometheus.Gauge]
	waiting, oldest, dead, paused prometheus.Gauge
}

const onLeader = " Only the replica that holds the leader lease destinations exports it; on others it is 0: " +
	"aggregate with max."

func (m *Metrics) registerDestinations(names []string) {
	m.destinations = destinations{
		attempts: m.counters("destination_attempts_total", "Requests to a destination by result.", "destination", "reason"),
		events: m.counters("destination_events_total",
			"Events that a destination accepted (delivered), that are retried later after several attempts failed "+
				"(deferred), that were given up (dead), that the destination does not receive (filtered), or that retention "+
				"deleted before (lost; at least so many).",
			"destination", "result"),
		waiting: m.gauges("destination_waiting", "Events that wait for a destination: those after its place in the event "+
			"log, which include some that it does not receive, and those deferred."+onLeader, "destination"),
		oldest: m.gauges("destination_oldest_seconds",
			"Age of the oldest event that waits for a destination; 0 if none waits."+onLeader, "destination"),
		dead: m.gauges("destination_dead",
			"Events that a destination did not accept and that dlrloop no longer retries."+onLeader, "destination"),
		circuit: m.gauges("destination_circuit_state",
			"1 for the current state of the destination's circuit breaker, 0 for the other states.",
			"destination", "state"),
		paused: m.gauges("destination_paused", "1 if the destination answered 410 Gone, so that it gets no events until an "+
			"operator requeues its events, else 0."+onLeader, "destination"),
		byName: make(map[string]*destination, len(names)),
	}
	if len(names) > 0 {
		m.destinations.seconds = m.histogram("destination_attempt_duration_seconds",
			"Duration of one request to a destination, for every answer. Only if a destination is configured.",
			.05, .1, .25, .5, 1, 2.5, 10, 30)
	}
	for _, name := range names {
		m.destinations.byName[name] = m.destinations.create(name)
	}
}

// create creates all series of a destination with the value 0, except that its circuit breaker is shown as closed.
func (d *destinations) create(name string) *destination {
	of := prometheus.Labels{"destination": name}
	created := &destination{
		attempts: newByLabel(attemptReasons(), d.attempts.MustCurryWith(of).WithLabelValues),
		events:   newByLabel(destinationResults(), d.events.MustCurryWith(of).WithLabelValues),
		circuit:  newByLabel(circuitLabels(), d.circuit.MustCurryWith(of).WithLabelValues),
		waiting:  d.waiting.WithLabelValues(name), oldest: d.oldest.WithLabelValues(name),
		dead: d.dead.WithLabelValues(name), paused: d.paused.WithLabelValues(name),
	}
	created.attempts.createAll()
	created.events.createAll()
	created.circuit.createAll()
	created.circuit.get("closed").Set(1)
	return created
}

// DestinationAttempt counts one request to a destination by its result, and records its duration. It panics if the
// destination is not configured.
func (m *Metrics) DestinationAttempt(destination string, r store.DeliveryReason, took time.Duration) {
	m.destinations.byName[destination].attempts.get(r).Inc()
	m.destinations.seconds.Observe(took.Seconds())
}

// DestinationEvents counts n events for a destination by what happened to them. It panics if the destination is not
// configured.
func (m *Metrics) DestinationEvents(destination string, r DestinationResult, n int) {
	m.destinations.byName[destination].events.get(r).Add(float64(n))
}

// DestinationState describes the events that wait for a destination. The zero value means that this process does not
// deliver events, or that none wait.
type DestinationState struct {
	Waiting int           // events after the cursor, and deferred events
	Oldest  time.Duration // age of the oldest of them; 0 if none waits
	Dead    int
	Paused  bool // the destination answered 410 Gone
}

// DestinationState sets the gauges about the events that wait for a destination. It panics if the destination is not
// configured.
func (m *Metrics) DestinationState(destination string, s DestinationState) {
	d := m.destinations.byName[destination]
	d.waiting.Set(float64(s.Waiting))
	d.oldest.Set(max(s.Oldest.Seconds(), 0))
	d.dead.Set(float64(s.Dead))
	d.paused.Set(0)
	if s.Paused {
		d.paused.Set(1)
	}
}

// DestinationCircuit sets the state of a destination's circuit breaker, which stops requests while the destination
// fails. state is "closed", "half_open" or "open". DestinationCircuit panics if the destination is not configured.
func (m *Metrics) DestinationCircuit(destination, state string) {
	d := m.destinations.byName[destination]
	for _, s := range circuitLabels() {
		d.circuit.get(s).Set(0)
	}
	d.circuit.get(state).Set(1)
}
