// Package dlr is what a delivery report is: how a callback's body is read, which statuses and codes exist, when two
// reports are the same, and which of two states of a recipient wins.
//
// It reads tolerantly, since a report that is refused is lost for good: numbers as strings, times of any precision,
// unknown members, statuses and codes are all taken. It never derives the status from the code: Sinch sends code 0 with
// statuses other than Delivered.
package dlr
