package simulator

import (
	"net"
	"net/http"
	"time"

	"github.com/dlrloop/dlrloop/simulator/fault"
)

// faultFor returns the fault that hits c: the oldest matching one from SetFault, else an anomaly.
func (s *Simulator) faultFor(c *call) fault.Hit {
	if hit, ok := s.faults.Find(fault.Call{Plan: c.plan.ID, Operation: c.operation, BatchID: c.batchID()}); ok {
		return hit
	}
	s.mu.Lock()
	defer s.unlock()
	return fault.Hit{Fault: s.upstreamFault(c)}
}

// upstreamFault returns the fault that BadDays.Upstream causes for call c, or the zero Fault. The decision depends on
// the seed and on the number of earlier calls of the same operation for the batch, or for the plan if c names no
// batch. The first two feedback calls for each of the first three batches with feedback enabled go through all six
// failures.
func (s *Simulator) upstreamFault(c *call) fault.Fault {
	days := s.config.BadDays
	if days.Upstream == 0 || !mayFail(c.operation) {
		return fault.Fault{}
	}
	b := s.batchByID[batchKey{c.plan.ID, c.batchID()}]
	counts, of := c.plan.callCounts, subject{plan: c.plan.ID}
	switch {
	case b != nil:
		counts, of = b.callCounts, b.subject(allRecipients, 0)
	case c.batchID() != "":
		return fault.Fault{}
	}
	n := counts[c.operation]
	counts[c.operation]++
	of.turn = n
	ways := []fault.Fault{
		{Kind: fault.Status, Status: http.StatusTooManyRequests, RetryAfter: "1"},
		{Kind: fault.Status, Status: http.StatusInternalServerError},
		{Kind: fault.AppliedBut500, Status: http.StatusInternalServerError},
		// An HTTP date has whole seconds, so two seconds from now is a wait of at least one.
		{
			Kind: fault.Status, Status: http.StatusTooManyRequests,
			RetryAfter: time.Now().Add(2 * time.Second).UTC().Format(http.TimeFormat),
		},
		{Kind: fault.Reset},
		{Kind: fault.Latency, Latency: days.Latency},
	}
	if c.operation == fault.OpFeedback && b.request.WantsFeedback() && n < 2 {
		if way := 2*(int(b.feedbackOrdinal)-1) + n; way < len(ways) {
			return ways[way]
		}
	}
	if s.dice.fraction("upstream "+string(c.operation), of) >= days.Upstream {
		return fault.Fault{}
	}
	return ways[s.dice.roll("way "+string(c.operation), of)%uint64(len(ways))]
}

// mayFail reports whether anomalies affect calls of o: only calls that change nothing and may be repeated, and
// feedback.
func mayFail(o fault.Operation) bool {
	switch o {
	case fault.OpDryRun, fault.OpList, fault.OpBatch, fault.OpReport, fault.OpFeedback:
		return true
	default:
		return false
	}
}

// closeConnection closes the connection without an answer, on TCP with a reset.
func closeConnection(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // for example HTTP/2: net/http resets the stream
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // makes Close send a reset
	}
	_ = conn.Close()
}
