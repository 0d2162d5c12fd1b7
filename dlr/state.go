package dlr

import (
	"cmp"
	"time"
)

// NoCode stands for the code of a report whose code is missing or not an integer. All documented codes are 0 or
// greater.
const NoCode = -1

// State is the state of one recipient according to one report. Times are UTC, truncated to the millisecond. A time that
// the report lacks is zero; a batch report has no times.
type State struct {
	Status     Status
	Code       int       // NoCode if absent
	At         time.Time // when Sinch made the report
	OperatorAt time.Time // the time in the carrier's delivery receipt
}

// Time returns the time by which the states of a recipient are ordered: the time in the carrier's delivery receipt
// (OperatorAt) or, if that is zero, the time of Sinch's report (At). It returns the zero time if both are zero.
func (s State) Time() time.Time {
	if s.OperatorAt.IsZero() {
		return s.At
	}
	return s.OperatorAt
}

// SameReport reports whether s and t come from the same report, which Sinch may send repeatedly. Reports have no id, so
// they count as the same if status, code and At are equal.
func (s State) SameReport(t State) bool {
	return s.Status == t.Status && s.Code == t.Code && s.At.Equal(t.At)
}

// Compare tells which of two states of a recipient the store keeps: s if the result is positive, t if it is negative.
// It returns 0 only if s and t are equal. It applies these rules in turn: a final status wins over an intermediate one,
// the later Time wins, and the status with the higher rank wins (Delivered has the highest). If no rule decides, the
// other fields do, so that the order in which reports arrive does not matter.
func (s State) Compare(t State) int {
	if s.Status.Final() != t.Status.Final() { // Sinch guarantees no order: Delivered may arrive before Dispatched
		if s.Status.Final() {
			return 1
		}
		return -1
	}
	return cmp.Or(
		s.Time().Compare(t.Time()),                    // no time counts as the earliest
		cmp.Compare(s.Status.rank(), t.Status.rank()), // so that a report without a time cannot undo Delivered
		s.At.Compare(t.At),
		s.OperatorAt.Compare(t.OperatorAt),
		cmp.Compare(s.Code, t.Code),
		cmp.Compare(s.Status, t.Status),
	)
}
