package relay

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/dlrloop/dlrloop/sinch"
)

// Config says which plans are relayed.
type Config struct {
	Plans []Plan
	// Rand gives numbers in [0, 1) that spread the retries, to any number of goroutines. Nil means math/rand/v2.
	Rand func() float64
}

// Plan is how the feedback of one plan is relayed. ID and Client are required; zero members get the defaults.
type Plan struct {
	ID     string
	Client *sinch.Client

	// AllWanted says that every batch of the plan wants feedback unless it is known not to: no batch is looked up before its
	// feedback is sent.
	AllWanted bool
	Workers   int // most tasks in work of one replica; default 64
	// Rate is the most calls a second, of all replicas that share the store; default 2000. The rate starts there, halves when
	// Sinch answers 429 or 5xx or in no time, and recovers.
	Rate         float64
	PollInterval time.Duration // how often the store is asked for due tasks; default 250 ms
	// Lease is how long a claimed task belongs to its worker; default 60 s. Calls get three quarters of it, the rest is for
	// settling.
	Lease     time.Duration
	CallGrace time.Duration // what a call in flight gets when the relay stops; default 5 s
	GiveUp    time.Duration // a task that fails is dead once the oldest thing it owes is older; default 72 h
	Backoff   Backoff
	Circuit   Circuit
}

// Backoff spaces the attempts of one task: after n failures it waits a random time of up to Base·2ⁿ, at most Cap. Cap is
// also how long a plan pauses when Sinch refuses its credentials.
type Backoff struct {
	Base time.Duration // default 1 s
	Cap  time.Duration // default 10 min
}

// Circuit stops the calls of a plan while Sinch cannot be reached: no task is claimed, so none spends attempts.
type Circuit struct {
	Failures int           // consecutive ones that open it; default 5
	Open     time.Duration // how long it stays open before one call may try again; default 30 s
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
		return fmt.Errorf("rate: %g calls a second; use a number up to %g", p.Rate, float64(maxRate))
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

// maxRate is more calls than any plan has.
const maxRate = 10_000

func (p Plan) withDefaults() Plan {
	// Enough for 1000 calls a second to a Sinch that answers in some milliseconds.
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
