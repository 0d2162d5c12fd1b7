package store

import (
	"time"

	"github.com/dlrloop/dlrloop/dlr"
)

// BatchKey identifies a batch by the id of its service plan and the id of the batch, both as assigned by Sinch.
type BatchKey struct{ Plan, BatchID string }

// Flag says whether the application sent a batch with feedback_enabled. Only then does Sinch accept feedback for it.
type Flag uint8

// The values of Batch.Flag. It is FlagUnknown until batch info (the properties of the batch) arrives.
const (
	FlagUnknown Flag = iota
	FlagWanted
	FlagUnwanted
)

func (f Flag) String() string { return [...]string{"unknown", "wanted", "unwanted"}[f%3] }

// Batch is the stored row of one batch, without its recipients. In a new row, only Plan and ID are set.
type Batch struct {
	Plan, ID        string
	FirstAt, LastAt time.Time // when the first and the latest arrival of the batch were received
	ClientReference string
	Total           int        // the largest total_message_count in its reports
	Flag            Flag       // whether Sinch accepts feedback
	Info            *BatchInfo // nil until batch info arrives

	// States counts recipients by present status: those that a report named.
	States map[dlr.Status]int
	// Reported counts messages by each status and code that any report contained.
	Reported []Reported
	// Reports lists the applied batch reports, oldest first, at most 64. Recipient.Reports lists recipient reports.
	Reports []BatchReport

	Feedback   FeedbackCounts // recipients by feedback state
	WholeBatch FeedbackState  // feedback state of the application's confirmation for the whole batch
	Task       *Task          // nil if no feedback is owed and no full report must be fetched
	Dead       *Dead          // why feedback is dead; nil if no feedback is dead
	Fetch      *ReportFetch   // when to fetch missing reports; nil if no report is missing or Info is nil
	// NeedsFullReport is set if a report counts deliveries without naming the recipients, until the full report has
	// named them.
	NeedsFullReport bool
	Version         int64 // Event.Version of the batch's latest event; 0 if it has none
}

// Key returns the key of the batch.
func (b *Batch) Key() BatchKey { return BatchKey{b.Plan, b.ID} }

// Messages returns how many messages have this status and code. It returns the larger of Named and Claimed, not the
// sum, because both may count the same messages.
func (r Reported) Messages() int { return max(r.Named, r.Claimed) }

// Reported counts the messages of one batch that have the same status and code according to its reports.
type Reported struct {
	Status  dlr.Status
	Code    int
	Named   int // recipients that reports named in this status and code
	Claimed int // the largest count in any one batch report
}

// BatchReport describes one batch report that was applied to its batch. Stores recognize repeats of the report by it.
type BatchReport struct {
	Key        [16]byte // content key (dlr.Report.ContentKey)
	Type       dlr.Type
	ReceivedAt time.Time
	Source     Source
	Repeats    int // how often the same report was received again
	Ref        Ref // place of the body in the report log
	// Folded is how many of the report's recipients are folded, while the report is folded in parts; 0 once the whole
	// report is folded.
	Folded int
}

// FeedbackCounts counts the recipients of a batch by feedback state: owed (to be sent), sent, and dead (given up).
type FeedbackCounts struct {
	Owed int // earned, not yet accepted by Sinch; shown as dropped while the batch's flag is FlagUnwanted
	Sent int
	Dead int
}

// Add adds n, which may be negative, to the count of recipients in the feedback state s. It does nothing for
// FeedbackNone, which is not counted.
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

// Task is the pending work of one batch: to send feedback, or to fetch the full report, which names the recipients.
type Task struct {
	Due      time.Time // when the task may be claimed
	Since    time.Time // when the oldest pending work arose
	Attempts int       // attempts with OutcomeRetry since the last call that succeeded
	Reason   Reason    // why the last attempt failed; empty before the first attempt
	Detail   string    // Settlement.Detail of the last attempt
	// Limit is how many recipients the next feedback call may name; 0 means MaxRecipients. Sinch refuses a call as a
	// whole, so each refusal halves Limit until a refused recipient is alone, and each accepted call doubles Limit.
	Limit int
}

// Waits reports whether the batch has a task that becomes due later than the time now.
func (b *Batch) Waits(now time.Time) bool { return b.Task != nil && b.Task.Due.After(now) }

// ReportFetch schedules when dlrloop next fetches the missing reports of a batch from Sinch.
type ReportFetch struct {
	Due      time.Time // when the next fetch is due; zero means none until Sinch calls back again
	Attempts int       // fetches since the last callback
}

// Dead says why dlrloop gave up feedback of a batch, until an operator requeues it. It describes the latest Settlement
// (result of an attempt) that gave up.
type Dead struct {
	At         time.Time // when that settlement arrived
	Reason     Reason
	Detail     string // Settlement.Detail
	FullReport bool   // a full report could not be fetched, so some recipients that earned feedback may be unknown
}

// FeedbackState is the state of the delivery feedback of a recipient or of a whole batch.
type FeedbackState uint8

// The feedback states: not earned, to be sent, accepted by Sinch, and given up until an operator requeues it. The API
// shows FeedbackState.String, but dropped instead of owed if Batch.Flag is FlagUnwanted.
const (
	FeedbackNone FeedbackState = iota
	FeedbackOwed
	FeedbackSent
	FeedbackDead
)

func (s FeedbackState) String() string { return [...]string{"none", "owed", "sent", "dead"}[s&3] }

// Recipient is the stored row of one recipient of one batch.
type Recipient struct {
	Number     string            // phone number as first received
	Reports    []RecipientReport // reports that named the recipient, in the order in which they were applied; at most 64
	Feedback   FeedbackState
	FeedbackAt time.Time // when Feedback last changed; zero for FeedbackNone
}

// RecipientReport is what one report says about one recipient, and when and how dlrloop received that report.
type RecipientReport struct {
	dlr.State  // as reported; Counted corrects its times
	ReceivedAt time.Time
	Source     Source
	Repeats    int // how often the same report was received again
	Ref        Ref // place of the body in the report log
}

// RecipientWithBodies is a recipient with the bodies of the reports that named it.
type RecipientWithBodies struct {
	*Recipient
	Bodies [][]byte // Bodies[i] is the body of Reports[i]; nil if the store omits it or no longer has it
}

// Ref locates the body of a report in the report log, which keeps a batch's reports as received. Each store defines
// what Chunk and Index mean. The zero Ref means that the body is not kept.
type Ref struct{ Chunk, Index uint64 }

// Logged is one entry of the report log, which keeps a batch's reports as received.
type Logged struct {
	ReceivedAt time.Time
	Type       dlr.Type
	Source     Source
	Raw        []byte
}

// MaxAhead is how far the time in a report may be ahead of the time at which dlrloop received the report. A later time
// comes from a wrong clock, and the time of receipt counts instead.
const MaxAhead = 5 * time.Minute

// Counted returns the reported state with the times that count when reports are compared. A time more than MaxAhead
// after ReceivedAt becomes ReceivedAt.
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

// State returns the recipient's present state: the one that wins by dlr.State.Compare among its reports, with their
// times corrected by RecipientReport.Counted. It returns false if no report named the recipient.
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

// Effect says whether a report determines the present state of a recipient, and if not, why not.
type Effect string

// The values of Effect. The API shows one for each report of a recipient.
const (
	Holds        Effect = "holds"        // the report is the present state
	Superseded   Effect = "superseded"   // the report was the state until another one won
	Intermediate Effect = "intermediate" // the status is intermediate, and a final status was known before
	Older        Effect = "older"        // a report with a later time was known before
	Outranked    Effect = "outranked"    // a report with the same time and a status that wins was known before
)

// Effects returns the effect of each of the recipient's reports, in the order of Reports, in a new slice.
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
