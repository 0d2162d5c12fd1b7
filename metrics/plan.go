package metrics

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// The keys by which type plan finds its counters of callbacks_total (callback) and messages_total (message).
type (
	callback struct {
		typ     dlr.Type
		outcome Outcome
	}
	message struct {
		status dlr.Status
		class  dlr.Class
	}
)

// plan holds the series of one service plan, so that counting does not have to look them up in the Prometheus vectors.
type plan struct {
	callbacks *byKey[callback, prometheus.Counter]
	messages  *byKey[message, prometheus.Counter]

	duplicates, polled, lossy prometheus.Counter

	recipients byLabel[string, prometheus.Counter] // by change of their feedback
	calls      byLabel[store.Reason, prometheus.Counter]
	reads      byLabel[store.Reason, prometheus.Counter]
	lookups    byLabel[string, prometheus.Counter]
	circuit    byLabel[string, prometheus.Gauge]

	rate, rateCeiling prometheus.Gauge

	observed byLabel[Observed, prometheus.Counter]
}

func (m *Metrics) newPlan(name string) *plan {
	types := setOf(typeLabels())
	of := prometheus.Labels{"plan": name}
	return &plan{
		callbacks: newByKey(m.callbacks.MustCurryWith(of).WithLabelValues, func(c callback) []string {
			return []string{types.label(c.typ), c.outcome.String()}
		}),
		messages: newByKey(m.messages.MustCurryWith(of).WithLabelValues, messageLabels()),
		rate:     m.rate.WithLabelValues(name), rateCeiling: m.rateCeiling.WithLabelValues(name),
		duplicates: m.duplicates.WithLabelValues(name),
		polled:     m.polled.WithLabelValues(name),
		lossy:      m.lossy.WithLabelValues(name),
		recipients: newByLabel(resultLabels(), m.recipients.MustCurryWith(of).WithLabelValues),
		calls:      newByLabel(callReasons(), m.calls.MustCurryWith(of).WithLabelValues),
		reads:      newByLabel(readReasons(), m.reads.MustCurryWith(of).WithLabelValues),
		lookups:    newByLabel(lookupLabels(), m.lookups.MustCurryWith(of).WithLabelValues),
		circuit:    newByLabel(circuitLabels(), m.circuit.MustCurryWith(of).WithLabelValues),
		observed:   newByLabel(observedResults(), m.gatewayObserved.MustCurryWith(of).WithLabelValues),
	}
}

// messageLabels returns a function that returns the values of the labels status and code_class for a message. If Sinch
// is not known to report the message's class with its status (see expectedPairs), code_class is "other".
func messageLabels() func(message) []string {
	statuses, pairs := setOf(statusLabels()), expectedPairs()
	return func(m message) []string {
		status := statuses.label(m.status)
		if !slices.Contains(pairs[dlr.Status(status)], m.class) {
			m.class = dlr.ClassOther
		}
		return []string{status, string(m.class)}
	}
}

// createSeries creates every series of the plan that can occur, with the value 0. So a rate in Prometheus includes the
// first increment.
func (p *plan) createSeries() {
	for _, t := range typeLabels() {
		for o := range outcomes {
			if o.possible(t) {
				p.callbacks.create(callback{t, o})
			}
		}
	}
	for status, classes := range expectedPairs() {
		for _, class := range classes {
			p.messages.create(message{status, class})
		}
	}
	p.recipients.createAll()
	p.calls.createAll()
	p.reads.createAll()
	p.lookups.createAll()
	p.circuit.createAll()
	p.circuit.get("closed").Set(1)
	p.observed.createAll()
}
