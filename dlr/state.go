package dlr

import (
	"cmp"
	"time"
)

// NoCode is the code of a report without a code, or with one that is not an integer.
const NoCode = -1

// State is the state of one recipient according to one report. Times are UTC, truncated to the millisecond. They are
// zero if the report has none, as in every batch report.
type State struct {
	Status     Status
	Code       int       // NoCode if absent
	At         time.Time // when Sinch made the report
	OperatorAt time.Time // the time in the carrier's delivery receipt
}

// Time returns the time that the state refers to: the operator's time if set, else Sinch's. Time returns the zero time
// if neither is set.
func (s State) Time() time.Time {
	if s.OperatorAt.IsZero() {
		return s.At
	}
	return s.OperatorAt
}

// SameReport reports whether s and t come from the same report or its repeats. Sinch's reports have no id, so status,
// code and Sinch's time identify them.
func (s State) SameReport(t State) bool {
	return s.Status == t.Status && s.Code == t.Code && s.At.Equal(t.At)
}

// Compare decides which of two states of a recipient wins. It returns a positive number if s wins, a negative one if t
// wins, and zero only if they are equal. The order is total, so the same reports in any order and repetition end in the
// same state:
//
//   - a final status wins over an intermediate one (Sinch guarantees no order, and Delivered may arrive before
//     Dispatched);
//   - the later Time wins, and any time wins over none;
//   - at the same time Delivered wins over other final statuses, so that an undated report cannot undo it;
//   - the remaining fields (status, Sinch's time, operator's time, code) only make the order total.
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
