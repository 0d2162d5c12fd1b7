package server

import (
	"context"
	"time"

	"github.com/dlrloop/dlrloop/config"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/boltstore"
	"github.com/dlrloop/dlrloop/store/commit"
	"github.com/dlrloop/dlrloop/store/pgstore"
)

// openStore opens the configured store, on disk or in PostgreSQL. replica is the name of this process among those that
// share a store. The store reports commits, changes and failures to o. The caller must close it.
func openStore(ctx context.Context, c *config.Config, replica string, o store.Observer) (store.Store, error) {
	if c.Store.Driver == config.DriverPostgres {
		return pgstore.Open(ctx, postgresOf(c, replica, o))
	}
	m := sharesOf(c)
	return boltstore.Open(ctx, boltstore.Config{
		Path: c.Store.Path, Policies: policiesOf(c), Observer: o,
		Committer: commit.Config{QueueBytes: m.queue}, BacklogBytes: m.backlog, StepBytes: m.step,
	})
}

func postgresOf(c *config.Config, replica string, o store.Observer) pgstore.Config {
	m := sharesOf(c)
	return pgstore.Config{
		URL: c.Store.URL.Reveal(), Policies: policiesOf(c), Observer: o,
		PoolSize: c.Store.PoolSize, Slots: c.Store.Slots, Dialect: c.Store.Dialect, Replica: replica,
		Memory:    m.queue + m.backlog + m.step,
		NoMigrate: !c.Store.Migrate, StatementTimeout: time.Duration(c.Store.StatementTimeout),
	}
}

func policiesOf(c *config.Config) store.Policies {
	policies := make(map[string]store.Policy, len(c.Plans))
	for _, p := range c.Plans {
		policies[p.ID] = policyOf(c, p)
	}
	return func(plan string) store.Policy { return policies[plan] }
}

// policyOf returns the store's policy for a service plan: for which reports dlrloop sends feedback, when a report
// counts as missing, and whether events are stored. If the plan has no credentials to fetch reports from Sinch, no
// report counts as missing.
func policyOf(c *config.Config, p config.Plan) store.Policy {
	policy := store.Policy{On: p.Feedback.On, Coalesce: time.Duration(p.Feedback.Coalesce), Events: c.Events.Keep > 0}
	policy.MaxWait = max(time.Duration(p.Feedback.Backoff.Cap), store.MaxRetryAfter)
	if p.Callable() {
		policy.MissingReports = store.MissingReports{
			Silence: time.Duration(p.Reconcile.Silence),
			Grace:   time.Duration(p.Reconcile.Grace),
		}
	}
	destinationPolicy(c, p.ID, &policy)
	return policy
}

// Migrate brings the schema of the PostgreSQL database to the version of this program, even if store.migrate is false.
// It returns the versions before and after. If distribute is true, it then distributes the tables over the workers of a
// Citus cluster.
func Migrate(ctx context.Context, c *config.Config, distribute bool) (from, to int64, err error) {
	return pgstore.Migrate(ctx, postgresOf(c, replicaOf(c), store.Observer{}), distribute)
}
