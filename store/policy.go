package store

import "time"

// On selects the event after which dlrloop sends delivery feedback for a recipient (feedback.on in the configuration).
type On string

// The values of On, each with the event after which dlrloop sends feedback. The empty string means OnDelivered.
const (
	OnDelivered On = "delivered" // a report with status Delivered, or the application's confirmation
	OnConfirmed On = "confirmed" // only the application's confirmation
	OnBoth      On = "both"      // the same as OnDelivered
	OnOff       On = "off"       // nothing
)

// Policy holds a plan's settings for sending feedback and for fetching missing reports. The zero value sends feedback
// without delay, after the events of OnDelivered, and never fetches missing reports.
type Policy struct {
	On       On            // what earns a recipient feedback
	Coalesce time.Duration // how long a new task collects recipients before it is due
	// MaxWait is the longest delay between two attempts. A task due later than that is due now, because its time came
	// from a clock that has since been set back. Zero means no limit.
	MaxWait        time.Duration
	MissingReports MissingReports // when missing reports are fetched
	Events         bool           // store the events that follow from arrivals
	KeepCallbacks  bool           // also store the callbacks in events; ignored without Events
}

// MaxRetryAfter is the longest wait after Sinch answers 429, even if the Retry-After header asks for more.
const MaxRetryAfter = time.Hour

// Horizon returns the latest credible due time of a feedback task at the time now. A later Task.Due comes from a wrong
// clock. If MaxWait is 0, Horizon returns the last day of the year 9999.
func (p Policy) Horizon(now time.Time) time.Time {
	if p.MaxWait <= 0 {
		return farFuture
	}
	return now.Add(max(p.MaxWait, p.Coalesce) + MaxAhead) // MaxAhead: the clocks of replicas may differ
}

// farFuture is what Policy.Horizon returns if MaxWait is 0. Every store can store this time.
var farFuture = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)

// Policies returns the settings of the service plan with this id. It must be safe for concurrent use. If a store
// repeats a failed fold (the update of the rows), it must return the same settings as before.
type Policies func(plan string) Policy
