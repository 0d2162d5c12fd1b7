package fold

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// Phone numbers from a range reserved for fiction.
const (
	alice = "447700900001"
	bob   = "447700900002"
	carol = "447700900003"
)

// testingT is the part of testing.TB that require needs; rapid.T has it too.
type testingT interface {
	require.TestingT
	Helper()
}

// ledger stores one batch in memory as a store does: it loads only the rows that the arrivals touch, folds copies of
// them, and writes back only rows that the fold marked as changed. After every fold it checks the invariants.
type ledger struct {
	t          testingT
	policy     store.Policy
	batch      *store.Batch
	recipients map[string]*store.Recipient
	log        []store.Logged
	events     []store.Event
	seen       int // how many of events the test has looked at
	chunk      uint64
	stats      store.PlanStats
	minutes    map[MinuteKey]int
	changes    []store.Changes
}

func newLedger(t testingT, p store.Policy) *ledger {
	return &ledger{
		t: t, policy: p, batch: &store.Batch{Plan: "plan", ID: "batch"},
		recipients: make(map[string]*store.Recipient), minutes: make(map[MinuteKey]int),
	}
}

// fold folds the arrivals as one group.
func (l *ledger) fold(arrivals ...store.Arrival) store.Changes {
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
	l.events = append(l.events, rows.Events...)
	l.write(rows, touched)
	AddChanges(&l.stats, c)
	AddMinutes(l.minutes, c)
	l.changes = append(l.changes, c)
	l.check(c)
	return c
}

func (l *ledger) write(rows *Rows, touched map[string]bool) {
	l.t.Helper()
	for digits, row := range rows.Recipients {
		require.True(l.t, touched[digits], "Fold must change only rows that Touches names")
		kept := l.recipients[digits]
		require.Equal(l.t, kept == nil, row.New)
		if !row.Changed {
			require.Equal(l.t, *kept, row.Recipient, "a row without Changed must be unchanged")
			continue
		}
		if kept != nil && kept.Feedback == store.FeedbackSent {
			require.Equal(l.t, store.FeedbackSent, row.Feedback, "sent must stay sent")
		}
		l.recipients[digits] = &row.Recipient
	}
}

// check compares the counts in the batch's row with the recipients' rows.
func (l *ledger) check(c store.Changes) {
	l.t.Helper()
	b := l.batch
	states := make(map[dlr.Status]int)
	var feedback store.FeedbackCounts
	for digits, r := range l.recipients {
		if s, named := r.State(); named {
			states[s.Status]++
		}
		feedback.Add(r.Feedback, 1)
		require.Equal(l.t, dlr.Digits(r.Number), digits)
		require.Equal(l.t, r.Feedback == store.FeedbackNone, r.FeedbackAt.IsZero())
		require.LessOrEqual(l.t, len(r.Reports), maxReports)
	}
	if len(states) > 0 || len(b.States) > 0 {
		require.Equal(l.t, states, b.States)
	}
	require.Equal(l.t, feedback, b.Feedback)
	work := b.Feedback.Owed > 0 || b.NeedsFullReport || b.WholeBatch == store.FeedbackOwed
	require.Equal(l.t, b.Flag != store.FlagUnwanted && work, b.Task != nil, "a task exists if and only if there is work")
	dead := b.Feedback.Dead > 0 || b.WholeBatch == store.FeedbackDead || b.Dead != nil && b.Dead.FullReport
	require.Equal(l.t, dead, b.Dead != nil, "Dead is set if and only if something is dead")
	l.checkMissing()
	l.checkEvents()
	require.Equal(l.t, b.Tally(), c.After)
	require.Equal(l.t, c.After, l.stats.Feedback, "the changes must add up to the present tally")
	require.Equal(l.t, 1, l.stats.Batches)
	require.Equal(l.t, len(l.recipients), l.stats.Recipients)
	require.Equal(l.t, l.messages(), l.applied(), "the changes must add up to the batch's counts")
	require.Equal(l.t, feedback.Owed+feedback.Sent+feedback.Dead, l.sum(func(c store.Changes) int { return c.Earned }))
	require.Equal(l.t, feedback.Sent, l.sum(func(c store.Changes) int { return c.Accepted }))
}

// checkEvents compares the events with the recipients' rows and the batch's row.
func (l *ledger) checkEvents() {
	l.t.Helper()
	if !l.policy.Events {
		require.Empty(l.t, l.events)
		require.Zero(l.t, l.batch.Version)
		return
	}
	last, version := make(map[string]dlr.State), int64(0)
	for _, e := range l.events {
		require.Greater(l.t, e.Version, version, "versions must rise")
		version = e.Version
		if e.Type == store.RecipientStatus {
			prior, known := last[dlr.Digits(e.Number)]
			require.False(l.t, known && prior.Status == e.State.Status && prior.Code == e.State.Code, "a repeated event")
			last[dlr.Digits(e.Number)] = e.State
		}
	}
	require.Equal(l.t, version, l.batch.Version)
	for digits, r := range l.recipients {
		s, named := r.State()
		require.Equal(l.t, s.Status, last[digits].Status)
		require.Equal(l.t, s.Code, last[digits].Code)
		if !named {
			require.NotContains(l.t, last, digits)
		}
	}
}

// checkMissing compares the batch's Check with the recipients' rows.
func (l *ledger) checkMissing() {
	l.t.Helper()
	b := l.batch
	if b.Info != nil {
		require.Nil(l.t, b.Info.Numbers, "Numbers must not be stored with the batch")
	}
	info := b.Info
	known := info != nil && !info.Unknown && info.ReportKind != "" && info.ReportKind != "none"
	if l.policy.MissingReports.Silence == 0 || !known {
		require.Nil(l.t, b.Fetch)
		require.Zero(l.t, b.Tally().Missing)
		return
	}
	final := 0
	for _, r := range l.recipients {
		if s, _ := r.State(); s.Status.Final() {
			final++
		}
	}
	expected := max(b.Total, b.Info.Recipients-b.Info.Groups)
	if len(b.Reports) == 0 {
		missing := 0
		if b.Fetch != nil && !b.Fetch.Due.IsZero() && !b.Info.SendAt.After(b.LastAt) {
			missing = max(expected-final, 0)
		}
		require.Equal(l.t, missing, b.Tally().Missing, "%d of %d messages are final", final, expected)
	}
	switch countless := b.Total == 0 && (b.Info.Groups > 0 || b.Info.Recipients == 0); {
	case countless:
		require.NotNil(l.t, b.Fetch, "the number of messages is unknown")
	case final >= expected:
		require.Nil(l.t, b.Fetch, "all %d messages are final", expected)
	case len(b.Reports) == 0:
		require.NotNil(l.t, b.Fetch, "%d of %d messages are final", final, expected)
	}
}

func (l *ledger) sum(of func(store.Changes) int) int {
	n := 0
	for _, c := range l.changes {
		n += of(c)
	}
	return n
}

// messages returns the message counts by status and code, without zero counts.
func (l *ledger) messages() map[kind]int {
	known := make(map[kind]int)
	for _, r := range l.batch.Reported {
		if r.Messages() > 0 {
			known[kind{r.Status, r.Code}] = r.Messages()
		}
	}
	return known
}

func (l *ledger) applied() map[kind]int {
	counted := make(map[kind]int)
	for _, c := range l.changes {
		for _, t := range c.Applied {
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

func (l *ledger) recipient(number string) *store.Recipient {
	l.t.Helper()
	r := l.recipients[dlr.Digits(number)]
	require.NotNil(l.t, r)
	return r
}

// in returns the digits of the recipients whose feedback is in state s, sorted.
func (l *ledger) in(s store.FeedbackState) []string {
	digits := []string{}
	for d, r := range l.recipients {
		if r.Feedback == s {
			digits = append(digits, d)
		}
	}
	slices.Sort(digits)
	return digits
}

func cloneBatch(b *store.Batch) *store.Batch {
	c := *b
	c.States = maps.Clone(b.States)
	c.Reported = slices.Clone(b.Reported)
	c.Reports = slices.Clone(b.Reports)
	if b.Info != nil {
		info := *b.Info
		c.Info = &info
	}
	if b.Task != nil {
		task := *b.Task
		c.Task = &task
	}
	if b.Dead != nil {
		dead := *b.Dead
		c.Dead = &dead
	}
	if b.Fetch != nil {
		check := *b.Fetch
		c.Fetch = &check
	}
	return &c
}

func cloneRecipient(r *store.Recipient) store.Recipient {
	c := *r
	c.Reports = slices.Clone(r.Reports)
	return c
}

var start = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

// at returns the time that many seconds after start.
func at(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }

// arrives returns an arrival at that second.
func arrives(second int, n store.Entry) store.Arrival {
	return store.Arrival{Plan: "plan", At: at(second), Entry: n}
}

// says returns a recipient report.
func says(number string, s dlr.Status, code int, when time.Time) store.Report {
	return store.Report{
		Report: &dlr.Report{
			Type: dlr.RecipientSMS, BatchID: "batch", Total: 1,
			Entries: []dlr.Entry{{State: dlr.State{Status: s, Code: code, At: when}, Count: 1, Recipients: []string{number}}},
		},
		Raw: fmt.Appendf(nil, "%s %s %d %s", number, s, code, when),
	}
}

// operatorAt returns the report with the operator's time added.
func operatorAt(r store.Report, when time.Time) store.Report {
	c := *r.Report
	c.Entries = slices.Clone(c.Entries)
	c.Entries[0].OperatorAt = when
	return store.Report{Report: &c, Raw: r.Raw, Source: r.Source}
}

// polled returns the report as fetched from Sinch.
func polled(r store.Report) store.Report {
	r.Source = store.FromPoll
	return r
}

// whole returns a batch report.
func whole(total int, entries ...dlr.Entry) store.Report {
	return store.Report{
		Report: &dlr.Report{Type: dlr.BatchSMS, BatchID: "batch", Total: total, Entries: entries},
		Raw:    fmt.Appendf(nil, "%d %v", total, entries),
	}
}

func entry(s dlr.Status, code, count int, numbers ...string) dlr.Entry {
	return dlr.Entry{State: dlr.State{Status: s, Code: code}, Count: count, Recipients: numbers}
}

func batchInfo(feedback bool, modified time.Time) store.BatchInfo {
	return store.BatchInfo{BatchID: "batch", FeedbackEnabled: feedback, CreatedAt: at(-60), ModifiedAt: modified}
}

func settles(o store.Outcome, numbers ...string) store.Settlement {
	return store.Settlement{BatchID: "batch", Lease: "lease", Recipients: numbers, Outcome: o, Reason: store.ReasonServer}
}
