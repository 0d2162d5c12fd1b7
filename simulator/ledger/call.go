package ledger

import (
	"time"

	"github.com/dlrloop/dlrloop/simulator/fault"
)

// Call is the record of one call to the simulated API and of its answer. Fields that do not apply are zero.
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

// FeedbackCall is the record of one delivery feedback call, with which the customer confirms deliveries. It is recorded
// whether it was accepted or refused.
type FeedbackCall struct {
	Ordinal           int        `json:"ordinal"` // from 1
	At                time.Time  `json:"at"`
	Plan              string     `json:"plan"`
	Batch             string     `json:"batch"`
	Recipients        []string   `json:"recipients,omitempty"`         // digits, each once, in the order of the call
	WholeBatch        bool       `json:"whole_batch,omitempty"`        // recipients was []: every recipient
	UnknownRecipients []string   `json:"unknown_recipients,omitempty"` // numbers that are not in the batch
	Status            int        `json:"status"`                       // HTTP status of the answer; 0 if there was none
	Applied           bool       `json:"applied"`                      // the feedback took effect, whatever the answer
	Fault             fault.Kind `json:"fault,omitempty"`
}
