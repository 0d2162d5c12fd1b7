package relay

import (
	"cmp"
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/sony/gobreaker/v2"
)

// Circuit configures a circuit breaker: after several failures it refuses all calls for some time. A zero field means
// its default.
type Circuit struct {
	Failures int           // number of consecutive failures that open the circuit; default 5
	Open     time.Duration // how long the circuit stays open before one call may probe the other side; default 30 s
}

// WithDefaults returns a copy of c in which each zero field has its default.
func (c Circuit) WithDefaults() Circuit {
	return Circuit{Failures: cmp.Or(c.Failures, 5), Open: cmp.Or(c.Open, 30*time.Second)}
}

// CircuitBreaker is a circuit breaker for calls that return only an error: Execute makes a call, or returns an error
// for which CircuitRefused is true.
type CircuitBreaker = gobreaker.CircuitBreaker[struct{}]

// Breaker describes a circuit breaker: how it judges the results of calls, and what it exports and logs. All fields are
// required. Method New creates the breaker.
type Breaker struct {
	Failed  func(error) bool   // whether the result of a call is a failure
	Ignored func(error) bool   // whether the result of a call shows nothing
	Export  func(state string) // called with each state, first with closed: closed, half_open or open
	Log     *slog.Logger
	Message string // of the log line for each change of the state
}

// New returns a circuit breaker that is closed, so that it lets calls through. It opens and closes as c says, both of
// whose fields must be set, for example by WithDefaults. The functions of b judge its calls and export its state.
func (b Breaker) New(c Circuit) *CircuitBreaker {
	name := func(s gobreaker.State) string { return strings.ReplaceAll(s.String(), "-", "_") }
	b.Export(name(gobreaker.StateClosed))
	return gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Timeout:      c.Open,
		ReadyToTrip:  func(n gobreaker.Counts) bool { return n.ConsecutiveFailures >= uint32(c.Failures) },
		IsSuccessful: func(err error) bool { return !b.Failed(err) },
		IsExcluded:   b.Ignored,
		OnStateChange: func(_ string, from, to gobreaker.State) {
			b.Export(name(to))
			level := slog.LevelInfo
			if to == gobreaker.StateOpen {
				level = slog.LevelWarn
			}
			b.Log.Log(context.Background(), level, b.Message, "from", name(from), "to", name(to))
		},
	})
}
