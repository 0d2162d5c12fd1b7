package simulator

import (
	"context"
	"net"
	"net/http"
	"time"
)

// callFault is a fault that hits one call. The zero value means no fault.
type callFault struct {
	Fault
	cleared <-chan struct{} // closed by ClearFaults; nil for an anomaly
}

// faultFor selects the fault for c: the oldest matching one from SetFault, else an anomaly.
func (s *Simulator) faultFor(c *call) callFault {
	s.mu.Lock()
	defer s.unlock()
	for _, f := range s.faults {
		if f.fits(c) {
			f.hits++
			return callFault{f.Fault, f.cleared}
		}
	}
	return callFault{Fault: s.upstreamFault(c)}
}

// upstreamFault returns the fault that BadDays.Upstream causes for call c, or the zero Fault. The decision depends on
// the seed and on the number of earlier calls of the same operation for the batch, or for the plan if c names no
// batch. The first two feedback calls for each of the first three batches with feedback enabled go through all six
// failures.
func (s *Simulator) upstreamFault(c *call) Fault {
	days := s.config.BadDays
	if days.Upstream == 0 || !c.operation.mayFail() {
		return Fault{}
	}
	b := s.batchByID[batchKey{c.plan.ID, c.batchID()}]
	counts, of := c.plan.callCounts, subject{plan: c.plan.ID}
	switch {
	case b != nil:
		counts, of = b.callCounts, b.subject(allRecipients, 0)
	case c.batchID() != "":
		return Fault{}
	}
	n := counts[c.operation]
	counts[c.operation]++
	of.turn = n
	ways := []Fault{
		{Kind: FaultStatus, Status: http.StatusTooManyRequests, RetryAfter: "1"},
		{Kind: FaultStatus, Status: http.StatusInternalServerError},
		{Kind: FaultAppliedBut500, Status: http.StatusInternalServerError},
		// An HTTP date has whole seconds, so two seconds from now is a wait of at least one.
		{
			Kind: FaultStatus, Status: http.StatusTooManyRequests,
			RetryAfter: time.Now().Add(2 * time.Second).UTC().Format(http.TimeFormat),
		},
		{Kind: FaultReset},
		{Kind: FaultLatency, Latency: days.Latency},
	}
	if c.operation == OpFeedback && b.wantsFeedback() && n < 2 {
		if way := 2*(int(b.feedbackOrdinal)-1) + n; way < len(ways) {
			return ways[way]
		}
	}
	if s.dice.fraction("upstream "+string(c.operation), of) >= days.Upstream {
		return Fault{}
	}
	return ways[s.dice.roll("way "+string(c.operation), of)%uint64(len(ways))]
}

// delay waits for Latency. It returns false if the caller disconnects before.
func (b callFault) delay(ctx context.Context) bool {
	if b.Latency == 0 || b.Kind.hangs() {
		return true
	}
	timer := time.NewTimer(b.Latency)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// hang blocks, if the fault hangs, until the caller disconnects, Latency has passed or ClearFaults is called.
func (b callFault) hang(ctx context.Context) {
	if !b.Kind.hangs() {
		return
	}
	var over <-chan time.Time
	if b.Latency > 0 {
		timer := time.NewTimer(b.Latency)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-ctx.Done():
	case <-b.cleared:
	case <-over:
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
