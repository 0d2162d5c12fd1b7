package relay

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/dlrloop/dlrloop/sinch"
)

// Config lists the plans whose feedback is relayed.
type Config struct {
	Plans []Plan
	// Rand returns random numbers in [0, 1) for the retry jitter. It must be safe for concurrent use. Nil means
	// math/rand/v2.
	Rand func() float64
}

// Plan configures the feedback of one plan. ID and Client are required; a zero field means its default.
type Plan struct {
	ID     string
	Client *sinch.Client

	// AllWanted treats a batch whose feedback flag is unknown as wanting feedback, so that it is not looked up before
	// its feedback is sent.
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
	Backoff   Backoff
	Circuit   Circuit
}

// Backoff spaces the attempts of one task: after n failures the task waits a random time of up to Base·2ⁿ, but at most
// Cap. A plan whose credentials Sinch refuses pauses for Cap.
type Backoff struct {
	Base time.Duration // default 1 s
	Cap  time.Duration // default 10 min
}

// Circuit configures the circuit breaker of a plan. While the circuit is open because Sinch is unreachable, no task is
// claimed, so no task uses up attempts.
type Circuit struct {
	Failures int           // number of consecutive failures that open the circuit; default 5
	Open     time.Duration // how long the circuit stays open before one call may probe Sinch; default 30 s
}

func (p Plan) check() error {
	switch {
	case p.ID == "":
		return errors.New("id: it is empty")
	case p.Client == nil:
		return errors.New("client: it is not set")
	case p.Workers < 0:
		return fmt.Errorf("workers: %d is negative", p.Workers)
	case !(p.Rate >= 0) || p.Rate > maxRate:
		return fmt.Errorf("rate: %g calls per second; use a number from 0 to %g", p.Rate, float64(maxRate))
	case p.Circuit.Failures < 0:
		return fmt.Errorf("circuit failures: %d is negative", p.Circuit.Failures)
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"poll interval", p.PollInterval},
		{"lease", p.Lease},
		{"call grace", p.CallGrace},
		{"give up", p.GiveUp},
		{"backoff base", p.Backoff.Base},
		{"backoff cap", p.Backoff.Cap},
		{"circuit open", p.Circuit.Open},
	} {
		if d.value < 0 {
			return fmt.Errorf("%s: %s is negative", d.name, d.value)
		}
	}
	if p = p.withDefaults(); p.Backoff.Cap < p.Backoff.Base {
		return fmt.Errorf("backoff cap: %s is less than the base %s", p.Backoff.Cap, p.Backoff.Base)
	}
	return nil
}

// maxRate is the largest Rate accepted, in calls per second: far more than any plan is allowed.
const maxRate = 10_000

func (p Plan) withDefaults() Plan {
	// 64 workers are enough for 1000 calls per second if Sinch answers within a few milliseconds.
	p.Workers = cmp.Or(p.Workers, 64)
	p.Rate = cmp.Or(p.Rate, 2000)
	p.PollInterval = cmp.Or(p.PollInterval, 250*time.Millisecond)
	p.Lease = cmp.Or(p.Lease, time.Minute)
	p.CallGrace = cmp.Or(p.CallGrace, 5*time.Second)
	p.GiveUp = cmp.Or(p.GiveUp, 72*time.Hour)
	p.Backoff.Base = cmp.Or(p.Backoff.Base, time.Second)
	p.Backoff.Cap = cmp.Or(p.Backoff.Cap, 10*time.Minute)
	p.Circuit.Failures = cmp.Or(p.Circuit.Failures, 5)
	p.Circuit.Open = cmp.Or(p.Circuit.Open, 30*time.Second)
	return p
}
