package metrics

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// plan has the series of one plan, found once: counting a report hashes no label.
type plan struct {
	callbacks *grid // type, outcome
	messages  *grid // status, code class

	duplicates, polled, lossy                   prometheus.Counter
	earned, accepted, buried, requeued, expired prometheus.Counter

	calls   map[store.Reason]prometheus.Counter
	reads   map[store.Reason]prometheus.Counter
	lookups map[string]prometheus.Counter
	circuit map[string]prometheus.Gauge
	gateway gatewaySeries
}

func (m *Metrics) newPlan(name string) *plan {
	types, statuses, classes := typeLabels(), statusLabels(), dlr.Classes()
	of := prometheus.Labels{"plan": name}
	results := byLabel(resultLabels(), m.recipients.MustCurryWith(of).WithLabelValues)
	p := &plan{
		callbacks: newGrid(len(types), int(outcomes), func(t, o int) prometheus.Counter {
			return m.callbacks.WithLabelValues(name, string(types[t]), Outcome(o).String())
		}),
		messages: newGrid(len(statuses), len(classes), func(s, c int) prometheus.Counter {
			return m.messages.WithLabelValues(name, string(statuses[s]), string(classes[c]))
		}),
		duplicates: m.duplicates.WithLabelValues(name),
		polled:     m.polled.WithLabelValues(name),
		lossy:      m.lossy.WithLabelValues(name),
		earned:     results["earned"], accepted: results["accepted"], buried: results["dead"], requeued: results["requeued"], expired: results["expired"],
		calls:   byLabel(reasonLabels(), m.calls.MustCurryWith(of).WithLabelValues),
		reads:   byLabel(reasonLabels(), m.reads.MustCurryWith(of).WithLabelValues),
		lookups: byLabel(lookupLabels(), m.lookups.MustCurryWith(of).WithLabelValues),
		circuit: byLabel(circuitLabels(), m.circuit.MustCurryWith(of).WithLabelValues),
		gateway: m.newGatewaySeries(name),
	}
	p.circuit["closed"].Set(1)
	return p
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
	m.existGateway(p.gateway)
	for status, classes := range usual() {
		for _, class := range classes {
			p.messages.at(m.statuses.of(status), m.classes.of(class))
		}
	}
}

// grid finds counters by two labels. Each exists from its first use on.
type grid struct {
	columns int
	cells   []atomic.Pointer[prometheus.Counter]
	create  func(row, column int) prometheus.Counter // returns the same counter when called again
}

func newGrid(rows, columns int, create func(row, column int) prometheus.Counter) *grid {
	return &grid{columns: columns, cells: make([]atomic.Pointer[prometheus.Counter], rows*columns), create: create}
}

func (g *grid) at(row, column int) prometheus.Counter {
	cell := &g.cells[row*g.columns+column]
	if c := cell.Load(); c != nil {
		return *c
	}
	c := g.create(row, column)
	cell.Store(&c)
	return c
}

// index numbers the values of a closed set, which has other among them.
type index[T ~string] map[T]int

func indexOf[T ~string](values []T) index[T] {
	x := make(index[T], len(values))
	for i, v := range values {
		x[v] = i
	}
	return x
}

func (x index[T]) of(v T) int {
	if i, known := x[v]; known {
		return i
	}
	return x[other]
}

// byLabel finds one series for each value of a closed set.
func byLabel[T ~string, S any](values []T, find func(labels ...string) S) map[T]S {
	found := make(map[T]S, len(values))
	for _, v := range values {
		found[v] = find(string(v))
	}
	return found
}

// pick returns the series of a value, or that of other.
func pick[T ~string, S any](series map[T]S, v T) S {
	if s, known := series[v]; known {
		return s
	}
	return series[other]
}
