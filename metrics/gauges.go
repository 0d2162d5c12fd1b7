package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dlrloop/dlrloop/store"
)

// sameEverywhere ends the help of what every replica on the same store exports alike.
const sameEverywhere = " Replicas that share a store export the same: aggregate with max."

// Store registers the figures of a store, which read is asked for at each scrape. It may be called once.
func (m *Metrics) Store(read func() store.Gauges) {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help+sameEverywhere, labels, nil)
	}
	m.registerer.MustRegister(&storeCollector{
		read: read, plans: m.names,
		tasks: desc("feedback_tasks", "Batches whose delivery feedback is owed (pending) or was given up (dead).", "plan", "state"),
		recipients: desc("feedback_task_recipients",
			"Recipients whose delivery feedback is owed (pending), was given up (dead), or is not wanted by their batch (dropped).", "plan", "state"),
		oldestDue: desc("feedback_oldest_due_seconds", "How long the plan's oldest due task has been due; 0 when none is.", "plan"),
		awaited: desc("messages_awaited",
			"Messages whose final status is still expected: those of batches that are known to have reports asked for, as far as their number is known, until Sinch has said all it will.", "plan"),
		size:     desc("store_size_bytes", "Size of the store."),
		free:     desc("store_free_bytes", "What of the store's size is free and will be used again. PostgreSQL does not say: there it is 0."),
		entries:  desc("quarantine_entries", "Callbacks in quarantine: authentic, not understood, kept raw."),
		unfolded: desc("store_unfolded_arrivals", "Arrivals that are durable and not yet part of the state."),
		replicas: desc("store_replicas", "Replicas that share the store now. Only of a store that can be shared."),
		replica: prometheus.NewDesc(prometheus.BuildFQName(namespace, "", "replica_info"),
			"Always 1; the label says which of the replicas that share a store this is. Only of a store that can be shared.", []string{"replica"}, nil),
		duty: prometheus.NewDesc(prometheus.BuildFQName(namespace, "", "duty_held"),
			"1 while this replica does for all that share the store what one does for all, else 0. Only of a store that can be shared.", []string{"duty"}, nil),
	})
}

// storeCollector asks a store for its figures at each scrape.
type storeCollector struct {
	read                          func() store.Gauges
	plans                         []string
	tasks, recipients, oldestDue  *prometheus.Desc
	awaited                       *prometheus.Desc
	size, free, entries, unfolded *prometheus.Desc
	replicas, replica, duty       *prometheus.Desc
}

// Describe sends what Collect can send.
func (s *storeCollector) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		s.tasks, s.recipients, s.oldestDue, s.awaited, s.size, s.free, s.entries, s.unfolded, s.replicas, s.replica, s.duty,
	} {
		descs <- d
	}
}

// Collect sends the figures as of now.
func (s *storeCollector) Collect(metrics chan<- prometheus.Metric) {
	send := func(d *prometheus.Desc, value float64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	g, now := s.read(), time.Now()
	for name, p := range s.byPlan(g) {
		send(s.tasks, float64(p.PendingTasks), name, "pending")
		send(s.tasks, float64(p.DeadTasks), name, "dead")
		send(s.recipients, float64(p.Owed), name, "pending")
		send(s.recipients, float64(p.Dead), name, "dead")
		send(s.recipients, float64(p.Dropped), name, "dropped")
		due := 0.0
		if !p.OldestDue.IsZero() {
			due = since(p.OldestDue, now)
		}
		send(s.oldestDue, due, name)
		send(s.awaited, float64(p.Awaited), name)
	}
	send(s.size, float64(g.SizeBytes))
	send(s.free, float64(g.FreeBytes))
	send(s.entries, float64(g.QuarantineEntries))
	send(s.unfolded, float64(g.Unfolded))
	if g.Replica == "" {
		return
	}
	send(s.replicas, float64(len(g.Replicas)))
	send(s.replica, 1, g.Replica)
	for _, duty := range store.Duties() {
		held := 0.0
		if g.Duties[duty] == g.Replica {
			held = 1
		}
		send(s.duty, held, duty)
	}
}

// byPlan has every configured plan, and other with the sum of all that are not configured any more.
func (s *storeCollector) byPlan(g store.Gauges) map[string]store.PlanGauges {
	plans := make(map[string]store.PlanGauges, len(s.plans)+1)
	for _, name := range s.plans {
		plans[name] = g.Plans[name]
	}
	var rest store.PlanGauges
	for name, p := range g.Plans {
		if _, configured := plans[name]; configured || p == (store.PlanGauges{}) {
			continue
		}
		rest.Add(p.Tally)
		if rest.OldestDue.IsZero() || (!p.OldestDue.IsZero() && p.OldestDue.Before(rest.OldestDue)) {
			rest.OldestDue = p.OldestDue
		}
	}
	if rest != (store.PlanGauges{}) {
		plans[other] = rest
	}
	return plans
}
