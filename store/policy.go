package store

import "time"

// On selects what makes dlrloop send delivery feedback for a recipient (feedback.on in the configuration).
type On string

// The values of On, each with what earns a recipient feedback. The empty string means OnDelivered.
const (
	OnDelivered On = "delivered" // a report with status Delivered, or the application's confirmation
	OnConfirmed On = "confirmed" // only the application's confirmation
	OnBoth      On = "both"      // the same as OnDelivered
	OnOff       On = "off"       // nothing
)

// Policy holds the settings of a plan that decide which feedback is sent, and when missing reports are fetched. In the
// zero value, On means OnDelivered, a task is due at once, and missing reports are never fetched.
type Policy struct {
	On       On            // what earns a recipient feedback
	Coalesce time.Duration // how long a new task collects recipients before it is due
	// MaxWait is the longest delay between two attempts. A task due later than that is due now, because its time came
	// from a clock that has since been set back. Zero means no limit.
	MaxWait        time.Duration
	MissingReports MissingReports // when missing reports are fetched
}

// MaxRetryAfter is the longest time that dlrloop waits when Sinch answers 429. A longer Retry-After counts as this.
const MaxRetryAfter = time.Hour

// Horizon returns the latest plausible Task.Due at the time now; it allows MaxAhead for the difference between the
// replicas' clocks. A later Due was set by a clock that was ahead and has since been set back. If MaxWait is 0, Horizon
// returns the last day of the year 9999.
func (p Policy) Horizon(now time.Time) time.Time {
	if p.MaxWait <= 0 {
		return farFuture
	}
	return now.Add(max(p.MaxWait, p.Coalesce) + MaxAhead)
}

// farFuture is what Policy.Horizon returns if MaxWait is 0. Every store can store this time.
var farFuture = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)

// Policies returns the policy of the service plan with this id. It must be safe for concurrent use. If the same
// arrivals are folded (applied to the rows) again, it must return the same policy, so that the result is the same.
type Policies func(plan string) Policy
