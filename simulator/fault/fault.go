package fault

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dlrloop/dlrloop/simulator/xms"
)

// Kind is the way in which a Fault makes an API call fail, for example "hang".
type Kind string

// The values of Kind, as the JSON of /control/faults writes them. In the comments below, "handled" means that the
// simulator executes the call, so that the call takes effect even if its answer is an error or is never sent.
const (
	Latency         Kind = "latency"           // handled after Latency, unless the caller disconnects before
	Status          Kind = "status"            // not handled; answered with Status
	Hang            Kind = "hang"              // not handled and never answered
	Reset           Kind = "reset"             // not handled; the connection is reset
	AppliedBut500   Kind = "applied_but_500"   // handled, but answered with Status, by default 500
	AppliedButHang  Kind = "applied_but_hang"  // handled, but never answered
	AppliedButReset Kind = "applied_but_reset" // handled, but the connection is reset
)

var kinds = []Kind{
	Latency, Status, Hang, Reset, AppliedBut500, AppliedButHang, AppliedButReset,
}

// Applies reports whether a call takes effect despite a fault of this kind. It is true for the empty kind (no fault).
func (k Kind) Applies() bool {
	return k != Status && k != Hang && k != Reset
}

func (k Kind) hangs() bool { return k == Hang || k == AppliedButHang }

// Fault makes those API calls fail that match its Plan, Operation and BatchID. An empty field matches any call.
type Fault struct {
	Plan      string
	Operation Operation
	BatchID   string
	Kind      Kind
	// Status is the HTTP status that the kinds status and applied_but_500 answer.
	Status int
	// RetryAfter is the value of the Retry-After header of any answer; empty means no header.
	RetryAfter string
	// Body is the response body that the kinds status and applied_but_500 answer.
	Body string
	// Latency is how long the call is delayed before it is handled. For a hang it is the time until the connection is
	// closed; 0 means until the caller disconnects or ClearFaults is called.
	Latency time.Duration
	// Times is the number of calls to hit; 0 means all until ClearFaults.
	Times int
}

// faultJSON is the JSON form of a Fault in the requests and answers of /control/faults. Latency is a text such as
// "1.5s".
type faultJSON struct {
	Plan       string    `json:"plan,omitempty"`
	Operation  Operation `json:"operation,omitempty"`
	BatchID    string    `json:"batch_id,omitempty"`
	Kind       Kind      `json:"kind"`
	Status     int       `json:"status,omitempty"`
	RetryAfter string    `json:"retry_after,omitempty"`
	Body       string    `json:"body,omitempty"`
	Latency    string    `json:"latency,omitempty"`
	Times      int       `json:"times,omitempty"`
}

// MarshalJSON returns f as JSON, with Latency as text such as "1.5s". It leaves out fields that are zero.
func (f Fault) MarshalJSON() ([]byte, error) {
	shown := faultJSON{f.Plan, f.Operation, f.BatchID, f.Kind, f.Status, f.RetryAfter, f.Body, "", f.Times}
	if f.Latency != 0 {
		shown.Latency = f.Latency.String()
	}
	return json.Marshal(shown)
}

// UnmarshalJSON reads the JSON form that MarshalJSON writes. It returns an error for unknown fields and for a Latency
// that is not a duration. It does not check the other values: Set.Add does.
func (f *Fault) UnmarshalJSON(b []byte) error {
	var read faultJSON
	if err := xms.DecodeStrictly(bytes.NewReader(b), &read); err != nil {
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

func (f Fault) check() error {
	switch {
	case !slices.Contains(kinds, f.Kind):
		return fmt.Errorf("unknown kind %q; use one of %s", f.Kind, joinNames(kinds))
	case f.Operation != "" && !slices.Contains(operations, f.Operation):
		return fmt.Errorf("unknown operation %q; use one of %s", f.Operation, joinNames(operations))
	case f.Kind == Status && f.Status == 0:
		return errors.New("kind status requires a status")
	case f.Status != 0 && f.Kind != Status && f.Kind != AppliedBut500:
		return fmt.Errorf("kind %s does not take a status", f.Kind)
	case f.Status != 0 && (f.Status < 200 || f.Status > 599):
		return fmt.Errorf("status %d must be between 200 and 599", f.Status)
	case f.Kind == Latency && f.Latency == 0:
		return errors.New("kind latency requires a latency")
	case f.Latency < 0 || f.Times < 0:
		return errors.New("latency and times must not be negative")
	}
	return nil
}

func joinNames[T ~string](words []T) string {
	text := make([]string, len(words))
	for i, w := range words {
		text[i] = string(w)
	}
	return strings.Join(text, ", ")
}
