package store

import (
	"time"

	"github.com/dlrloop/dlrloop/dlr"
)

// BatchKey identifies a batch. Both members are opaque.
type BatchKey struct{ Plan, BatchID string }

// Flag is the batch's feedback_enabled: whether Sinch accepts delivery feedback for it.
type Flag uint8

// The flags. A flag is FlagUnknown until Sinch, the gateway or the application has supplied it; it is never guessed.
const (
	FlagUnknown Flag = iota
	FlagWanted
	FlagUnwanted
)

func (f Flag) String() string { return [...]string{"unknown", "wanted", "unwanted"}[f%3] }

// Batch is the row of one batch, without its recipients. The zero value is a batch that has no arrival yet.
type Batch struct {
	Plan, ID        string
	FirstAt, LastAt time.Time // time of the first and the latest arrival
	ClientReference string
	Total           int // the largest total_message_count in its reports
	Flag            Flag
	Info            *BatchInfo // the batch info; nil until it is known

	// States counts the named recipients by present status.
	States map[dlr.Status]int
	// Reported counts messages by every status and code they were ever reported in.
	Reported []Reported
	// Reports are the batch reports applied; a recipient report is kept with its recipient.
	Reports []BatchReport

	Feedback        FeedbackCounts
	WholeBatch      FeedbackState // feedback state of the application's confirmation for the whole batch
	Task            *Task         // nil if no feedback is owed and no full report must be fetched
	Dead            *Dead         // why feedback is dead; nil if none is
	Fetch           *ReportFetch  // when to fetch missing reports; nil if none are missing or the batch info is unknown
	NeedsFullReport bool          // reports count deliveries without naming recipients, and the full report is not fetched yet
}

// Key returns the key of the batch.
func (b *Batch) Key() BatchKey { return BatchKey{b.Plan, b.ID} }

// Messages returns how many messages were reported in this status and code: the larger of the recipients named one by
// one and the largest count in a batch report. The maximum does not depend on the order of arrival, and a full report
// that completes a summary counts nothing twice.
func (r Reported) Messages() int { return max(r.Named, r.Claimed) }

// Reported counts the messages of a batch that were reported in one status and code.
type Reported struct {
	Status  dlr.Status
	Code    int
	Named   int // recipients that reports named
	Claimed int // the largest count in a batch report
}

// BatchReport records one batch report that was applied to a batch.
type BatchReport struct {
	Key        [16]byte // content key (dlr.Report.ContentKey)
	Type       dlr.Type
	ReceivedAt time.Time
	Source     Source
	Repeats    int
	Ref        Ref
	// Folded is how many recipients are folded while the report is folded in parts; 0 once all are.
	Folded int
}

// FeedbackCounts counts the recipients of a batch by their feedback state.
type FeedbackCounts struct {
	Owed int // earned, not yet accepted by Sinch; shown as dropped while the batch's flag is FlagUnwanted
	Sent int
	Dead int
}

// Add adds n recipients in state s; n may be negative.
func (c *FeedbackCounts) Add(s FeedbackState, n int) {
	switch s {
	case FeedbackOwed:
		c.Owed += n
	case FeedbackSent:
		c.Sent += n
	case FeedbackDead:
		c.Dead += n
	case FeedbackNone:
	}
}

// Task is the pending work of one batch: feedback to send or a full report to fetch.
type Task struct {
	Due      time.Time
	Since    time.Time // when the oldest pending work was earned
	Attempts int       // counted attempts since the last success
	Reason   Reason    // of the last attempt; empty before the first
	Detail   string
	// Limit is how many recipients the next call may name; 0 means MaxRecipients. Sinch refuses a call as a whole, so
	// each refusal halves the limit until a refused recipient is alone, and each accepted call doubles it.
	Limit int
}

// Waits reports whether the batch has a task that is not due yet at now.
func (b *Batch) Waits(now time.Time) bool { return b.Task != nil && b.Task.Due.After(now) }

// ReportFetch schedules when the reconciler fetches the missing reports of a batch from Sinch.
type ReportFetch struct {
	Due      time.Time // zero: no further fetch, unless Sinch calls back again
	Attempts int       // fetches since the last callback
}

// Dead holds why feedback of a batch is dead. If there are several reasons, the last one wins.
type Dead struct {
	At         time.Time
	Reason     Reason
	Detail     string
	FullReport bool // a full report could not be fetched, so some recipients that earned feedback may be unknown
}

// FeedbackState is the state of the delivery feedback of a recipient or of a whole batch.
type FeedbackState uint8

// The feedback states. FeedbackOwed is shown as dropped while the batch's flag is FlagUnwanted.
const (
	FeedbackNone FeedbackState = iota
	FeedbackOwed
	FeedbackSent
	FeedbackDead
)

func (s FeedbackState) String() string { return [...]string{"none", "owed", "sent", "dead"}[s&3] }

// Recipient is the row of one recipient of one batch.
type Recipient struct {
	Number     string            // as first received
	Reports    []RecipientReport // the reports that named it, in the order in which they were applied; at most 64
	Feedback   FeedbackState
	FeedbackAt time.Time // when Feedback last changed; zero for FeedbackNone
}

// RecipientReport is a report that named a recipient.
type RecipientReport struct {
	dlr.State
	ReceivedAt time.Time
	Source     Source
	Repeats    int // how often the same report came again
	Ref        Ref
	Raw        []byte // nil unless the read that returned it fills it in
}

// Ref locates a report's bytes in the report log. Each store defines its meaning; zero means not kept.
type Ref struct{ Chunk, Index uint64 }

// Logged is one entry of the report log.
type Logged struct {
	ReceivedAt time.Time
	Type       dlr.Type
	Source     Source
	Raw        []byte
}

// MaxAhead is how far a report's time may lie after its arrival. A time further ahead comes from a wrong clock and
// must not decide which report wins.
const MaxAhead = 5 * time.Minute

// Counted returns the state with the times used for comparison: the arrival replaces each time more than MaxAhead
// after it. s keeps the times as received.
func (s RecipientReport) Counted() dlr.State {
	if s.ReceivedAt.IsZero() {
		return s.State
	}
	if s.At.Sub(s.ReceivedAt) > MaxAhead {
		s.At = s.ReceivedAt
	}
	if s.OperatorAt.Sub(s.ReceivedAt) > MaxAhead {
		s.OperatorAt = s.ReceivedAt
	}
	return s.State
}

// State returns the recipient's present state with the times of RecipientReport.Counted, and false if no report named it.
func (r *Recipient) State() (dlr.State, bool) {
	if len(r.Reports) == 0 {
		return dlr.State{}, false
	}
	best := r.Reports[0].Counted()
	for _, s := range r.Reports[1:] {
		if c := s.Counted(); c.Compare(best) > 0 {
			best = c
		}
	}
	return best, true
}

// Effect is what a report did to the state of a recipient.
type Effect string

// The effects of a report on the state of a recipient.
const (
	Holds        Effect = "holds"        // the report is the present state
	Superseded   Effect = "superseded"   // the report was the state until another one won
	Intermediate Effect = "intermediate" // a final report was there already
	Older        Effect = "older"        // a report with a later time was there already
	Outranked    Effect = "outranked"    // at the same time, a status that wins was there already
)

// Effects returns the effect of each report in r.Reports, in the same order.
func (r *Recipient) Effects() []Effect {
	effects := make([]Effect, len(r.Reports))
	holder := -1
	var held dlr.State
	for i, report := range r.Reports {
		s := report.Counted()
		switch {
		case holder < 0 || s.Compare(held) > 0:
			if holder >= 0 {
				effects[holder] = Superseded
			}
			effects[i], holder, held = Holds, i, s
		case s.Status.Final() != held.Status.Final():
			effects[i] = Intermediate
		case s.Time().Before(held.Time()):
			effects[i] = Older
		default:
			effects[i] = Outranked
		}
	}
	return effects
}
