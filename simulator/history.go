package simulator

import (
	"sync"

	"github.com/dlrloop/dlrloop/simulator/ledger"
)

// maxCalls is the number of calls that a history keeps.
const maxCalls = 4096

// history records the API calls: the last maxCalls calls, and all feedback calls. All methods are safe for concurrent
// use.
type history struct {
	mu       sync.Mutex // guards the fields below
	calls    []ledger.Call
	made     int // number of calls, including those that are not kept
	feedback []ledger.FeedbackCall
}

// add records a call, and f if the call is feedback. It sets the ordinals of both.
func (h *history) add(c ledger.Call, f *ledger.FeedbackCall) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.made++
	c.Ordinal = h.made
	if len(h.calls) < maxCalls {
		h.calls = append(h.calls, c)
	} else {
		h.calls[(h.made-1)%maxCalls] = c
	}
	if f != nil {
		f.Ordinal = len(h.feedback) + 1
		h.feedback = append(h.feedback, *f)
	}
}

// allCalls returns the kept calls, oldest first. The result is never nil.
func (h *history) allCalls() []ledger.Call {
	h.mu.Lock()
	defer h.mu.Unlock()
	oldest := 0
	if h.made > maxCalls {
		oldest = h.made % maxCalls
	}
	return append(append([]ledger.Call{}, h.calls[oldest:]...), h.calls[:oldest]...)
}

// allFeedback returns the feedback calls, oldest first. The result is never nil.
func (h *history) allFeedback() []ledger.FeedbackCall {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]ledger.FeedbackCall{}, h.feedback...)
}

func (h *history) feedbackCalls() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.feedback)
}
