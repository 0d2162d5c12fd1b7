package dlr

import "strings"

// Status is the status of a message in Sinch's spelling, such as Delivered. An undocumented status is kept as received.
// The empty Status stands for a missing status.
type Status string

// The statuses that Sinch documents, as they appear in reports, in the API and in the metric label status. Queued and
// Dispatched are intermediate, all others final.
const (
	Queued     Status = "Queued"
	Dispatched Status = "Dispatched"
	Delivered  Status = "Delivered"
	Failed     Status = "Failed"
	Rejected   Status = "Rejected"
	Aborted    Status = "Aborted"
	Expired    Status = "Expired"
	Cancelled  Status = "Cancelled"
	Deleted    Status = "Deleted"
	Unknown    Status = "Unknown"
)

// Other stands for any undocumented status in places that know only a fixed set of statuses, such as metric labels and
// counts.
const Other Status = "other"

// statuses lists the documented statuses in ascending rank: first the two intermediate ones, then the final ones. Of
// two states of a recipient that are otherwise equal, the state with the higher rank wins.
var statuses = [...]Status{
	Queued, Dispatched, Unknown, Expired, Deleted, Cancelled, Aborted, Rejected, Failed, Delivered,
}

// Statuses returns the documented statuses, intermediate ones first. The caller owns the slice.
func Statuses() []Status {
	return append([]Status(nil), statuses[:]...)
}

// ParseStatus returns the documented status that s spells, ignoring case and white space around it; Canceled counts as
// Cancelled. Any other text is returned as received, without the white space around it.
func ParseStatus(s string) Status {
	switch Status(s) {
	case Delivered:
		return Delivered
	case Dispatched:
		return Dispatched
	}
	s = strings.TrimSpace(s)
	for _, known := range statuses {
		if strings.EqualFold(s, string(known)) {
			return known
		}
	}
	if strings.EqualFold(s, "canceled") {
		return Cancelled
	}
	return Status(s)
}

// Known reports whether s is one of the statuses that Sinch documents, in exactly their spelling.
func (s Status) Known() bool { return s.rank() > 0 }

// Final reports whether s is a documented final status, which does not change any more. An undocumented status counts
// as intermediate, so that it cannot replace a final one.
func (s Status) Final() bool { return s.rank() > 2 }

// Label returns s as the value of a metric label: s itself if it is a documented status, else Other.
func (s Status) Label() Status {
	if s.Known() {
		return s
	}
	return Other
}

// rank returns the position of s, counted from 1, in the list of documented statuses. A final status has a higher rank
// than an intermediate one. The rank of an undocumented status is 0.
func (s Status) rank() int {
	for i, known := range statuses {
		if s == known {
			return i + 1
		}
	}
	return 0
}
