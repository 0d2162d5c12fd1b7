package dlr

import (
	"cmp"
	"time"
)

// NoCode stands for a code that the report did not carry or that was no integer.
const NoCode = -1

// State is what one report says of one recipient. Times are UTC, cut to the millisecond; zero means that the report had
// none, as every batch report.
type State struct {
	Status     Status
	Code       int       // NoCode when there was none
	At         time.Time // when Sinch made the report
	OperatorAt time.Time // the time in the carrier's receipt
}

// Time is the moment the state speaks of: the operator's time where there is one, else Sinch's. Zero for a state without
// any.
func (s State) Time() time.Time {
	if s.OperatorAt.IsZero() {
		return s.At
	}
	return s.OperatorAt
}

// SameReport reports whether s and t come from the same report or from repeats of it: Sinch's reports have no id, so
// status, code and time make one out.
func (s State) SameReport(t State) bool {
	return s.Status == t.Status && s.Code == t.Code && s.At.Equal(t.At)
}

// Compare orders states by which one holds: above zero when s wins over t, below when t wins over s, and zero only when
// they are equal. The order is total, so that the same reports in any order, repeated at will, end in the same state:
//
//   - final wins over intermediate (Sinch promises no order, and Delivered is seen before Dispatched);
//   - the later Time wins, and any time over none;
//   - at the same time Delivered wins over other final statuses, so an undated report never undoes it;
//   - what is left (status, Sinch's time, operator's time, code) only makes the choice the same for everybody.
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
