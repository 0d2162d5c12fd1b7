package simulator

import (
	"sync"

	"github.com/dlrloop/dlrloop/simulator/ledger"
)

// maxCalls limits the API calls that a history keeps. After that, each further call replaces the oldest.
const maxCalls = 4096

// history keeps the last 4096 API calls (maxCalls) and all delivery feedback. The zero value is empty. All methods are
// safe for concurrent use.
type history struct {
	mu       sync.Mutex // guards the fields below
	calls    []ledger.Call
	made     int // number of calls, including those that are not kept
	feedback []ledger.FeedbackCall
}

// add records API call c. If the call is delivery feedback, add also records f, which describes the feedback; otherwise
// f must be nil. Calls and feedback are numbered separately, from 1, in their field Ordinal, which add sets.
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

// allCalls returns a copy of the last 4096 API calls (maxCalls), oldest first. The result is never nil.
func (h *history) allCalls() []ledger.Call {
	h.mu.Lock()
	defer h.mu.Unlock()
	oldest := 0
	if h.made > maxCalls {
		oldest = h.made % maxCalls
	}
	return append(append([]ledger.Call{}, h.calls[oldest:]...), h.calls[:oldest]...)
}

// allFeedback returns a copy of the delivery feedback calls, oldest first. The result is never nil.
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
