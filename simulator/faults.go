package simulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// FaultKind is a way for a call to go wrong.
type FaultKind string

const (
	FaultLatency         FaultKind = "latency"           // answered after Latency; not handled if the caller has left by then
	FaultStatus          FaultKind = "status"            // not handled, answered with Status
	FaultHang            FaultKind = "hang"              // not handled and never answered
	FaultReset           FaultKind = "reset"             // not handled, the connection is reset
	FaultAppliedBut500   FaultKind = "applied_but_500"   // handled, answered with Status, by default 500
	FaultAppliedButHang  FaultKind = "applied_but_hang"  // handled and never answered
	FaultAppliedButReset FaultKind = "applied_but_reset" // handled, then the connection is reset
)

var (
	faultKinds = []FaultKind{
		FaultLatency, FaultStatus, FaultHang, FaultReset, FaultAppliedBut500, FaultAppliedButHang, FaultAppliedButReset,
	}
	operations = []Operation{
		OpSend, OpDryRun, OpList, OpBatch, OpUpdate, OpReplace, OpCancel, OpReport, OpFeedback, OpGroup,
	}
)

// applies says whether a call hit by such a fault, or by none, takes effect.
func (k FaultKind) applies() bool {
	return k != FaultStatus && k != FaultHang && k != FaultReset
}

func (k FaultKind) hangs() bool { return k == FaultHang || k == FaultAppliedButHang }

// Fault makes calls go wrong. Plan, Operation and BatchID say which; an empty one means any.
type Fault struct {
	Plan      string
	Operation Operation
	BatchID   string
	Kind      FaultKind
	// Status is answered by status and applied_but_500.
	Status int
	// RetryAfter is sent as it is, with whatever is answered.
	RetryAfter string
	// Body is what status and applied_but_500 answer.
	Body string
	// Latency is how long latency waits, and for how long a hang hangs before the connection is cut; a hang of 0 lasts until
	// the caller leaves or the faults are cleared.
	Latency time.Duration
	// Times is how many calls are hit; 0 means all until ClearFaults.
	Times int
}

// faultJSON is a Fault as the control listener reads and shows it.
type faultJSON struct {
	Plan       string    `json:"plan,omitempty"`
	Operation  Operation `json:"operation,omitempty"`
	BatchID    string    `json:"batch_id,omitempty"`
	Kind       FaultKind `json:"kind"`
	Status     int       `json:"status,omitempty"`
	RetryAfter string    `json:"retry_after,omitempty"`
	Body       string    `json:"body,omitempty"`
	Latency    string    `json:"latency,omitempty"`
	Times      int       `json:"times,omitempty"`
}

// MarshalJSON writes the latency as "1.5s".
func (f Fault) MarshalJSON() ([]byte, error) {
	shown := faultJSON{f.Plan, f.Operation, f.BatchID, f.Kind, f.Status, f.RetryAfter, f.Body, "", f.Times}
	if f.Latency != 0 {
		shown.Latency = f.Latency.String()
	}
	return json.Marshal(shown)
}

// UnmarshalJSON reads the latency as "1.5s" and refuses members that a fault does not have.
func (f *Fault) UnmarshalJSON(b []byte) error {
	var read faultJSON
	if err := decodeStrictly(bytes.NewReader(b), &read); err != nil {
		return err
	}
	latency := time.Duration(0)
	if read.Latency != "" {
		var err error
		if latency, err = time.ParseDuration(read.Latency); err != nil {
			return fmt.Errorf("latency: %q is no duration like 250ms", read.Latency)
		}
	}
	*f = Fault{read.Plan, read.Operation, read.BatchID, read.Kind, read.Status, read.RetryAfter, read.Body, latency, read.Times}
	return nil
}

// setFault is a fault set by hand.
type setFault struct {
	Fault
	hits    int
	cleared chan struct{}
}

// SetFault sets a fault beside those already set. Of several that fit a call the oldest hits it.
func (s *Simulator) SetFault(f Fault) error {
	if err := f.check(); err != nil {
		return fmt.Errorf("simulator: fault: %w", err)
	}
	s.mu.Lock()
	defer s.unlock()
	if f.Plan != "" && s.plans[f.Plan] == nil {
		return fmt.Errorf("simulator: fault: plan %q does not exist", f.Plan)
	}
	if f.Kind == FaultAppliedBut500 && f.Status == 0 {
		f.Status = http.StatusInternalServerError
	}
	s.faults = append(s.faults, &setFault{Fault: f, cleared: make(chan struct{})})
	return nil
}

func (f Fault) check() error {
	switch {
	case !slices.Contains(faultKinds, f.Kind):
		return fmt.Errorf("kind %q is none of %s", f.Kind, listed(faultKinds))
	case f.Operation != "" && !slices.Contains(operations, f.Operation):
		return fmt.Errorf("operation %q is none of %s", f.Operation, listed(operations))
	case f.Kind == FaultStatus && f.Status == 0:
		return errors.New("kind status needs a status")
	case f.Status != 0 && f.Kind != FaultStatus && f.Kind != FaultAppliedBut500:
		return fmt.Errorf("kind %s has no status", f.Kind)
	case f.Status != 0 && (f.Status < 200 || f.Status > 599):
		return fmt.Errorf("status %d is not between 200 and 599", f.Status)
	case f.Kind == FaultLatency && f.Latency == 0:
		return errors.New("kind latency needs a latency")
	case f.Latency < 0 || f.Times < 0:
		return errors.New("latency and times must not be negative")
	}
	return nil
}

// ClearFaults takes back all faults set by hand; calls that hang by them are cut.
func (s *Simulator) ClearFaults() {
	s.mu.Lock()
	defer s.unlock()
	for _, f := range s.faults {
		close(f.cleared)
	}
	s.faults = nil
}

// placedFaults are the faults still set, oldest first, with the number of calls that each has hit.
func (s *Simulator) placedFaults() []placedFault {
	s.mu.Lock()
	defer s.unlock()
	placed := []placedFault{}
	for _, f := range s.faults {
		if !f.spent() {
			placed = append(placed, placedFault{f.Fault, f.hits})
		}
	}
	return placed
}

type placedFault struct {
	Fault Fault `json:"fault"`
	Hits  int   `json:"hits"`
}

// spent says whether f has hit all the calls it was set for. It stays listed, so that ClearFaults frees those it has left hanging.
func (f *setFault) spent() bool { return f.Times > 0 && f.hits >= f.Times }

func (f *setFault) fits(c *call) bool {
	return !f.spent() &&
		(f.Plan == "" || f.Plan == c.plan.ID) &&
		(f.Operation == "" || f.Operation == c.operation) &&
		(f.BatchID == "" || f.BatchID == c.batchID())
}

func listed[T ~string](words []T) string {
	text := make([]string, len(words))
	for i, w := range words {
		text[i] = string(w)
	}
	return strings.Join(text, ", ")
}
