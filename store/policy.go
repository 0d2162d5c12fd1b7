package store

import "time"

// On says what earns a recipient its delivery feedback.
type On string

// The policies.
const (
	OnDelivered On = "delivered" // its own report says Delivered, or the application confirms it
	OnConfirmed On = "confirmed" // only the application's confirmation
	OnBoth      On = "both"      // as delivered, said outright
	OnOff       On = "off"       // nothing
)

// Policy is how a plan's feedback is earned. The zero value is OnDelivered without waiting.
type Policy struct {
	On       On
	Coalesce time.Duration // how long a task waits to gather recipients before it is due
	// MaxWait is the longest that an attempt puts a task off. A task that is due later was given its time by a clock that
	// has been set back since: it is due. Zero is no bound.
	MaxWait time.Duration
	Missing Missing
}

// MaxRetryAfter is the longest Retry-After that is honoured with a 429.
const MaxRetryAfter = time.Hour

// Horizon is after every due time that a clock which shows now can have given to a task of the plan. It leaves MaxAhead for
// what the clocks of replicas differ.
func (p Policy) Horizon(now time.Time) time.Time {
	if p.MaxWait <= 0 {
		return never
	}
	return now.Add(max(p.MaxWait, p.Coalesce) + MaxAhead)
}

// never is a time that every store can keep and that does not come.
var never = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)

// Horizon is after every time to ask after a batch that was sent before now.
func (m Missing) Horizon(now time.Time) time.Time { return now.Add(m.Silence<<maxSilence + MaxAhead) }

// Missing says when the reports of a batch count as missing, so that Sinch is asked after it.
type Missing struct {
	// Silence is how long no report came; it doubles with each time that Sinch was asked in vain, up to 32 times. Zero: Sinch is never asked.
	Silence time.Duration
	// Grace is how long after its expiry the last reports of a batch may take.
	Grace time.Duration
}

// earnsOnDelivered reports whether a report that says Delivered earns feedback.
func (p Policy) earnsOnDelivered() bool { return p.On == "" || p.On == OnDelivered || p.On == OnBoth }

// Policies gives the policy of each plan. It must not change between two calls for the same arrivals.
type Policies func(plan string) Policy
