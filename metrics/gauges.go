package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dlrloop/dlrloop/store"
)

// sameEverywhere is appended to the help text of gauges that have the same value in all processes that share a store.
const sameEverywhere = " Replicas that share a store export the same: aggregate with max."

// Store registers the gauges that describe a store. Each scrape calls read once, so read must be cheap and safe for
// concurrent use. Store panics if it is called twice.
func (m *Metrics) Store(read func() store.Gauges) {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help+sameEverywhere, labels, nil)
	}
	m.registerer.MustRegister(&storeCollector{
		read: read, plans: m.names,
		tasks: desc("feedback_tasks", "Batches whose delivery feedback is owed (pending) or was given up (dead).",
			"plan", "state"),
		recipients: desc("feedback_task_recipients",
			"Recipients whose delivery feedback is owed (pending), was given up (dead), or is not wanted by the "+
				"batch (dropped).", "plan", "state"),
		oldestDue: desc("feedback_oldest_due_seconds",
			"How long the oldest due task of the plan has been due; 0 if no task is due.", "plan"),
		missing: desc("messages_missing",
			"Messages whose final status is still expected. Only batches that requested delivery reports and whose "+
				"number of messages is known count, until Sinch has no more reports for them.", "plan"),
		size: desc("store_size_bytes", "Size of the store."),
		free: desc("store_free_bytes",
			"Free space within the store's size, which will be reused. Always 0 for PostgreSQL, which does not report it."),
		entries:  desc("quarantine_entries", "Callbacks in quarantine: authentic but not understood, kept raw."),
		unfolded: desc("store_unfolded_arrivals", "Arrivals that are durable but not yet applied to the state."),
		replicas: desc("store_replicas", "Replicas that currently share the store. Only for a store that can be shared."),
		replica: prometheus.NewDesc(prometheus.BuildFQName(namespace, "", "replica_info"),
			"Always 1; the label identifies this replica. Only for a store that can be shared.", []string{"replica"}, nil),
		leader: prometheus.NewDesc(prometheus.BuildFQName(namespace, "", "leader_lease_held"),
			"1 while this replica holds the leader lease named by the label, else 0. Only for a store that can be shared.",
			[]string{"lease"}, nil),
	})
}

// storeCollector is a prometheus.Collector that computes the gauges about the store at each scrape.
type storeCollector struct {
	read                          func() store.Gauges
	plans                         []string
	tasks, recipients, oldestDue  *prometheus.Desc
	missing                       *prometheus.Desc
	size, free, entries, unfolded *prometheus.Desc
	replicas, replica, leader     *prometheus.Desc
}

// Describe implements prometheus.Collector. It sends the descriptions of all gauges about the store.
func (s *storeCollector) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		s.tasks, s.recipients, s.oldestDue, s.missing, s.size, s.free, s.entries, s.unfolded, s.replicas, s.replica, s.leader,
	} {
		descs <- d
	}
}

// Collect implements prometheus.Collector. It reads the store's gauges once and sends them as metrics.
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
		send(s.missing, float64(p.Missing), name)
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
	for _, lease := range store.LeaderLeases() {
		held := 0.0
		if g.Leaders[lease] == g.Replica {
			held = 1
		}
		send(s.leader, held, lease)
	}
}

// byPlan returns the gauges of each service plan, by the value of the label plan. Every configured plan has an entry.
// The entry "other" is the sum over all plans that are not configured; it is missing if all their gauges are zero.
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
