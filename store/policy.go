package store

import "time"

// On says what earns a recipient delivery feedback (feedback.on in the configuration).
type On string

// The values of On. Each comment says what earns feedback. The empty string means OnDelivered.
const (
	OnDelivered On = "delivered" // a report with status Delivered, or the application's confirmation
	OnConfirmed On = "confirmed" // only the application's confirmation
	OnBoth      On = "both"      // the same as OnDelivered
	OnOff       On = "off"       // nothing
)

// Policy holds the settings of a plan that decide which feedback is sent, and when missing reports are fetched. With
// the zero value, a report with status Delivered earns feedback, a task is due at once, and no report is fetched.
type Policy struct {
	On       On            // what earns a recipient feedback
	Coalesce time.Duration // how long a new task collects recipients before it is due
	// MaxWait is the longest delay between two attempts. A task due later than that is due now, because its time came
	// from a clock that has since been set back. Zero means no limit.
	MaxWait        time.Duration
	MissingReports MissingReports // when missing reports are fetched
}

// MaxRetryAfter is the longest Retry-After that dlrloop honors when Sinch answers 429.
const MaxRetryAfter = time.Hour

// Horizon returns a time later than every Task.Due that a correct clock can have set by now, with MaxAhead for the
// difference between the replicas' clocks. A Due after Horizon comes from a clock that has since been set back. Without
// MaxWait, Horizon returns the end of the year 9999.
func (p Policy) Horizon(now time.Time) time.Time {
	if p.MaxWait <= 0 {
		return farFuture
	}
	return now.Add(max(p.MaxWait, p.Coalesce) + MaxAhead)
}

// farFuture is what Policy.Horizon returns without MaxWait. Every store can store this time.
var farFuture = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)

// Policies returns the policy of the plan with this id. It must be safe for concurrent use. It must return the same
// policy whenever the same arrivals are folded (applied to the rows), so that the result is the same.
type Policies func(plan string) Policy
