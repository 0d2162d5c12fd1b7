package simulator

import (
	"time"

	"github.com/dlrloop/dlrloop/simulator/fault"
)

// callHistory is the number of calls that are kept.
const callHistory = 4096

// Call is one API call and its answer.
type Call struct {
	Ordinal   int             `json:"ordinal"` // from 1
	At        time.Time       `json:"at"`
	Method    string          `json:"method"`
	Path      string          `json:"path"`
	Plan      string          `json:"plan"`
	Operation fault.Operation `json:"operation"`
	Batch     string          `json:"batch,omitempty"`
	Status    int             `json:"status"` // HTTP status of the answer; 0 if there was none
	Fault     fault.Kind      `json:"fault,omitempty"`
}

// ring holds the last callHistory calls.
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

// all returns the calls, oldest first.
func (r *ring) all() []Call {
	oldest := 0
	if r.made > callHistory {
		oldest = r.made % callHistory
	}
	return append(append([]Call{}, r.calls[oldest:]...), r.calls[:oldest]...)
}

// Calls returns the last 4096 calls of the API in the order of their answers, oldest first. It includes refused
// calls, but not calls to unknown paths or with a wrong method.
func (s *Simulator) Calls() []Call {
	s.mu.Lock()
	defer s.unlock()
	return s.calls.all()
}
