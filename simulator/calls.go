package simulator

import "time"

// callHistory is how many calls are remembered.
const callHistory = 4096

// Call is one call of the API.
type Call struct {
	Ordinal   int       `json:"ordinal"` // from 1
	At        time.Time `json:"at"`
	Method    string    `json:"method"`
	Path      string    `json:"path"`
	Plan      string    `json:"plan"`
	Operation Operation `json:"operation"`
	Batch     string    `json:"batch,omitempty"`
	Status    int       `json:"status"` // answered; 0 if nothing was
	Fault     FaultKind `json:"fault,omitempty"`
}

// ring remembers the last calls.
type ring struct {
	calls []Call
	made  int
}

func (r *ring) push(c Call) {
	r.made++
	c.Ordinal = r.made
	if len(r.calls) < callHistory {
		r.calls = append(r.calls, c)
		return
	}
	r.calls[(r.made-1)%callHistory] = c
}

// all is the calls remembered, oldest first.
func (r *ring) all() []Call {
	oldest := 0
	if r.made > callHistory {
		oldest = r.made % callHistory
	}
	return append(append([]Call{}, r.calls[oldest:]...), r.calls[:oldest]...)
}

// Calls is the last 4096 calls of the API, oldest first, in the order in which they were answered. Refused ones are among
// them; calls of paths or methods that do not exist are not.
func (s *Simulator) Calls() []Call {
	s.mu.Lock()
	defer s.unlock()
	return s.calls.all()
}
