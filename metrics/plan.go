package metrics

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// plan holds the series of one plan, so that counting a report looks up no label.
type plan struct {
	callbacks *byTwoLabels[prometheus.Counter] // type, outcome
	messages  *byTwoLabels[prometheus.Counter] // status, code class

	duplicates, polled, lossy prometheus.Counter

	recipients *byLabel[string, prometheus.Counter] // by change of their feedback
	calls      *byLabel[store.Reason, prometheus.Counter]
	reads      *byLabel[store.Reason, prometheus.Counter]
	lookups    *byLabel[string, prometheus.Counter]
	circuit    *byLabel[string, prometheus.Gauge]

	rate, rateCeiling prometheus.Gauge

	learned *byLabel[Learned, prometheus.Counter]
}

func (m *Metrics) newPlan(name string) *plan {
	types := typeLabels()
	of := prometheus.Labels{"plan": name}
	return &plan{
		callbacks: newByTwoLabels(len(types), int(outcomes), func(t, o int) prometheus.Counter {
			return m.callbacks.WithLabelValues(name, string(types[t]), Outcome(o).String())
		}),
		messages: m.newMessages(name),
		rate:     m.rate.WithLabelValues(name), rateCeiling: m.rateCeiling.WithLabelValues(name),
		duplicates: m.duplicates.WithLabelValues(name),
		polled:     m.polled.WithLabelValues(name),
		lossy:      m.lossy.WithLabelValues(name),
		recipients: newByLabel(resultLabels(), m.recipients.MustCurryWith(of).WithLabelValues),
		calls:      newByLabel(callReasons(), m.calls.MustCurryWith(of).WithLabelValues),
		reads:      newByLabel(readReasons(), m.reads.MustCurryWith(of).WithLabelValues),
		lookups:    newByLabel(lookupLabels(), m.lookups.MustCurryWith(of).WithLabelValues),
		circuit:    newByLabel(circuitLabels(), m.circuit.MustCurryWith(of).WithLabelValues),
		learned:    newByLabel(learnedResults(), m.gatewayLearned.MustCurryWith(of).WithLabelValues),
	}
}

// newMessages returns the message counters of a plan. Pairs outside expectedPairs share the class other.
func (m *Metrics) newMessages(name string) *byTwoLabels[prometheus.Counter] {
	statuses, classes := statusLabels(), dlr.Classes()
	pairs := expectedPairs()
	return newByTwoLabels(len(statuses), len(classes), func(s, c int) prometheus.Counter {
		class := classes[c]
		if !slices.Contains(pairs[statuses[s]], class) {
			class = dlr.ClassOther
		}
		return m.messages.WithLabelValues(name, string(statuses[s]), string(class))
	})
}

// createSeries creates the series of p that can occur, at zero.
func (m *Metrics) createSeries(p *plan) {
	for t, i := range m.types {
		for o := range outcomes {
			if o.possible(t) {
				p.callbacks.at(i, int(o))
			}
		}
	}
	for status, classes := range expectedPairs() {
		for _, class := range classes {
			p.messages.at(m.statuses.of(status), m.classes.of(class))
		}
	}
	p.recipients.createAll()
	p.calls.createAll()
	p.reads.createAll()
	p.lookups.createAll()
	p.circuit.createAll()
	p.circuit.of("closed").Set(1)
	p.learned.createAll()
}
