// Package fold applies arrivals to the state of a batch. It alone decides what is a duplicate, which state wins, what
// is counted and which feedback is owed.
//
// Fold is the entry point: a pure function from the rows of a batch and its arrivals to changed rows and changes. Part
// divides an arrival that names many recipients, so that several transactions can fold it. AddChanges and AddMinutes
// add changes to the totals. Rebuild restores damaged rows from the report log with the same rules.
//
// The package imports store and dlr and does no input or output. The stores and their test suite import it.
package fold
