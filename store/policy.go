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
	Missing  Missing
}

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
