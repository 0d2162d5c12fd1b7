package store

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
)

func TestStatsOfSeveralBatches(t *testing.T) {
	var stats PlanStats
	for range 2 {
		l := newLedger(t, Policy{})
		stats.Apply(l.fold(
			arrives(0, says(alice, dlr.Dispatched, 401, at(0))),
			arrives(1, says(alice, dlr.Delivered, 0, at(1))),
			arrives(1, says(alice, dlr.Delivered, 0, at(1))),
			arrives(2, whole(3, entry(dlr.Failed, 150, 2), entry(dlr.Delivered, 0, 1, alice)).polled()),
			arrives(3, settles(Accepted, alice)),
		))
		stats.Apply(l.fold(arrives(4, says(bob, dlr.Delivered, 0, at(4)))))
	}
	require.Equal(t, PlanStats{
		Batches: 2, Recipients: 4, Duplicates: 2, Polled: 2,
		Messages: []StatusTotal{
			{dlr.Delivered, dlr.ClassNone, 4}, {dlr.Dispatched, dlr.ClassQueue, 2}, {dlr.Failed, dlr.ClassHLR, 4},
		},
		Feedback: Tally{PendingTasks: 2, Owed: 2, Sent: 2},
	}, stats)
}

func TestMessagesAreSortedByStatusThenClass(t *testing.T) {
	l := newLedger(t, Policy{})
	l.fold(
		arrives(0, says(alice, dlr.Failed, 150, at(0))), arrives(0, says(alice, dlr.Aborted, 402, at(0))),
		arrives(0, says(alice, dlr.Failed, 0, at(0))), arrives(0, says(bob, dlr.Failed, 151, at(0))),
	)
	require.Equal(t, []StatusTotal{
		{dlr.Aborted, dlr.ClassREST, 1}, {dlr.Failed, dlr.ClassHLR, 2}, {dlr.Failed, dlr.ClassNone, 1},
	}, l.stats.Messages)
}

func TestMinutes(t *testing.T) {
	l := newLedger(t, Policy{})
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

func TestTallyAddAndSub(t *testing.T) {
	a := Tally{PendingTasks: 1, DeadTasks: 2, Owed: 3, Dropped: 4, Sent: 5, Dead: 6, Awaited: 7}
	sum := a
	sum.Add(a)
	require.Equal(t, Tally{2, 4, 6, 8, 10, 12, 14}, sum)
	sum.Sub(a)
	require.Equal(t, a, sum)
}

// A batch with a later send_at is not awaited before it is sent.
func TestScheduledBatchIsNotAwaitedBeforeItIsSent(t *testing.T) {
	l := newLedger(t, fetching)
	f := sends(2)
	f.SendAt = at(100)
	l.fold(arrives(5, f))
	require.NotNil(t, l.batch.Check)
	require.Zero(t, l.batch.Tally().Awaited)
	l.fold(arrives(101, f))
	require.Equal(t, 2, l.batch.Tally().Awaited)
}
