package metrics

import (
	"time"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// Observer returns the functions by which a store reports commits, changes of batches, errors and deletions to the
// metrics. store.Observer says when the store must call each one. They are safe for concurrent use.
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
				m.countChanges(&changes[i])
			}
		},
		Failed:  func(operation string, _ error) { m.errors.get(operation).Inc() },
		Evicted: func(entries int) { m.evicted.Add(float64(entries)) },
		Deleted: func(plan string, _, dead int) { m.plan(plan).countFeedback(resultDeleted, dead) },
	}
}

func (m *Metrics) countChanges(c *store.Changes) {
	p := m.plan(c.Plan)
	p.duplicates.Add(float64(c.Duplicates))
	p.countFeedback(resultEarned, c.Earned)
	p.countFeedback(resultAccepted, c.Accepted)
	p.countFeedback(resultDead, c.Dead)
	p.countFeedback(resultRequeued, c.Requeued)
	for i := range c.Applied {
		m.countApplied(p, &c.Applied[i])
	}
}

// countFeedback adds a number of recipients to feedback_recipients_total. result says what happened to their delivery
// feedback, such as "accepted".
func (p *plan) countFeedback(result string, recipients int) {
	if recipients > 0 {
		p.recipients.get(result).Add(float64(recipients))
	}
}

func (m *Metrics) countApplied(p *plan, t *store.Applied) {
	final := m.finals[t.Status]
	if t.Messages > 0 {
		p.messages.get(message{t.Status, dlr.LookupCode(t.Code).Class}).Add(float64(t.Messages))
	}
	if final != nil && t.Messages > 0 {
		if t.Number != "" {
			m.routes.count(t.Number, final.result, t.Messages)
		}
		if t.Source == store.FromPoll {
			p.polled.Add(float64(t.Messages))
		}
	}
	if t.At.IsZero() {
		return // a batch report has no time
	}
	if t.Source == store.FromCallback {
		m.lag.Observe(since(t.At, t.ReceivedAt))
	}
	if !t.OperatorAt.IsZero() {
		m.operatorLag.Observe(since(t.OperatorAt, t.At))
	}
	if final != nil && t.Messages > 0 && !t.SentAt.IsZero() {
		final.latency.Observe(since(t.SentAt, t.At))
	}
}

// since returns the seconds from start to end. It returns 0 if end is earlier, since the two times may come from
// different clocks.
func since(start, end time.Time) float64 { return max(end.Sub(start).Seconds(), 0) }
