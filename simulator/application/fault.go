package application

import (
	"net/http"
	"time"

	"github.com/dlrloop/dlrloop/simulator/random"
)

// Fault is a way in which the application deliberately fails to answer a request with 2xx, such as an answer 500.
type Fault string

// The values of Fault. After LostAnswer, the application has accepted the events of the request; after any other fault,
// it has not.
const (
	ServerError   Fault = "500"
	RateLimited   Fault = "429"      // with Retry-After in seconds
	RateLimitedAt Fault = "429_date" // with Retry-After as a date
	NotFound      Fault = "404"
	Moved         Fault = "301"
	Hang          Fault = "hang"        // no answer until the client gives up or the mode is set
	Reset         Fault = "reset"       // the connection is reset
	LostAnswer    Fault = "lost_answer" // the events are accepted, but the connection is reset
)

// Faults returns all values of Fault, in a new slice.
func Faults() []Fault {
	return []Fault{ServerError, RateLimited, RateLimitedAt, NotFound, Moved, Hang, Reset, LostAnswer}
}

// status returns the HTTP status that f answers, or 0 if f gives no answer.
func (f Fault) status() int {
	switch f {
	case ServerError:
		return http.StatusInternalServerError
	case RateLimited, RateLimitedAt:
		return http.StatusTooManyRequests
	case NotFound:
		return http.StatusNotFound
	case Moved:
		return http.StatusMovedPermanently
	default:
		return 0
	}
}

// setHeader sets the headers in h that belong to the answer of f: Retry-After for a 429, Location for a redirect, and
// none for other faults.
func (f Fault) setHeader(h http.Header, now time.Time) {
	switch f {
	case RateLimited:
		h.Set("Retry-After", "1")
	case RateLimitedAt:
		// A date has whole seconds, so two seconds from now is a wait of at least one.
		h.Set("Retry-After", now.Add(2*time.Second).UTC().Format(http.TimeFormat))
	case Moved:
		h.Set("Location", "/moved")
	}
}

// faultFor returns the fault for the next attempt of a delivery, or "" for none, and counts the attempt. delivery is
// the id that all attempts of the delivery have in common. The caller must hold a.mu.
func (a *Application) faultFor(delivery string) Fault {
	if a.config.FaultRate == 0 {
		return ""
	}
	if len(a.attempts) >= a.config.MaxEvents {
		clear(a.attempts) // a bound on the memory: later attempts count as first ones
	}
	of := random.Subject{Recipient: delivery, Turn: a.attempts[delivery]}
	a.attempts[delivery]++
	if a.random.Float64("application fails", of) >= a.config.FaultRate {
		return ""
	}
	all := Faults()
	f := all[a.random.Uint64("application fault", of)%uint64(len(all))]
	a.ledger.Faults[f]++
	return f
}
