package store

import (
	"time"
)

// Settlement is the result of an attempt at a claimed task.
type Settlement struct {
	BatchID    string
	Lease      string   // from the claim
	Recipients []string // the recipients of the attempt, as claimed
	WholeBatch bool     `json:"Everyone"` // the attempt was for the whole batch, as claimed
	Outcome    Outcome
	Reason     Reason
	Detail     string    // a short excerpt for people, without whole numbers or secrets
	Due        time.Time // for Retry: when the task is due again
	// FullReportFetched is set if the full report was fetched and recorded, or will never be available: the task no longer
	// needs it.
	FullReportFetched bool `json:"FullRead"`
}

// Batch returns the id of the settled batch.
func (s Settlement) Batch() string { return s.BatchID }

// Check returns an error if the batch id is missing.
func (s Settlement) Check() error { return checkBatch(s.BatchID) }

// Names implements Entry.
func (s Settlement) Names() int { return len(s.Recipients) }

// Named implements Entry.
func (s Settlement) Named(i int) ([]string, bool) { return onlyList(i, s.Recipients) }

// Restrict returns s itself: a settlement names at most MaxRecipients, and their number decides when the task is due.
func (s Settlement) Restrict(_, _ int) Entry { return s }

// RawBytes returns nil.
func (Settlement) RawBytes() []byte { return nil }

// WithRaw returns s itself.
func (s Settlement) WithRaw([]byte) Entry { return s }

// Outcome is what a settlement does to its recipients.
type Outcome uint8

// The outcomes of an attempt, with their effect on the recipients of the settlement.
const (
	OutcomeProgress Outcome = iota // no feedback was sent, but a batch or report was fetched; the task is due again at once
	OutcomeAccepted                // Sinch accepted the feedback: the recipients are sent, and never owed again
	OutcomeRetry                   // the recipients stay owed; the attempt counts
	OutcomeDead                    // the recipients are dead until an operator requeues them
	OutcomeReleased                // the recipients stay owed and due; the attempt does not count
	// OutcomeSplit means that Sinch refused a call with several recipients: they stay owed, and the next call names half as
	// many.
	OutcomeSplit
)

func (o Outcome) String() string {
	return [...]string{"progress", "accepted", "retry", "dead", "released", "split"}[o]
}

// Reason is why an attempt ended as it did. The set is closed: the reason decides the retry and labels the metric.
type Reason string

// The reasons. Each is also the value of a metric label.
const (
	ReasonAccepted            Reason = "accepted"
	ReasonRateLimited         Reason = "rate_limited"
	ReasonServer              Reason = "server"
	ReasonTimeout             Reason = "timeout"
	ReasonNetwork             Reason = "network"
	ReasonAuth                Reason = "auth"      // concerns the whole plan
	ReasonForbidden           Reason = "forbidden" // concerns one batch
	ReasonUnknownPlan         Reason = "unknown_plan"
	ReasonNotEnabledOrUnknown Reason = "not_enabled_or_unknown"
	ReasonRejected            Reason = "rejected"
	ReasonCanceled            Reason = "canceled"
	ReasonNotANumber          Reason = "not_a_number" // no call was made: the recipient is not a phone number
)

// FeedbackReasons returns all reasons.
func FeedbackReasons() []Reason {
	return []Reason{
		ReasonAccepted, ReasonRateLimited, ReasonServer, ReasonTimeout, ReasonNetwork,
		ReasonAuth, ReasonForbidden, ReasonUnknownPlan, ReasonNotEnabledOrUnknown, ReasonRejected, ReasonCanceled,
		ReasonNotANumber,
	}
}
