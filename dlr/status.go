package dlr

import "strings"

// Status is a message's status in Sinch's spelling (Delivered). A status that this package does not know is kept as it
// came.
type Status string

// The documented statuses. Queued and Dispatched are intermediate, all others final.
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

// Other is the name under which metrics and counts hold every status that is not documented.
const Other Status = "other"

// statuses is ordered by rank: of two reports that agree in everything else, the later entry's status wins.
var statuses = [...]Status{Queued, Dispatched, Unknown, Expired, Deleted, Cancelled, Aborted, Rejected, Failed, Delivered}

// Statuses returns the documented statuses, intermediate ones first. The slice is the caller's.
func Statuses() []Status {
	return append([]Status(nil), statuses[:]...)
}

// ParseStatus returns the documented status that s spells in any case, with one l or two in Cancelled; anything else is
// returned as it came, without surrounding space.
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

// Known reports whether s is a documented status.
func (s Status) Known() bool { return s.rank() > 0 }

// Final reports whether Sinch documents s as the end of a message. An undocumented status counts as intermediate: it can
// then never undo a final one.
func (s Status) Final() bool { return s.rank() > 2 }

// Label returns s, or Other for a status that is not documented: a closed set, fit for a metric's label.
func (s Status) Label() Status {
	if s.Known() {
		return s
	}
	return Other
}

// rank is the place of s in statuses, from 1; 0 for an undocumented status.
func (s Status) rank() int {
	for i, known := range statuses {
		if s == known {
			return i + 1
		}
	}
	return 0
}
