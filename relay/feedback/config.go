package feedback

import (
	"cmp"
	"fmt"
	"time"

	"github.com/dlrloop/dlrloop/relay"
	"github.com/dlrloop/dlrloop/sinch"
)

// Config configures a Relay: the service plans whose feedback it sends, and which fraction of each plan's calls per
// second (Plan.Rate) this process may make.
type Config struct {
	Plans []Plan
	// Rand returns random numbers in [0, 1) for the retry jitter. It must be safe for concurrent use. Nil means
	// math/rand/v2.
	Rand func() float64
	// QuotaShare returns this replica's fraction of each plan's Rate, 0 to 1. Nil means 1, for a single process. It
	// must not block.
	QuotaShare func() float64
}

// Plan configures the delivery feedback of one service plan. ID and Client are required; any other zero field means its
// default.
type Plan struct {
	ID     string
	Client *sinch.Client

	// AllWanted sends feedback for a batch without looking the batch up: an unknown feedback flag counts as wanted.
	AllWanted bool
	Workers   int // most tasks in progress on this replica; default 64
	// Rate is the most calls per second, over all replicas that share the store; default 2000. The rate starts at this
	// ceiling, halves when Sinch answers 429 or 5xx or times out, and recovers.
	Rate         float64
	PollInterval time.Duration // how often the store is polled for due tasks; default 250 ms
	// Lease is how long a claimed task belongs to its worker; default 60 s. Calls may use three quarters of it; the
	// rest is left for settling the task.
	Lease     time.Duration
	CallGrace time.Duration // how long a call in flight may continue after Run's context ends; default 5 s
	GiveUp    time.Duration // a failing task is dead once its oldest owed feedback is this old; default 72 h
	Backoff   relay.Backoff
	Circuit   relay.Circuit // opens when Sinch is unreachable or fails
}

// check returns an error that names the first invalid field, or nil if all fields are valid. Zero is valid except for
// ID and Client.
func (p Plan) check() error {
	if err := relay.CheckPlan(p.ID, p.Client, p.Rate, p.Backoff); err != nil {
		return err
	}
	switch {
	case p.Workers < 0:
		return fmt.Errorf("workers: %d is negative", p.Workers)
	case p.Circuit.Failures < 0:
		return fmt.Errorf("circuit failures: %d is negative", p.Circuit.Failures)
	}
	return relay.CheckDurations(
		relay.Duration{Name: "poll interval", Value: p.PollInterval},
		relay.Duration{Name: "lease", Value: p.Lease},
		relay.Duration{Name: "call grace", Value: p.CallGrace},
		relay.Duration{Name: "give up", Value: p.GiveUp},
		relay.Duration{Name: "circuit open", Value: p.Circuit.Open},
	)
}

func (p Plan) withDefaults() Plan {
	// 64 workers are enough for 1000 calls per second if Sinch answers within a few milliseconds.
	p.Workers = cmp.Or(p.Workers, 64)
	p.Rate = cmp.Or(p.Rate, 2000)
	p.PollInterval = cmp.Or(p.PollInterval, 250*time.Millisecond)
	p.Lease = cmp.Or(p.Lease, time.Minute)
	p.CallGrace = cmp.Or(p.CallGrace, 5*time.Second)
	p.GiveUp = cmp.Or(p.GiveUp, 72*time.Hour)
	p.Backoff = p.Backoff.WithDefaults()
	p.Circuit = p.Circuit.WithDefaults()
	return p
}
