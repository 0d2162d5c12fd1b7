package dlr

import (
	"cmp"
	"time"
)

// NoCode is the code of a report whose code is missing or not an integer.
const NoCode = -1

// State is the state of one recipient according to one report. Times are UTC, truncated to the millisecond. A time that
// the report lacks is zero; a batch report has no times.
type State struct {
	Status     Status
	Code       int       // NoCode if absent
	At         time.Time // when Sinch made the report
	OperatorAt time.Time // the time in the carrier's delivery receipt
}

// Time returns the time by which states are ordered: OperatorAt if set, else At. It is zero if neither is set.
func (s State) Time() time.Time {
	if s.OperatorAt.IsZero() {
		return s.At
	}
	return s.OperatorAt
}

// SameReport reports whether s and t come from the same report or from Sinch's repeats of it. Sinch's reports have no
// id, so the status, the code and At identify a report.
func (s State) SameReport(t State) bool {
	return s.Status == t.Status && s.Code == t.Code && s.At.Equal(t.At)
}

// Compare decides which of two states of a recipient wins, so that the store keeps it. The result is positive if s
// wins, negative if t wins, and zero only if both are equal. The order is total: the same reports lead to the same
// state in whatever order and however often they arrive. A final status wins over an intermediate one, since Sinch
// guarantees no order and Delivered may arrive before Dispatched. Otherwise the later Time wins, and any time wins over
// none. If the times are equal, Delivered wins over other final statuses, so that a report without a time cannot undo
// it. The other fields only make the order total.
func (s State) Compare(t State) int {
	if s.Status.Final() != t.Status.Final() {
		if s.Status.Final() {
			return 1
		}
		return -1
	}
	return cmp.Or(
		s.Time().Compare(t.Time()),
		cmp.Compare(s.Status.rank(), t.Status.rank()),
		s.At.Compare(t.At),
		s.OperatorAt.Compare(t.OperatorAt),
		cmp.Compare(s.Code, t.Code),
		cmp.Compare(s.Status, t.Status),
	)
}
