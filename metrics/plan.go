package metrics

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// plan has the series of one plan, found once: counting a report hashes no label.
type plan struct {
	callbacks *grid[prometheus.Counter] // type, outcome
	messages  *grid[prometheus.Counter] // status, code class

	duplicates, polled, lossy prometheus.Counter

	recipients *choice[string, prometheus.Counter] // by what became of their feedback
	calls      *choice[store.Reason, prometheus.Counter]
	reads      *choice[store.Reason, prometheus.Counter]
	lookups    *choice[string, prometheus.Counter]
	circuit    *choice[string, prometheus.Gauge]

	rate, rateCeiling prometheus.Gauge

	learned *choice[Learned, prometheus.Counter]
}

func (m *Metrics) newPlan(name string) *plan {
	types := typeLabels()
	of := prometheus.Labels{"plan": name}
	return &plan{
		callbacks: newGrid(len(types), int(outcomes), func(t, o int) prometheus.Counter {
			return m.callbacks.WithLabelValues(name, string(types[t]), Outcome(o).String())
		}),
		messages: m.newMessages(name),
		rate:     m.rate.WithLabelValues(name), rateCeiling: m.rateCeiling.WithLabelValues(name),
		duplicates: m.duplicates.WithLabelValues(name),
		polled:     m.polled.WithLabelValues(name),
		lossy:      m.lossy.WithLabelValues(name),
		recipients: newChoice(resultLabels(), m.recipients.MustCurryWith(of).WithLabelValues),
		calls:      newChoice(callReasons(), m.calls.MustCurryWith(of).WithLabelValues),
		reads:      newChoice(readReasons(), m.reads.MustCurryWith(of).WithLabelValues),
		lookups:    newChoice(lookupLabels(), m.lookups.MustCurryWith(of).WithLabelValues),
		circuit:    newChoice(circuitLabels(), m.circuit.MustCurryWith(of).WithLabelValues),
		learned:    newChoice(learnedResults(), m.gatewayLearned.MustCurryWith(of).WithLabelValues),
	}
}

// newMessages counts pairs of status and class that Sinch's tables do not hold under the class other.
func (m *Metrics) newMessages(name string) *grid[prometheus.Counter] {
	statuses, classes := statusLabels(), dlr.Classes()
	pairs := usual()
	return newGrid(len(statuses), len(classes), func(s, c int) prometheus.Counter {
		class := classes[c]
		if !slices.Contains(pairs[statuses[s]], class) {
			class = dlr.ClassOther
		}
		return m.messages.WithLabelValues(name, string(statuses[s]), string(class))
	})
}

// exist makes what is possible of p exist at zero.
func (m *Metrics) exist(p *plan) {
	for t, i := range m.types {
		for o := range outcomes {
			if o.possible(t) {
				p.callbacks.at(i, int(o))
			}
		}
	}
	for status, classes := range usual() {
		for _, class := range classes {
			p.messages.at(m.statuses.of(status), m.classes.of(class))
		}
	}
	p.recipients.exist()
	p.calls.exist()
	p.reads.exist()
	p.lookups.exist()
	p.circuit.exist()
	p.circuit.of("closed").Set(1)
	p.learned.exist()
}
