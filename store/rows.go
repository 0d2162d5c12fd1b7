package store

import (
	"time"

	"github.com/dlrloop/dlrloop/dlr"
)

// BatchKey names a batch. Both parts are opaque.
type BatchKey struct{ Plan, BatchID string }

// Flag says whether a batch wants delivery feedback.
type Flag uint8

// The flags. Unknown until Sinch has said it; it is never guessed.
const (
	FlagUnknown Flag = iota
	FlagWanted
	FlagUnwanted
)

func (f Flag) String() string { return [...]string{"unknown", "wanted", "unwanted"}[f%3] }

// Batch is the row of one batch: everything known of it but its recipients. The zero value is a batch never heard of.
type Batch struct {
	Plan, ID        string
	FirstAt, LastAt time.Time // first and last news
	ClientReference string
	Total           int // the largest total_message_count reported
	Flag            Flag
	Facts           *Facts // nil until Sinch was asked or the batch passed the gateway

	// States counts the named recipients by their present status.
	States map[dlr.Status]int
	// Reported counts messages by every status and code they were ever reported in.
	Reported []Reported
	// Reports are the batch reports taken; recipient reports stand with their recipient.
	Reports []BatchReport

	Feedback FeedbackCounts
	Everyone FeedbackState // of the application's word that everyone received the batch
	Task     *Task         // feedback owed and due, or a summary to complete; nil when there is nothing to do
	Dead     *Dead         // why recipients are dead; nil when none is
	Check    *Check        // nil while no report is missing, and while nothing is known of the batch
	WantFull bool          // a report that names nobody came, and nobody has read the full one yet
}

// Key names the batch.
func (b *Batch) Key() BatchKey { return BatchKey{b.Plan, b.ID} }

// Messages is how many messages are known to have been reported in this status and code: those named one by one, or the
// largest number a batch report claimed if that is more. Taking the larger makes a count that no order of arrival changes and that no
// completion of a summary counts twice.
func (r Reported) Messages() int { return max(r.Named, r.Claimed) }

// Reported is how often one status and code was reported in a batch.
type Reported struct {
	Status  dlr.Status
	Code    int
	Named   int // recipients known by name
	Claimed int // the largest count a batch report gave
}

// BatchReport is one batch report that was taken.
type BatchReport struct {
	Key        [16]byte // its content (dlr.Report.ContentKey)
	Type       dlr.Type
	ReceivedAt time.Time
	Source     Source
	Repeats    int
	Ref        Ref
	// Folded is how many of its recipients are folded, of a report that is folded in parts; 0 once all are. See
	// Arrival.Part.
	Folded int
}

// FeedbackCounts counts the recipients of a batch by their feedback state.
type FeedbackCounts struct {
	Owed int // earned, not yet accepted; dropped while the batch's flag says unwanted
	Sent int
	Dead int
}

// Task is the work owed for one batch.
type Task struct {
	Due      time.Time
	Since    time.Time // when the oldest thing owed was earned
	Attempts int       // counted ones since the last success
	Reason   Reason    // of the last attempt; empty before the first
	Detail   string
	// Limit is how many recipients the next call may name; 0 means MaxRecipients. Sinch refuses a call as a whole, so
	// each refusal halves it until a refused recipient is alone, and each accepted call doubles it.
	Limit int
}

// Waits reports whether the batch has a task that is not due at now.
func (b *Batch) Waits(now time.Time) bool { return b.Task != nil && b.Task.Due.After(now) }

// Check is when Sinch is to be asked after a batch, since reports that should have come by then are missing.
type Check struct {
	Due   time.Time // zero: Sinch has said all it will, and is not asked again unless it calls back once more
	Asked int       // how often since the last callback
}

// Dead says why the dead recipients of a batch are dead; of several reasons the last.
type Dead struct {
	At     time.Time
	Reason Reason
	Detail string
	Full   bool // the full report that a summary called for could not be read, so who is owed is not known
}

// FeedbackState is where a recipient's delivery feedback stands.
type FeedbackState uint8

// The states. Owed is shown as dropped while the batch does not want feedback.
const (
	FeedbackNone FeedbackState = iota
	FeedbackOwed
	FeedbackSent
	FeedbackDead
)

func (s FeedbackState) String() string { return [...]string{"none", "owed", "sent", "dead"}[s&3] }

// Recipient is the row of one recipient of one batch.
type Recipient struct {
	Number     string // as it first came
	Seen       []Seen // every report that named it, in the order they were taken
	Feedback   FeedbackState
	FeedbackAt time.Time // when Feedback last changed; zero for FeedbackNone
}

// Seen is a report that named a recipient.
type Seen struct {
	dlr.State
	ReceivedAt time.Time
	Source     Source
	Repeats    int // how often it came again
	Ref        Ref
	Raw        []byte // only where a read says so
}

// Ref finds a report's bytes in the report log. Its meaning is the store's own; zero means not kept.
type Ref struct{ Chunk, Index uint64 }

// MaxAhead is how far a time in a report may be ahead of the report's arrival. A clock that is further ahead is wrong, and
// must not decide which report holds.
const MaxAhead = 5 * time.Minute

// Counted returns the report's state with its times as they count: the report's arrival counts in place of a time more than
// MaxAhead after it. What came stays in s.
func (s Seen) Counted() dlr.State { return counted(s.State, s.ReceivedAt) }

func counted(s dlr.State, receivedAt time.Time) dlr.State {
	if receivedAt.IsZero() {
		return s
	}
	if s.At.Sub(receivedAt) > MaxAhead {
		s.At = receivedAt
	}
	if s.OperatorAt.Sub(receivedAt) > MaxAhead {
		s.OperatorAt = receivedAt
	}
	return s
}

// State is the state that holds, with its times as they count; false when no report has named the recipient.
func (r *Recipient) State() (dlr.State, bool) {
	if len(r.Seen) == 0 {
		return dlr.State{}, false
	}
	best := r.Seen[0].Counted()
	for _, s := range r.Seen[1:] {
		if c := s.Counted(); c.Compare(best) > 0 {
			best = c
		}
	}
	return best, true
}

// Effect says what a report did to a recipient's state.
type Effect string

// The effects.
const (
	Holds        Effect = "holds"        // it is the state
	Superseded   Effect = "superseded"   // it was the state until a report that wins came
	Intermediate Effect = "intermediate" // a final report was there already
	Older        Effect = "older"        // one with a later time was there already
	Outranked    Effect = "outranked"    // at the same time, a status that wins was there already
)

// Effects says what each of r.Seen did, in their order.
func (r *Recipient) Effects() []Effect {
	effects := make([]Effect, len(r.Seen))
	holder := -1
	var held dlr.State
	for i, seen := range r.Seen {
		s := seen.Counted()
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
