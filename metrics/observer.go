package metrics

import (
	"time"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// Observer returns what a store tells its doings to.
func (m *Metrics) Observer() store.Observer {
	return store.Observer{
		Committed: func(arrivals, _ int, took time.Duration, err error) {
			if err == nil {
				m.commitSize.Observe(float64(arrivals))
				m.commitSeconds.Observe(took.Seconds())
			}
		},
		Folded: func(changes []store.Changes) {
			for i := range changes {
				m.folded(&changes[i])
			}
		},
		Failed:  func(operation string, _ error) { pick(m.errors, operation).Inc() },
		Evicted: func(entries int) { m.evicted.Add(float64(entries)) },
		Expired: func(plan string, _, dead int) { m.plan(plan).expired.Add(float64(dead)) },
	}
}

func (m *Metrics) folded(c *store.Changes) {
	p := m.plan(c.Plan)
	p.duplicates.Add(float64(c.Duplicates))
	p.earned.Add(float64(c.Earned))
	p.accepted.Add(float64(c.Accepted))
	p.buried.Add(float64(c.Buried))
	p.requeued.Add(float64(c.Requeued))
	for i := range c.Taken {
		m.taken(p, &c.Taken[i])
	}
}

func (m *Metrics) taken(p *plan, t *store.Taken) {
	if t.Messages > 0 {
		status, class := m.statuses.of(t.Status), m.classes.of(dlr.LookupCode(t.Code).Class)
		p.messages.at(status, class).Add(float64(t.Messages))
		if t.Source == store.FromPoll && t.Status.Final() {
			p.polled.Add(float64(t.Messages))
		}
	}
	if t.At.IsZero() {
		return // a batch report says nothing of when
	}
	if t.Source == store.FromCallback {
		m.lag.Observe(since(t.At, t.ReceivedAt))
	}
	if latency := m.latency[t.Status]; latency != nil && t.Messages > 0 && !t.SentAt.IsZero() {
		latency.Observe(since(t.SentAt, t.At))
	}
}

// since is the time from a to b in seconds. It is never below zero: the two may come from different clocks.
func since(a, b time.Time) float64 { return max(b.Sub(a).Seconds(), 0) }
