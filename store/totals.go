package store

import "github.com/dlrloop/dlrloop/dlr"

// PlanStats holds the totals of one plan since its store was created.
type PlanStats struct {
	Plan        string
	Batches     int // all batches ever; retention does not lower it
	Recipients  int
	Duplicates  int
	Polled      int
	Quarantined int
	Messages    []StatusTotal // sorted by status, then class
	Feedback    Tally         // present state of the batches that retention has not deleted
}

// StatusTotal counts messages by status and class of code. Both are closed sets.
type StatusTotal struct {
	Status   dlr.Status
	Class    dlr.Class
	Messages int
}
