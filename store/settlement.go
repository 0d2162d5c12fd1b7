package store

import (
	"time"
)

// Settlement is the result of one attempt at a feedback task that Store.Claim leased. Pass it to Store.Settle.
type Settlement struct {
	BatchID    string
	Lease      string   // Claim.Lease
	Recipients []string // phone numbers from Claim.Recipients that the attempt concerns
	WholeBatch bool     `json:"Everyone"` // Claim.WholeBatch; the tag keeps the stored name
	Outcome    Outcome
	Reason     Reason
	Detail     string    // a short excerpt for people, without whole phone numbers or secrets
	Due        time.Time // for OutcomeRetry: when the task is due again
	// FullReportFetched is set if the full report was fetched and recorded, or will never be available. Then the task
	// no longer includes fetching the full report.
	FullReportFetched bool `json:"FullRead"` // the tag keeps the stored name
}

// Batch returns the id of the batch.
func (s Settlement) Batch() string { return s.BatchID }

// Check returns an error if BatchID is empty.
func (s Settlement) Check() error { return checkBatch(s.BatchID) }

// Names returns how many phone numbers Recipients contains.
func (s Settlement) Names() int { return len(s.Recipients) }

// Named returns Recipients, the only list of phone numbers, for i = 0. It returns false for a larger i.
func (s Settlement) Named(i int) ([]string, bool) { return onlyList(i, s.Recipients) }

// Restrict returns the settlement unchanged. It must not be divided, because the number of its recipients decides when
// the task is due.
func (s Settlement) Restrict(_, _ int) Entry { return s }

// RawBytes returns nil, because a settlement carries no callback body.
func (Settlement) RawBytes() []byte { return nil }

// WithRaw returns the settlement unchanged, because it carries no callback body.
func (s Settlement) WithRaw([]byte) Entry { return s }

// Outcome says what a Settlement, the result of an attempt, does to the feedback task and its recipients.
type Outcome uint8

// The values of Outcome. Boltstore's journal stores them as numbers, so add a new value at the end.
const (
	OutcomeProgress Outcome = iota // a batch or a report was fetched and nothing sent: the task is due again at once
	OutcomeAccepted                // Sinch accepted the feedback: the recipients are sent, and never owed again
	OutcomeRetry                   // the recipients stay owed; the attempt counts
	OutcomeDead                    // the recipients are dead until an operator requeues them
	OutcomeReleased                // the recipients stay owed and due; the attempt does not count
	// OutcomeSplit means that Sinch refused a call with several recipients: the recipients stay owed, and the next call
	// names half as many.
	OutcomeSplit
)

func (o Outcome) String() string {
	return [...]string{"progress", "accepted", "retry", "dead", "released", "split"}[o]
}

// Reason says why a feedback attempt ended as it did. It decides whether and when the relay retries.
type Reason string

// The values of Reason, which the API shows and the metrics use as labels. FeedbackReasons must list each of them.
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

// FeedbackReasons returns all values of Reason, in a new slice.
func FeedbackReasons() []Reason {
	return []Reason{
		ReasonAccepted, ReasonRateLimited, ReasonServer, ReasonTimeout, ReasonNetwork,
		ReasonAuth, ReasonForbidden, ReasonUnknownPlan, ReasonNotEnabledOrUnknown, ReasonRejected, ReasonCanceled,
		ReasonNotANumber,
	}
}
