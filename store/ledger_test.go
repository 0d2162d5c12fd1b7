package store

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
)

// The numbers are from a range kept for fiction.
const (
	alice = "447700900001"
	bob   = "447700900002"
	carol = "447700900003"
)

// testingT is what require needs of testing.T, testing.F and rapid.T.
type testingT interface {
	require.TestingT
	Helper()
}

// ledger keeps one batch as a store does: it loads only the rows that the arrivals touch, folds copies of them, and writes
// back only what the fold marks as changed. After every fold it checks what must always hold.
type ledger struct {
	t          testingT
	policy     Policy
	batch      *Batch
	recipients map[string]*Recipient
	log        []Logged
	chunk      uint64
	stats      PlanStats
	minutes    map[MinuteKey]int
	changes    []Changes
}

func newLedger(t testingT, p Policy) *ledger {
	return &ledger{
		t: t, policy: p, batch: &Batch{Plan: "plan", ID: "batch"},
		recipients: make(map[string]*Recipient), minutes: make(map[MinuteKey]int),
	}
}

// fold folds the arrivals as one group.
func (l *ledger) fold(arrivals ...Arrival) Changes {
	l.t.Helper()
	l.chunk++
	rows := &Rows{Batch: cloneBatch(l.batch), Recipients: make(map[string]*Row), Chunk: l.chunk}
	touched := make(map[string]bool)
	for _, a := range arrivals {
		Touches(a, func(digits string) {
			touched[digits] = true
			if kept := l.recipients[digits]; kept != nil {
				rows.Recipients[digits] = &Row{Recipient: cloneRecipient(kept)}
			}
		})
	}
	c := Fold(rows, arrivals, l.policy)
	require.Equal(l.t, l.batch.Tally(), c.Before)
	l.batch = rows.Batch
	l.log = append(l.log, rows.Log...)
	l.write(rows, touched)
	l.stats.Apply(c)
	c.Minutes(l.minutes)
	l.changes = append(l.changes, c)
	l.check(c)
	return c
}

func (l *ledger) write(rows *Rows, touched map[string]bool) {
	l.t.Helper()
	for digits, row := range rows.Recipients {
		require.True(l.t, touched[digits], "the fold changes a row that Touches does not name")
		kept := l.recipients[digits]
		require.Equal(l.t, kept == nil, row.New)
		if !row.Changed {
			require.Equal(l.t, *kept, row.Recipient, "a changed row that is not marked")
			continue
		}
		if kept != nil && kept.Feedback == FeedbackSent {
			require.Equal(l.t, FeedbackSent, row.Feedback, "sent is the end")
		}
		l.recipients[digits] = &row.Recipient
	}
}

// check compares what the batch's row counts with what its recipients' rows say.
func (l *ledger) check(c Changes) {
	l.t.Helper()
	b := l.batch
	states := make(map[dlr.Status]int)
	var feedback FeedbackCounts
	for digits, r := range l.recipients {
		if s, named := r.State(); named {
			states[s.Status]++
		}
		feedback.add(r.Feedback, 1)
		require.Equal(l.t, dlr.Digits(r.Number), digits)
		require.Equal(l.t, r.Feedback == FeedbackNone, r.FeedbackAt.IsZero())
		require.LessOrEqual(l.t, len(r.Seen), maxSeen)
	}
	if len(states) > 0 || len(b.States) > 0 {
		require.Equal(l.t, states, b.States)
	}
	require.Equal(l.t, feedback, b.Feedback)
	work := b.Feedback.Owed > 0 || b.WantFull || b.Everyone == FeedbackOwed
	require.Equal(l.t, b.Flag != FlagUnwanted && work, b.Task != nil, "a task exists if and only if there is work")
	dead := b.Feedback.Dead > 0 || b.Everyone == FeedbackDead || b.Dead != nil && b.Dead.Full
	require.Equal(l.t, dead, b.Dead != nil, "what is dead has a reason")
	l.checkMissing()
	require.Equal(l.t, b.Tally(), c.After)
	require.Equal(l.t, c.After, l.stats.Feedback, "the steps add up to the present tally")
	require.Equal(l.t, 1, l.stats.Batches)
	require.Equal(l.t, len(l.recipients), l.stats.Recipients)
	require.Equal(l.t, l.messages(), l.taken(), "what was counted step by step is what the batch says")
	require.Equal(l.t, feedback.Owed+feedback.Sent+feedback.Dead, l.sum(func(c Changes) int { return c.Earned }))
	require.Equal(l.t, feedback.Sent, l.sum(func(c Changes) int { return c.Accepted }))
}

// checkMissing compares the batch's Check with what its recipients' rows say.
func (l *ledger) checkMissing() {
	l.t.Helper()
	b := l.batch
	if b.Facts != nil {
		require.Nil(l.t, b.Facts.Numbers, "who is in a batch stands in the recipients' rows")
		require.False(l.t, b.Facts.CheckNow)
	}
	if l.policy.Missing.Silence == 0 || b.Facts == nil || b.Facts.Missing || b.Facts.ReportKind == "" || b.Facts.ReportKind == "none" {
		require.Nil(l.t, b.Check)
		require.Zero(l.t, b.Tally().Awaited)
		return
	}
	final := 0
	for _, r := range l.recipients {
		if s, _ := r.State(); s.Status.Final() {
			final++
		}
	}
	expected := max(b.Total, b.Facts.Recipients-b.Facts.Groups)
	if len(b.Reports) == 0 {
		awaited := 0
		if b.Check != nil && !b.Check.Due.IsZero() && !b.Facts.SendAt.After(b.LastAt) {
			awaited = max(expected-final, 0)
		}
		require.Equal(l.t, awaited, b.Tally().Awaited, "%d of %d have come", final, expected)
	}
	switch countless := b.Total == 0 && (b.Facts.Groups > 0 || b.Facts.Recipients == 0); {
	case countless:
		require.NotNil(l.t, b.Check, "nobody knows how many are to come")
	case final >= expected:
		require.Nil(l.t, b.Check, "all %d have come", expected)
	case len(b.Reports) == 0:
		require.NotNil(l.t, b.Check, "%d of %d have come", final, expected)
	}
}

func (l *ledger) sum(of func(Changes) int) int {
	n := 0
	for _, c := range l.changes {
		n += of(c)
	}
	return n
}

// messages is Reported without the pairs of which no message is known.
func (l *ledger) messages() map[kind]int {
	known := make(map[kind]int)
	for _, r := range l.batch.Reported {
		if r.Messages() > 0 {
			known[kind{r.Status, r.Code}] = r.Messages()
		}
	}
	return known
}

func (l *ledger) taken() map[kind]int {
	counted := make(map[kind]int)
	for _, c := range l.changes {
		for _, t := range c.Taken {
			if t.Messages != 0 {
				counted[kind{t.Status, t.Code}] += t.Messages
			}
		}
	}
	return counted
}

func (l *ledger) held(number string) dlr.State {
	l.t.Helper()
	s, named := l.recipient(number).State()
	require.True(l.t, named)
	return s
}

func (l *ledger) recipient(number string) *Recipient {
	l.t.Helper()
	r := l.recipients[dlr.Digits(number)]
	require.NotNil(l.t, r)
	return r
}

// in returns the digits of those whose feedback is in the state, sorted.
func (l *ledger) in(s FeedbackState) []string {
	digits := []string{}
	for d, r := range l.recipients {
		if r.Feedback == s {
			digits = append(digits, d)
		}
	}
	slices.Sort(digits)
	return digits
}

func cloneBatch(b *Batch) *Batch {
	c := *b
	c.States = maps.Clone(b.States)
	c.Reported = slices.Clone(b.Reported)
	c.Reports = slices.Clone(b.Reports)
	if b.Facts != nil {
		facts := *b.Facts
		c.Facts = &facts
	}
	if b.Task != nil {
		task := *b.Task
		c.Task = &task
	}
	if b.Dead != nil {
		dead := *b.Dead
		c.Dead = &dead
	}
	if b.Check != nil {
		check := *b.Check
		c.Check = &check
	}
	return &c
}

func cloneRecipient(r *Recipient) Recipient {
	c := *r
	c.Seen = slices.Clone(r.Seen)
	return c
}

var start = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

// at is a moment, seconds after the start.
func at(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }

// arrives is news taken in at that second.
func arrives(second int, n News) Arrival { return Arrival{Plan: "plan", At: at(second), News: n} }

// says is a recipient report.
func says(number string, s dlr.Status, code int, when time.Time) Report {
	return Report{
		Report: &dlr.Report{
			Type: dlr.RecipientSMS, BatchID: "batch", Total: 1,
			Entries: []dlr.Entry{{State: dlr.State{Status: s, Code: code, At: when}, Count: 1, Recipients: []string{number}}},
		},
		Raw: fmt.Appendf(nil, "%s %s %d %s", number, s, code, when),
	}
}

// operatorAt is the report with the carrier's time.
func (r Report) operatorAt(when time.Time) Report {
	c := *r.Report
	c.Entries = slices.Clone(c.Entries)
	c.Entries[0].OperatorAt = when
	return Report{Report: &c, Raw: r.Raw, Source: r.Source}
}

// polled is the report as the reconciler reads it.
func (r Report) polled() Report {
	r.Source = FromPoll
	return r
}

// whole is a batch report.
func whole(total int, entries ...dlr.Entry) Report {
	return Report{
		Report: &dlr.Report{Type: dlr.BatchSMS, BatchID: "batch", Total: total, Entries: entries},
		Raw:    fmt.Appendf(nil, "%d %v", total, entries),
	}
}

func entry(s dlr.Status, code, count int, numbers ...string) dlr.Entry {
	return dlr.Entry{State: dlr.State{Status: s, Code: code}, Count: count, Recipients: numbers}
}

func facts(feedback bool, modified time.Time) Facts {
	return Facts{BatchID: "batch", FeedbackEnabled: feedback, CreatedAt: at(-60), ModifiedAt: modified}
}

func settles(o Outcome, numbers ...string) Settlement {
	return Settlement{BatchID: "batch", Lease: "lease", Recipients: numbers, Outcome: o, Reason: ReasonServer}
}
