package simulator

import (
	"errors"
	"strings"

	"github.com/dlrloop/dlrloop/simulator/xms"
)

// Fate is the planned outcome of a message.
type Fate struct {
	// Status is the final status; empty means Delivered. Any text is permitted, so that tests can use statuses that
	// Sinch may add later.
	Status string `json:"status"`
	Code   int    `json:"code"`
	// Lost drops every callback about the recipient. Report reads still return its status.
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

// undeliveredFates are the outcomes of messages that are not delivered. Failed with code 0 was seen in a real report.
var undeliveredFates = []Fate{
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

// SetFate sets the fate of messages that are sent to number from now on, in every plan. It returns an error for an
// invalid number, for a negative code, and for Queued and Dispatched, which are not final.
func (s *Simulator) SetFate(number string, f Fate) error {
	key, ok := xms.Digits(number)
	if !ok {
		return errors.New("simulator: fate: number must have 3 to 15 digits")
	}
	if strings.EqualFold(f.Status, statusQueued) || strings.EqualFold(f.Status, statusDispatched) {
		return errors.New("simulator: fate: status must be final, not Queued or Dispatched")
	}
	if f.Code < 0 {
		return errors.New("simulator: fate: code must not be negative")
	}
	if f.Status == "" {
		f.Status = statusDelivered
	}
	s.mu.Lock()
	defer s.unlock()
	s.fates[key] = f
	return nil
}

// fate decides the fate of recipient i of b. A message that cannot be sent is Aborted whatever SetFate has set.
func (s *Simulator) fate(b *batch, i int) Fate {
	m := &b.recipients[i]
	set, ok := s.fates[m.digits]
	switch {
	case m.unmatched:
		return Fate{Status: statusAborted, Code: codeUnmatched, Lost: set.Lost}
	case m.tooLong:
		return Fate{Status: statusAborted, Code: codeTooLong, Lost: set.Lost}
	case ok:
		return set
	}
	if b.mustBeDelivered(i) || !s.occurs(undelivered, b, i, final) {
		return Fate{Status: statusDelivered}
	}
	return undeliveredFates[s.dice.roll("misfortune", b.subject(i, 0))%uint64(len(undeliveredFates))]
}

// reachesSMSC reports whether the message reaches the SMSC. If not, it is never Dispatched and its report has no
// operator_status_at.
func (f Fate) reachesSMSC() bool {
	return !strings.EqualFold(f.Status, statusAborted) && !strings.EqualFold(f.Status, statusCancelled)
}

// dispatches reports whether the message becomes Dispatched. A message that the SMSC refuses does not.
func (f Fate) dispatches() bool {
	return f.reachesSMSC() && !strings.EqualFold(f.Status, "Rejected")
}
