package batches

import (
	"net/http"
	"time"

	"github.com/dlrloop/dlrloop/simulator/fault"
	"github.com/dlrloop/dlrloop/simulator/random"
)

// CallFault returns the fault that an API call gets because of Anomalies.Upstream, or the zero Fault if the call gets
// none. id is the batch id in the call's path, or "". If the seed is the same, the same calls in the same order get the
// same faults. Unless Upstream is disabled, the first two feedback calls for each of the first three batches with
// feedback enabled always get a fault, so that a short run shows all six possible faults.
func (p *Plan) CallFault(operation fault.Operation, id string) fault.Fault {
	s := p.store
	anomalies := s.config.Anomalies
	if anomalies.Upstream == 0 || !mayFail(operation) {
		return fault.Fault{}
	}
	s.mu.Lock()
	defer s.unlock()
	b := s.batchByID[batchKey{p.ID, id}]
	counts, of := p.callCounts, random.Subject{Plan: p.ID}
	switch {
	case b != nil:
		counts, of = b.callCounts, b.subject(wholeBatch, 0)
	case id != "":
		return fault.Fault{}
	}
	n := counts[operation]
	counts[operation]++
	of.Turn = n
	failures := []fault.Fault{
		{Kind: fault.Status, Status: http.StatusTooManyRequests, RetryAfter: "1"},
		{Kind: fault.Status, Status: http.StatusInternalServerError},
		{Kind: fault.AppliedBut500, Status: http.StatusInternalServerError},
		// An HTTP date has whole seconds, so two seconds from now is a wait of at least one.
		{
			Kind: fault.Status, Status: http.StatusTooManyRequests,
			RetryAfter: time.Now().Add(2 * time.Second).UTC().Format(http.TimeFormat),
		},
		{Kind: fault.Reset},
		{Kind: fault.Latency, Latency: anomalies.Latency},
	}
	if operation == fault.OpFeedback && b.request.WantsFeedback() && n < 2 {
		if i := 2*(int(b.feedbackOrdinal)-1) + n; i < len(failures) {
			return failures[i]
		}
	}
	if s.config.Random.Float64("upstream "+string(operation), of) >= anomalies.Upstream {
		return fault.Fault{}
	}
	return failures[s.config.Random.Uint64("way "+string(operation), of)%uint64(len(failures))]
}

// mayFail reports whether Anomalies.Upstream may make calls of operation o fail. The result is true for reads, dry runs
// and feedback. It is false for calls that change a batch or group, because the customer's request would be lost.
func mayFail(o fault.Operation) bool {
	switch o {
	case fault.OpDryRun, fault.OpList, fault.OpBatch, fault.OpReport, fault.OpFeedback:
		return true
	default:
		return false
	}
}
