package store

import (
	"errors"
	"time"

	"github.com/dlrloop/dlrloop/dlr"
)

// Arrival is one thing to store: what arrived, for which plan, and when. Record makes an arrival durable, and the
// fold applies it to the state.
type Arrival struct {
	Plan string    // the service plan; never empty
	At   time.Time // time of arrival, UTC, truncated to the millisecond
	News News      // the content: one of the types below
}

// Check returns an error if the arrival is incomplete. A callback that the webhook accepted is always complete.
func (a Arrival) Check() error {
	if a.Plan == "" {
		return errors.New("record: no plan")
	}
	if a.News == nil {
		return errors.New("record: no news")
	}
	if r, ok := a.News.(Report); ok && r.Report == nil {
		return errors.New("record: no report")
	}
	if _, ok := a.News.(Quarantined); !ok && a.News.Batch() == "" {
		return errors.New("record: no batch id")
	}
	return nil
}

// News is the content of an arrival: a Report, Quarantined, Facts, Confirmation, Settlement, Requeue or Checked.
type News interface {
	// Batch returns the batch id; empty if the content belongs to no batch.
	Batch() string
}

// Source is where a report or batch info came from.
type Source uint8

// The sources of a report or of batch info.
const (
	FromCallback     Source = iota // a callback of the webhook
	FromPoll                       // fetched from Sinch's API
	FromGateway                    // observed in a request or an answer that the gateway proxied
	FromRegistration               // registered by the application
)

func (s Source) String() string {
	return [...]string{"callback", "polled", "gateway", "registered"}[s&3]
}

// Report is a delivery report with its raw bytes.
type Report struct {
	*dlr.Report
	Raw    []byte
	Source Source // FromCallback or FromPoll
}

// Batch returns the id of the report's batch.
func (r Report) Batch() string { return r.BatchID }

// Quarantined is an authentic callback that was not understood. It is kept raw.
type Quarantined struct {
	Reason dlr.Reason
	Type   dlr.Type // as received; may be empty
	Raw    []byte
}

// Batch returns "": quarantined callbacks belong to no batch.
func (Quarantined) Batch() string { return "" }

// Facts is the batch info: the properties of a batch at Sinch. A zero member is unknown or not set.
type Facts struct {
	BatchID         string
	Missing         bool // Sinch answered that the batch is unknown; only BatchID and Source are set then
	FeedbackEnabled bool
	ReportKind      string // none, summary, full, per_recipient, per_recipient_final
	ClientReference string
	Recipients      int // distinct entries in the batch's to: numbers and groups
	Groups          int // those of Recipients that are groups; the size of a group is unknown
	// Numbers lists the entries in to that are numbers, if known. They become recipients of the batch before any
	// report names them. Batch.Facts does not keep them.
	Numbers    []string
	Canceled   bool
	CreatedAt  time.Time
	ModifiedAt time.Time // older batch info never replaces newer
	SendAt     time.Time
	ExpireAt   time.Time
	Source     Source
	// CheckNow makes a batch with missing reports due for a fetch at once, unless its SendAt is still ahead. It
	// overrides Check.
	CheckNow bool
}

// Batch returns the id of the batch that f describes.
func (f Facts) Batch() string { return f.BatchID }

// SentAt returns when Sinch sent the batch: SendAt, or CreatedAt if that is later. It is zero if both are unknown.
func (f Facts) SentAt() time.Time {
	if f.SendAt.After(f.CreatedAt) {
		return f.SendAt
	}
	return f.CreatedAt
}

// Confirmation is the application's statement that recipients received the batch. It names at least one recipient or
// sets Everyone.
type Confirmation struct {
	BatchID    string
	Recipients []string // numbers as received
	// Everyone is set if the application sent an empty list, which in Sinch's API means that every recipient received
	// the batch. Only then does dlrloop send an empty list to Sinch.
	Everyone bool
}

// Batch returns the id of the confirmed batch.
func (c Confirmation) Batch() string { return c.BatchID }

// Settlement is the result of an attempt at a claimed task.
type Settlement struct {
	BatchID    string
	Lease      string   // from the claim
	Recipients []string // the recipients of the attempt, as claimed
	Everyone   bool     // the attempt was for the whole batch, as claimed
	Outcome    Outcome
	Reason     Reason
	Detail     string    // a short excerpt for people, without whole numbers or secrets
	Due        time.Time // for Retry: when the task is due again
	// FullRead is set if the full report was fetched and recorded, or will never be available: the task no longer
	// needs it.
	FullRead bool
}

// Batch returns the id of the settled batch.
func (s Settlement) Batch() string { return s.BatchID }

// Requeue makes dead recipients owed again. An operator requests it.
type Requeue struct {
	BatchID    string
	Recipients []string
	Everyone   bool // also requeue the confirmation for the whole batch
}

// Batch returns the id of the requeued batch.
func (r Requeue) Batch() string { return r.BatchID }

// Checked records that the reconciler fetched the report of a batch whose Check was due. The report itself was
// recorded before, as a Report. Recording a Checked again has no effect: a Check that is not due at the time of
// arrival stays as it is.
type Checked struct {
	BatchID string
	// Refused is the reason why Sinch will never return a report for this batch; empty otherwise.
	Refused string
}

// Batch returns the id of the checked batch.
func (c Checked) Batch() string { return c.BatchID }

// Outcome is what a settlement does to its recipients.
type Outcome uint8

// The outcomes of an attempt, with their effect on the recipients of the settlement.
const (
	Progress  Outcome = iota // no feedback was sent, but a batch or report was fetched; the task is due again at once
	Accepted                 // Sinch accepted the feedback: the recipients are sent, and never owed again
	Retry                    // the recipients stay owed; the attempt counts
	Buried                   // the recipients are dead until an operator requeues them
	GivenBack                // the recipients stay owed and due; the attempt does not count
	// Split means that Sinch refused a call with several recipients: they stay owed, and the next call names half as
	// many.
	Split
)

func (o Outcome) String() string {
	return [...]string{"progress", "accepted", "retry", "buried", "given_back", "split"}[o]
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
