package storetest

import (
	"maps"
	"slices"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// compare checks that the reads of the store return what the model predicts.
func (m *machine) compare(t *rapid.T) {
	var tally store.Tally
	var pending, dead []string
	messages := map[dlr.Status]int{}
	for id, b := range m.batches {
		if !b.known() {
			continue
		}
		k := store.BatchKey{Plan: m.plan, BatchID: id}
		states := map[dlr.Status]int{}
		feedback := map[string]store.FeedbackState{}
		for _, r := range m.o.recipients(k, store.RecipientQuery{}) {
			d := dlr.Digits(r.Number)
			feedback[d] = r.Feedback
			known := b.named[d] || len(b.reported[d]) > 0 || b.feedback[d] != store.FeedbackNone
			require.True(t, known, "a recipient that no arrival named")
			held, _ := r.State()
			require.Equal(t, b.status(d), held.Status)
			require.Len(t, r.Reports, len(b.reported[d]))
			if held.Status != "" {
				states[held.Status]++
			}
			for _, s := range distinctStatuses(b.reported[d]) {
				messages[s]++
			}
		}
		maps.DeleteFunc(feedback, func(_ string, s store.FeedbackState) bool { return s == store.FeedbackNone })
		require.Equal(t, b.feedback, feedback)
		row := m.o.batch(k)
		if len(states) > 0 {
			require.Equal(t, states, row.States)
		}
		counts := store.FeedbackCounts{
			Owed: len(b.in(store.FeedbackOwed)), Sent: len(b.in(store.FeedbackSent)), Dead: len(b.in(store.FeedbackDead)),
		}
		require.Equal(t, counts, row.Feedback)
		require.Equal(t, b.wholeBatch, row.WholeBatch)
		if row.Fetch != nil && !row.Fetch.Due.IsZero() && !row.Info.SendAt.After(row.LastAt) {
			tally.Missing += row.Missing()
		}
		tally.Sent, tally.Dead = tally.Sent+counts.Sent, tally.Dead+counts.Dead
		if b.unwanted {
			tally.Dropped += counts.Owed
		} else {
			tally.Owed += counts.Owed
		}
		if b.pending() {
			pending = append(pending, id)
		}
		if counts.Dead > 0 || b.wholeBatch == store.FeedbackDead {
			dead = append(dead, id)
		}
	}
	tally.PendingTasks, tally.DeadTasks = len(pending), len(dead)
	require.ElementsMatch(t, pending, ids(m.o.tasks(store.TaskQuery{Plan: m.plan})))
	require.ElementsMatch(t, dead, ids(m.o.tasks(store.TaskQuery{Plan: m.plan, Dead: true})))
	m.compareMissingReports(t)
	if len(m.sent) == 0 {
		return
	}
	stats := m.o.stats(m.plan)
	require.Equal(t, tally, stats.Feedback)
	counted := map[dlr.Status]int{}
	for _, s := range stats.Messages {
		counted[s.Status] += s.Messages
	}
	require.Equal(t, messages, counted)
}

func distinctStatuses(reported map[time.Time]dlr.Status) []dlr.Status {
	all := slices.Sorted(maps.Values(reported))
	return slices.Compact(all)
}

// compareMissingReports checks that MissingReports returns exactly the batches whose row says that a fetch is due.
func (m *machine) compareMissingReports(t *rapid.T) {
	for _, now := range []time.Time{m.now, m.now.Add(time.Hour), sec(1e7)} {
		var want []string
		for id, b := range m.batches {
			if !b.known() {
				continue
			}
			c := m.o.batch(store.BatchKey{Plan: m.plan, BatchID: id}).Fetch
			if c != nil && !c.Due.IsZero() && !c.Due.After(now) {
				want = append(want, id)
			}
		}
		got := m.o.missingReports(m.plan, now, 100)
		require.ElementsMatch(t, want, ids(got))
		require.True(t, slices.IsSortedFunc(got, func(a, b *store.Batch) int { return a.Fetch.Due.Compare(b.Fetch.Due) }))
	}
}
