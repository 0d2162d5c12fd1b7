// Package dlr defines the delivery report: it decodes the body of a callback, lists the documented statuses and codes,
// decides when two reports are the same, and orders the states of a recipient.
//
// Decoding is tolerant, because a refused report is lost for good: numbers as strings, times of any precision, and
// unknown members, statuses and codes are accepted. The status is never derived from the code, since Sinch sends code 0
// also with statuses other than Delivered.
package dlr
