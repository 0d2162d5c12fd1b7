package store

import "time"

// On selects what earns a recipient delivery feedback (feedback.on in the configuration).
type On string

// The values of On.
const (
	OnDelivered On = "delivered" // a report with status Delivered, or the application's confirmation
	OnConfirmed On = "confirmed" // only the application's confirmation
	OnBoth      On = "both"      // the same as OnDelivered
	OnOff       On = "off"       // nothing
)

// Policy holds the feedback and reconcile settings of a plan. The zero value is OnDelivered without waiting, and
// nothing is fetched.
type Policy struct {
	On       On
	Coalesce time.Duration // how long a new task gathers recipients before it is due
	// MaxWait is the longest delay between two attempts. A task due later than that is due now, because its time came
	// from a clock that has since been set back. Zero means no limit.
	MaxWait        time.Duration
	MissingReports MissingReports
}

// MaxRetryAfter is the longest Retry-After that dlrloop honors in a 429.
const MaxRetryAfter = time.Hour

// Horizon returns a time after every due time that a correct clock can have given to a task of the plan by now. It
// adds MaxAhead for the difference between the replicas' clocks.
func (p Policy) Horizon(now time.Time) time.Time {
	if p.MaxWait <= 0 {
		return farFuture
	}
	return now.Add(max(p.MaxWait, p.Coalesce) + MaxAhead)
}

// farFuture is in the far future and inside the range of every store.
var farFuture = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)

// Policies returns the policy of a plan. It must return the same policy while the same arrivals are folded.
type Policies func(plan string) Policy
