package simulator

import (
	"fmt"

	"github.com/dlrloop/dlrloop/simulator/inbound"
)

// Inbound is a message from a phone to the customer (MO, mobile originated). Its JSON is the body of POST
// /control/inbound.
type Inbound = inbound.Message

// Receive simulates a message from a phone to the customer and returns the id of the message. It schedules a callback
// to the default URL of the service plan m.Plan, which may be empty if there is only one plan. It returns an error if m
// is invalid, or if the plan does not exist or has no callback URL.
func (s *Simulator) Receive(m Inbound) (string, error) {
	p := s.plans[m.Plan]
	if m.Plan == "" && len(s.config.Plans) == 1 {
		p = s.plans[s.config.Plans[0].ID]
	}
	switch {
	case p == nil:
		return "", fmt.Errorf("simulator: inbound: plan %q does not exist", m.Plan)
	case !p.account.HasURL():
		return "", fmt.Errorf("simulator: inbound: plan %q has no callback url", p.ID)
	}
	id, err := p.inbound.Receive(m)
	if err != nil {
		return "", fmt.Errorf("simulator: inbound: %w", err)
	}
	return id, nil
}
