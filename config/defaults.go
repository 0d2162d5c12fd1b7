package config

import (
	"time"

	"github.com/dlrloop/dlrloop/handlers/webhook"
	"github.com/dlrloop/dlrloop/relay"
	"github.com/dlrloop/dlrloop/relay/destinations"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/pgstore"
)

// Default returns a new configuration with the default of every value. It is incomplete, because it has no plan.
// Memory.Limit and Public.Memory are 0; Load replaces them by values that suit the memory of the machine.
func Default() *Config {
	return &Config{
		Public: Public{
			Listen:         ":8080",
			MaxBody:        16 << 20,
			MaxConnections: 2048,
		},
		Private: Private{Listen: "127.0.0.1:8081"},
		Gateway: Gateway{MaxBody: 2 << 20},
		Store: Store{
			Driver:           DriverBolt,
			Path:             "data",
			Dialect:          pgstore.Postgres,
			PoolSize:         12,
			Slots:            32,
			Migrate:          true,
			StatementTimeout: Duration(30 * time.Second),
			Retention:        Duration(30 * 24 * time.Hour),
		},
		Inbound:         Inbound{Keep: true},
		Events:          Events{Keep: Duration(24 * time.Hour)},
		Log:             Log{Level: "info", Format: FormatAuto},
		ShutdownTimeout: Duration(25 * time.Second),
	}
}

// DefaultDestination returns a destination with the default of every value that has one. It has no name and no URL.
func DefaultDestination() Destination {
	d := destinations.Destination{}.WithDefaults()
	return Destination{
		Format: d.Format, MaxEvents: d.MaxEvents, Ordered: true, Timeout: Duration(d.Timeout), Workers: d.Workers,
		Backoff: Backoff{Base: Duration(d.Backoff.Base), Cap: Duration(d.Backoff.Cap)},
		GiveUp:  Duration(d.GiveUp), MaxPending: d.MaxPending,
	}
}

// DefaultPlan returns a plan with the default of every value that has one. It has no id and no credentials.
func DefaultPlan() Plan {
	backoff := relay.Backoff{}.WithDefaults()
	return Plan{
		Webhook: Webhook{Auth: Auth{OnFailure: webhook.RetryOnFailure}},
		Feedback: Feedback{
			On:       store.OnDelivered,
			Batches:  KnownBatches,
			Coalesce: Duration(time.Second),
			Workers:  64,
			Rate:     2000,
			GiveUp:   Duration(72 * time.Hour),
			Backoff:  Backoff{Base: Duration(backoff.Base), Cap: Duration(backoff.Cap)},
			Timeout:  Duration(10 * time.Second),
		},
		Gateway:   PlanGateway{Token: CallerToken},
		Reconcile: Reconcile{Silence: Duration(time.Hour), Grace: Duration(10 * time.Minute), Rate: 1},
	}
}
