package store

import "github.com/dlrloop/dlrloop/dlr"

// PlanStats holds the totals of one plan since the store was created, and the present state of its feedback.
type PlanStats struct {
	Plan        string
	Batches     int // all batches ever; retention does not lower it
	Recipients  int
	Duplicates  int           // callbacks with a report that was applied before
	Polled      int           // new reports that were fetched from Sinch
	Quarantined int           // callbacks that could not be parsed
	Messages    []StatusTotal // sorted by status, then class
	Feedback    Tally         // present state of the batches that retention has not deleted
}

// StatusTotal counts the messages of a plan in one status and one class of delivery error codes. All statuses that
// Sinch does not document count together, as dlr.Other.
type StatusTotal struct {
	Status   dlr.Status
	Class    dlr.Class
	Messages int
}
