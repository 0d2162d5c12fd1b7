package simulator

import (
	"errors"
	"strings"
)

// Fate is how a message ends.
type Fate struct {
	// Status is the final status; empty means Delivered. It may be one that Sinch has not invented yet.
	Status string `json:"status"`
	Code   int    `json:"code"`
	// Lost makes every callback about the recipient get lost; the reports that can be read know its status.
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
	codeExpired        = 159 // of what the SMSC could not deliver in time: the phone was not reached
)

// misfortunes are the ways a message ends other than Delivered, by their statuses and codes; 0 with Failed is real.
var misfortunes = []Fate{
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

// SetFate decides how messages to number end that are sent from now on, in every plan. It refuses what is no number, and
// Queued and Dispatched, which end nothing.
func (s *Simulator) SetFate(number string, f Fate) error {
	key, ok := digits(number)
	if !ok {
		return errors.New("simulator: fate: number must have 3 to 15 digits")
	}
	if strings.EqualFold(f.Status, statusQueued) || strings.EqualFold(f.Status, statusDispatched) {
		return errors.New("simulator: fate: status must be a final one")
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

// fate draws the fate of recipient i of b. What cannot be sent ends by that, whatever was set.
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
	if b.favoured(i) || !s.befalls(undelivered, b, i, final) {
		return Fate{Status: statusDelivered}
	}
	return misfortunes[s.dice.roll("misfortune", b.subject(i, 0))%uint64(len(misfortunes))]
}

// reachesSMSC says whether the message gets as far as the carrier: otherwise it is never Dispatched, and its report has no operator time.
func (f Fate) reachesSMSC() bool {
	return !strings.EqualFold(f.Status, statusAborted) && !strings.EqualFold(f.Status, statusCancelled)
}

// dispatches says whether the message passes through Dispatched: one that the SMSC refuses does not.
func (f Fate) dispatches() bool {
	return f.reachesSMSC() && !strings.EqualFold(f.Status, "Rejected")
}
