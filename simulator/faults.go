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

// FaultKind is how a call fails.
type FaultKind string

const (
	FaultLatency         FaultKind = "latency"           // handled after Latency, unless the caller disconnects before
	FaultStatus          FaultKind = "status"            // not handled; answered with Status
	FaultHang            FaultKind = "hang"              // not handled and never answered
	FaultReset           FaultKind = "reset"             // not handled; the connection is reset
	FaultAppliedBut500   FaultKind = "applied_but_500"   // handled, but answered with Status, by default 500
	FaultAppliedButHang  FaultKind = "applied_but_hang"  // handled, but never answered
	FaultAppliedButReset FaultKind = "applied_but_reset" // handled, but the connection is reset
)

var (
	faultKinds = []FaultKind{
		FaultLatency, FaultStatus, FaultHang, FaultReset, FaultAppliedBut500, FaultAppliedButHang, FaultAppliedButReset,
	}
	operations = []Operation{
		OpSend, OpDryRun, OpList, OpBatch, OpUpdate, OpReplace, OpCancel, OpReport, OpFeedback, OpGroup,
	}
)

// applies reports whether a call takes effect despite a fault of this kind. It is true for the empty kind.
func (k FaultKind) applies() bool {
	return k != FaultStatus && k != FaultHang && k != FaultReset
}

func (k FaultKind) hangs() bool { return k == FaultHang || k == FaultAppliedButHang }

// Fault makes API calls fail. Plan, Operation and BatchID select the calls; an empty field matches any.
type Fault struct {
	Plan      string
	Operation Operation
	BatchID   string
	Kind      FaultKind
	// Status is the HTTP status that the kinds status and applied_but_500 answer.
	Status int
	// RetryAfter is the value of the Retry-After header of any answer; empty means no header.
	RetryAfter string
	// Body is the response body that the kinds status and applied_but_500 answer.
	Body string
	// Latency is how long the kind latency delays its answer. For a hang it is the time until the connection is
	// closed; 0 means until the caller disconnects or ClearFaults is called.
	Latency time.Duration
	// Times is the number of calls to hit; 0 means all until ClearFaults.
	Times int
}

// faultJSON is the JSON form of a Fault on the control listener.
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

// MarshalJSON writes the latency in the form "1.5s".
func (f Fault) MarshalJSON() ([]byte, error) {
	shown := faultJSON{f.Plan, f.Operation, f.BatchID, f.Kind, f.Status, f.RetryAfter, f.Body, "", f.Times}
	if f.Latency != 0 {
		shown.Latency = f.Latency.String()
	}
	return json.Marshal(shown)
}

// UnmarshalJSON accepts a latency in the form "1.5s" and refuses unknown members.
func (f *Fault) UnmarshalJSON(b []byte) error {
	var read faultJSON
	if err := decodeStrictly(bytes.NewReader(b), &read); err != nil {
		return err
	}
	latency := time.Duration(0)
	if read.Latency != "" {
		var err error
		if latency, err = time.ParseDuration(read.Latency); err != nil {
			return fmt.Errorf("latency: %q is not a duration; example: 250ms", read.Latency)
		}
	}
	*f = Fault{
		read.Plan, read.Operation, read.BatchID, read.Kind, read.Status, read.RetryAfter, read.Body, latency,
		read.Times,
	}
	return nil
}

// installedFault is a fault added by SetFault.
type installedFault struct {
	Fault
	hits    int
	cleared chan struct{}
}

// SetFault adds a fault. If several faults match a call, only the oldest applies. It returns an error if f is invalid
// or its plan does not exist.
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
	s.faults = append(s.faults, &installedFault{Fault: f, cleared: make(chan struct{})})
	return nil
}

func (f Fault) check() error {
	switch {
	case !slices.Contains(faultKinds, f.Kind):
		return fmt.Errorf("unknown kind %q; use one of %s", f.Kind, joinNames(faultKinds))
	case f.Operation != "" && !slices.Contains(operations, f.Operation):
		return fmt.Errorf("unknown operation %q; use one of %s", f.Operation, joinNames(operations))
	case f.Kind == FaultStatus && f.Status == 0:
		return errors.New("kind status requires a status")
	case f.Status != 0 && f.Kind != FaultStatus && f.Kind != FaultAppliedBut500:
		return fmt.Errorf("kind %s does not take a status", f.Kind)
	case f.Status != 0 && (f.Status < 200 || f.Status > 599):
		return fmt.Errorf("status %d must be between 200 and 599", f.Status)
	case f.Kind == FaultLatency && f.Latency == 0:
		return errors.New("kind latency requires a latency")
	case f.Latency < 0 || f.Times < 0:
		return errors.New("latency and times must not be negative")
	}
	return nil
}

// ClearFaults removes all faults added by SetFault. It closes the connections of calls that hang because of them.
func (s *Simulator) ClearFaults() {
	s.mu.Lock()
	defer s.unlock()
	for _, f := range s.faults {
		close(f.cleared)
	}
	s.faults = nil
}

// activeFaults lists the faults that can still hit a call, oldest first, with the number of calls that each has hit.
func (s *Simulator) activeFaults() []faultView {
	s.mu.Lock()
	defer s.unlock()
	placed := []faultView{}
	for _, f := range s.faults {
		if !f.spent() {
			placed = append(placed, faultView{f.Fault, f.hits})
		}
	}
	return placed
}

type faultView struct {
	Fault Fault `json:"fault"`
	Hits  int   `json:"hits"`
}

// spent reports whether f has hit Times calls. A spent fault stays in the list, so that ClearFaults can end the calls
// that hang because of it.
func (f *installedFault) spent() bool { return f.Times > 0 && f.hits >= f.Times }

func (f *installedFault) fits(c *call) bool {
	return !f.spent() &&
		(f.Plan == "" || f.Plan == c.plan.ID) &&
		(f.Operation == "" || f.Operation == c.operation) &&
		(f.BatchID == "" || f.BatchID == c.batchID())
}

func joinNames[T ~string](words []T) string {
	text := make([]string, len(words))
	for i, w := range words {
		text[i] = string(w)
	}
	return strings.Join(text, ", ")
}
