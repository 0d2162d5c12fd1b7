package store

import (
	"errors"
	"time"

	"github.com/dlrloop/dlrloop/dlr"
)

// Arrival is one thing to keep: what came in, for which plan, and when. It is the unit that Record makes durable and the
// fold takes into the state.
type Arrival struct {
	Plan string    // the service plan; never empty
	At   time.Time // when it was taken in, UTC, cut to the millisecond
	News News      // what it says; one of the types below
}

// Check returns an error for what no store could keep; a callback that the webhook let through never is such.
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

// News is one of Report, Quarantined, Facts, Confirmation, Settlement, Requeue, Checked.
type News interface {
	// Batch is the id of the batch that the news is about; empty for what belongs to none.
	Batch() string
}

// Source says how something became known.
type Source uint8

// The sources.
const (
	FromCallback     Source = iota // Sinch called the webhook
	FromPoll                       // read from Sinch's API
	FromGateway                    // an answer or call that passed the gateway
	FromRegistration               // told by an application
)

func (s Source) String() string {
	return [...]string{"callback", "polled", "gateway", "registered"}[s&3]
}

// Report is a delivery report with the bytes it was read from.
type Report struct {
	*dlr.Report
	Raw    []byte
	Source Source // FromCallback or FromPoll

	part *part // which part of its recipients the report holds; nil for the whole
}

// Batch is the id of the report's batch.
func (r Report) Batch() string { return r.BatchID }

// Quarantined is an authentic callback that was not understood, kept raw.
type Quarantined struct {
	Reason dlr.Reason
	Type   dlr.Type // as it came; may be empty
	Raw    []byte
}

// Batch is empty: what was not understood belongs to no batch.
func (Quarantined) Batch() string { return "" }

// Facts are what Sinch says of a batch. Zero members are unknown or not set.
type Facts struct {
	BatchID         string
	Missing         bool // Sinch does not know the batch; nothing else is set then
	FeedbackEnabled bool
	ReportKind      string // none, summary, full, per_recipient, per_recipient_final
	ClientReference string
	Recipients      int // entries in to, each counted once: numbers and groups
	Groups          int // entries in to that are groups: how many recipients they stand for is not known
	// Numbers are those entries in to that are numbers, as far as they are known by name. They become recipients of the
	// batch before any report names them; Batch.Facts does not hold them.
	Numbers    []string
	Canceled   bool
	CreatedAt  time.Time
	ModifiedAt time.Time // facts of an older modification do not replace newer ones
	SendAt     time.Time
	ExpireAt   time.Time
	Source     Source
	// CheckNow has a batch that was sent and lacks reports asked after at once, whatever its Check says.
	CheckNow bool
}

// Batch is the id of the batch that the facts are about.
func (f Facts) Batch() string { return f.BatchID }

// SentAt is when the batch left, as far as the facts tell: its send_at, else its creation.
func (f Facts) SentAt() time.Time {
	if f.SendAt.After(f.CreatedAt) {
		return f.SendAt
	}
	return f.CreatedAt
}

// Confirmation is an application's word that these recipients received the batch. It names at least one, or is for
// everyone.
type Confirmation struct {
	BatchID    string
	Recipients []string // numbers as they came
	// Everyone is the application's own word that each recipient received the batch: the empty list of Sinch's API. It is
	// sent on as such, and nothing else ever leads to an empty list.
	Everyone bool
}

// Batch is the id of the confirmed batch.
func (c Confirmation) Batch() string { return c.BatchID }

// Settlement is what became of a claimed task's attempt.
type Settlement struct {
	BatchID    string
	Lease      string   // of the claim that is settled
	Recipients []string // those the attempt was about, as claimed
	Everyone   bool     // the attempt was about everyone, as claimed
	Outcome    Outcome
	Reason     Reason
	Detail     string    // a short excerpt for people: no whole number, no secret
	Due        time.Time // Retry: when the task is due again
	// FullRead says that the full report was read and recorded, or that it never will be: the task no longer asks for it.
	FullRead bool
}

// Batch is the id of the settled batch.
func (s Settlement) Batch() string { return s.BatchID }

// Requeue makes dead recipients owed again, at a person's word.
type Requeue struct {
	BatchID    string
	Recipients []string
	Everyone   bool // the word that everyone received the batch, too
}

// Batch is the id of the batch.
func (r Requeue) Batch() string { return r.BatchID }

// Checked says that Sinch was asked after a batch whose Check was due. What it said was recorded before, as a Report. It
// counts once, however often it is recorded: a Check that is not due at its time stays as it is.
type Checked struct {
	BatchID string
	// Refused is why Sinch will not say anything, however often it is asked; empty otherwise.
	Refused string
}

// Batch is the id of the batch that was asked after.
func (c Checked) Batch() string { return c.BatchID }

// Outcome is what a settlement does to the recipients it names.
type Outcome uint8

// The outcomes.
const (
	Progress  Outcome = iota // nothing was asked of Sinch for them; the task is due again at once (a look-up or read succeeded)
	Accepted                 // Sinch accepted them: sent, never owed again
	Retry                    // they stay owed; the attempt counts
	Buried                   // they are dead until a person requeues them
	GivenBack                // they stay owed and due; the attempt does not count
	Split                    // Sinch refused a call that named several of them: they stay owed, and the next call names half as many
)

func (o Outcome) String() string {
	return [...]string{"progress", "accepted", "retry", "buried", "given_back", "split"}[o]
}

// Reason says how an attempt ended. The set is closed: it decides the retry, labels the metric and shows on the page.
type Reason string

// The reasons.
const (
	ReasonAccepted            Reason = "accepted"
	ReasonRateLimited         Reason = "rate_limited"
	ReasonServer              Reason = "server"
	ReasonTimeout             Reason = "timeout"
	ReasonNetwork             Reason = "network"
	ReasonAuth                Reason = "auth"      // the whole plan
	ReasonForbidden           Reason = "forbidden" // one batch
	ReasonUnknownPlan         Reason = "unknown_plan"
	ReasonNotEnabledOrUnknown Reason = "not_enabled_or_unknown"
	ReasonRejected            Reason = "rejected"
	ReasonCanceled            Reason = "canceled"
	ReasonNotANumber          Reason = "not_a_number" // no call was made: Sinch takes numbers only
)

// FeedbackReasons returns the closed set.
func FeedbackReasons() []Reason {
	return []Reason{
		ReasonAccepted, ReasonRateLimited, ReasonServer, ReasonTimeout, ReasonNetwork,
		ReasonAuth, ReasonForbidden, ReasonUnknownPlan, ReasonNotEnabledOrUnknown, ReasonRejected, ReasonCanceled,
		ReasonNotANumber,
	}
}
