package simulator

import (
	"context"
	"net"
	"net/http"
	"time"
)

// blow is a fault as it hits one call; the zero value is none.
type blow struct {
	Fault
	cleared <-chan struct{} // nil for a bad day
}

// strike finds out what goes wrong with c: by a fault set by hand, else by a bad day.
func (s *Simulator) strike(c *call) blow {
	s.mu.Lock()
	defer s.unlock()
	for _, f := range s.faults {
		if f.fits(c) {
			f.hits++
			return blow{f.Fault, f.cleared}
		}
	}
	return blow{Fault: s.badCall(c)}
}

// badCall is the bad day, if any, of the n-th call of its operation for its batch, or for its plan if it names no batch. The
// first two feedback calls for each of the first three batches that want feedback go through all six ways.
func (s *Simulator) badCall(c *call) Fault {
	days := s.config.BadDays
	if days.Upstream == 0 || !c.operation.mayGoWrong() {
		return Fault{}
	}
	b := s.batchByID[batchKey{c.plan.ID, c.batchID()}]
	asked, of := c.plan.asked, subject{plan: c.plan.ID}
	switch {
	case b != nil:
		asked, of = b.asked, b.subject(allRecipients, 0)
	case c.batchID() != "":
		return Fault{}
	}
	n := asked[c.operation]
	asked[c.operation]++
	of.turn = n
	ways := []Fault{
		{Kind: FaultStatus, Status: http.StatusTooManyRequests, RetryAfter: "1"},
		{Kind: FaultStatus, Status: http.StatusInternalServerError},
		{Kind: FaultAppliedBut500, Status: http.StatusInternalServerError},
		// The date has whole seconds: two from now is at least one to wait.
		{Kind: FaultStatus, Status: http.StatusTooManyRequests, RetryAfter: time.Now().Add(2 * time.Second).UTC().Format(http.TimeFormat)},
		{Kind: FaultReset},
		{Kind: FaultLatency, Latency: days.Latency},
	}
	if c.operation == OpFeedback && b.wantsFeedback() && n < 2 {
		if sure := 2*(int(b.wantsBack)-1) + n; sure < len(ways) {
			return ways[sure]
		}
	}
	if s.dice.share("upstream "+string(c.operation), of) >= days.Upstream {
		return Fault{}
	}
	return ways[s.dice.roll("way "+string(c.operation), of)%uint64(len(ways))]
}

// delay waits as long as the fault says and returns false if the caller has left in the meantime.
func (b blow) delay(ctx context.Context) bool {
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

// hang waits, if the fault hangs, until the caller leaves, its time is over or it is cleared.
func (b blow) hang(ctx context.Context) {
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

// cut ends the connection without an answer: on TCP with a reset.
func cut(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // HTTP/2 and the like: net/http cuts the stream
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // a close without lingering is a reset
	}
	_ = conn.Close()
}
