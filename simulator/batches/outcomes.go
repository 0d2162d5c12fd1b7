package batches

import (
	"errors"
	"strings"

	"github.com/dlrloop/dlrloop/simulator/xms"
)

// Outcome is the planned result of a message: its final status and code, and whether its callbacks are never sent.
type Outcome struct {
	// Status is the final status; empty means Delivered. Any text is permitted, so that tests can use statuses that
	// Sinch may add later.
	Status string `json:"status"`
	Code   int    `json:"code"`
	// Lost drops every callback about the message. Reads of reports still return the status of the message.
	Lost bool `json:"lost,omitempty"`
}

const (
	statusQueued     = "Queued"
	statusDispatched = "Dispatched"
	statusDelivered  = "Delivered"
	statusAborted    = "Aborted"
	statusCancelled  = "Cancelled"
	statusExpired    = "Expired"

	codeQueued         = 400
	codeDispatched     = 401
	codeUnmatched      = 405
	codeInternalExpiry = 406
	codeCancelled      = 407
	codeTooLong        = 411
	codeExpired        = 159 // the SMSC could not deliver in time: the phone was not reached
)

// undeliveredOutcomes lists the outcomes of undelivered messages. For each such message, the seed selects one of them.
// The list includes Failed with code 0, because a real report had this combination.
var undeliveredOutcomes = []Outcome{
	{Status: "Failed", Code: 153},
	{Status: "Expired", Code: 159},
	{Status: "Rejected", Code: 60},
	{Status: "Failed", Code: 201},
	{Status: statusAborted, Code: 402},
	{Status: "Unknown", Code: 399},
	{Status: "Failed", Code: 0},
	{Status: "Deleted", Code: 100},
	{Status: "Rejected", Code: 15},
	{Status: statusAborted, Code: 406},
	{Status: "Expired", Code: 14},
	{Status: "Failed", Code: 107},
	{Status: statusAborted, Code: 408},
}

// SetOutcome makes o the outcome of all messages to a phone number, in every service plan. Messages of batches that are
// already dispatched keep their outcome. SetOutcome returns an error if the number is invalid, o.Code is negative, or
// o.Status is Queued or Dispatched.
func (s *Store) SetOutcome(number string, o Outcome) error {
	key, ok := xms.Digits(number)
	if !ok {
		return errors.New("outcome: number must have 3 to 15 digits")
	}
	if strings.EqualFold(o.Status, statusQueued) || strings.EqualFold(o.Status, statusDispatched) {
		return errors.New("outcome: status must be final, not Queued or Dispatched")
	}
	if o.Code < 0 {
		return errors.New("outcome: code must not be negative")
	}
	if o.Status == "" {
		o.Status = statusDelivered
	}
	s.mu.Lock()
	defer s.unlock()
	s.outcomes[key] = o
	return nil
}

// plannedOutcome decides the outcome of message i of b. If the text is too long or one of its parameters has no value,
// the outcome is Aborted. Otherwise the outcome applies that SetOutcome set for the recipient's phone number. If
// SetOutcome set none, the seed selects an outcome. The caller must hold s.mu.
func (s *Store) plannedOutcome(b *batch, i int) Outcome {
	m := &b.recipients[i]
	set, ok := s.outcomes[m.digits]
	switch {
	case m.unmatched:
		return Outcome{Status: statusAborted, Code: codeUnmatched, Lost: set.Lost}
	case m.tooLong:
		return Outcome{Status: statusAborted, Code: codeTooLong, Lost: set.Lost}
	case ok:
		return set
	}
	if b.mustBeDelivered(i) || !s.occurs(undelivered, b, i, final) {
		return Outcome{Status: statusDelivered}
	}
	n := s.config.Random.Uint64("undelivered outcome", b.subject(i, 0)) % uint64(len(undeliveredOutcomes))
	return undeliveredOutcomes[n]
}

// reachesSMSC reports whether a message with this outcome reaches the SMSC, the operator's message center. A message
// that does not reach it is never Dispatched, and its report has no operator_status_at.
func (o Outcome) reachesSMSC() bool {
	return !strings.EqualFold(o.Status, statusAborted) && !strings.EqualFold(o.Status, statusCancelled)
}

// dispatches reports whether a message with this outcome has the status Dispatched before its final status. Messages
// that the operator's message center rejects, or that never reach it, do not.
func (o Outcome) dispatches() bool {
	return o.reachesSMSC() && !strings.EqualFold(o.Status, "Rejected")
}
