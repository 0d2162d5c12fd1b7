package fold

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

func TestStatsOfSeveralBatches(t *testing.T) {
	var stats store.PlanStats
	for range 2 {
		l := newLedger(t, store.Policy{})
		AddChanges(&stats, l.fold(
			arrives(0, says(alice, dlr.Dispatched, 401, at(0))),
			arrives(1, says(alice, dlr.Delivered, 0, at(1))),
			arrives(1, says(alice, dlr.Delivered, 0, at(1))),
			arrives(2, polled(whole(3, entry(dlr.Failed, 150, 2), entry(dlr.Delivered, 0, 1, alice)))),
			arrives(3, settles(store.OutcomeAccepted, alice)),
		))
		AddChanges(&stats, l.fold(arrives(4, says(bob, dlr.Delivered, 0, at(4)))))
	}
	require.Equal(t, store.PlanStats{
		Batches: 2, Recipients: 4, Duplicates: 2, Polled: 2,
		Messages: []store.StatusTotal{
			{Status: dlr.Delivered, Class: dlr.ClassNone, Messages: 4},
			{Status: dlr.Dispatched, Class: dlr.ClassQueue, Messages: 2},
			{Status: dlr.Failed, Class: dlr.ClassHLR, Messages: 4},
		},
		Feedback: store.Tally{PendingTasks: 2, Owed: 2, Sent: 2},
	}, stats)
}

func TestMessagesAreSortedByStatusThenClass(t *testing.T) {
	l := newLedger(t, store.Policy{})
	l.fold(
		arrives(0, says(alice, dlr.Failed, 150, at(0))), arrives(0, says(alice, dlr.Aborted, 402, at(0))),
		arrives(0, says(alice, dlr.Failed, 0, at(0))), arrives(0, says(bob, dlr.Failed, 151, at(0))),
	)
	require.Equal(t, []store.StatusTotal{
		{Status: dlr.Aborted, Class: dlr.ClassREST, Messages: 1},
		{Status: dlr.Failed, Class: dlr.ClassHLR, Messages: 2},
		{Status: dlr.Failed, Class: dlr.ClassNone, Messages: 1},
	}, l.stats.Messages)
}

func TestMinutes(t *testing.T) {
	l := newLedger(t, store.Policy{})
	l.fold(
		arrives(0, says(alice, dlr.Delivered, 0, at(-500))), // counted by time of arrival
		arrives(59, says(bob, dlr.Delivered, 0, at(0))),
		arrives(59, says(bob, dlr.Delivered, 0, at(0))),
		arrives(60, says(carol, dlr.Delivered, 0, at(0))),
		arrives(61, says(carol, "Teleported", 0, at(0))),
		arrives(62, whole(9, entry(dlr.Failed, 34, 5))),
	)
	first, second := start, start.Add(time.Minute)
	require.Equal(t, map[MinuteKey]int{
		{first, "plan", dlr.Delivered}: 2, {second, "plan", dlr.Delivered}: 1,
		{second, "plan", dlr.Other}: 1, {second, "plan", dlr.Failed}: 5,
	}, l.minutes)
}

// A batch with a later send_at is not awaited before it is sent.
func TestScheduledBatchMissesNothingBeforeItIsSent(t *testing.T) {
	l := newLedger(t, fetching)
	f := sends(2)
	f.SendAt = at(100)
	l.fold(arrives(5, f))
	require.NotNil(t, l.batch.Fetch)
	require.Zero(t, l.batch.Tally().Missing)
	l.fold(arrives(101, f))
	require.Equal(t, 2, l.batch.Tally().Missing)
}
