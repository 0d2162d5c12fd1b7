package storetest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
)

var wholeBatch = []behavior{
	{"a confirmation for the whole batch is claimed first and alone", wholeBatchFirst},
	{"the confirmation is claimed until Sinch accepts it", wholeBatchRetried},
	{"a repeated confirmation is sent once", wholeBatchOnce},
	{"a dead confirmation stays dead until a requeue", wholeBatchDead},
	{"a requeue covers dead recipients and a dead confirmation", wholeBatchRequeuedWithOthers},
	{"a batch that owes the confirmation is kept", wholeBatchKeeps},
}

func wholeBatchFirst(t *testing.T, place Place) {
	o := open(t, place, Config{})
	o.record(arrives(0, allDelivered("batch", alice, "+"+bob)), arrives(1, forAll("batch")))
	o.reopen()
	c := o.claimOne(plan, sec(1))
	require.True(t, c.WholeBatch)
	require.Equal(t, o.batch(key("batch")), c.Batch)
	require.Empty(t, o.claim(plan, sec(1), 10), "named recipients wait")
	o.settle(c, sec(2), store.OutcomeAccepted)

	for range 2 {
		require.Equal(t, store.FeedbackSent, o.batch(key("batch")).WholeBatch)
		require.Equal(t, store.Tally{PendingTasks: 1, Owed: 2}, o.stats(plan).Feedback)
		o.reopen()
	}
	c = o.claimOne(plan, sec(2))
	require.False(t, c.WholeBatch)
	require.Equal(t, []string{alice, "+" + bob}, c.Recipients)
	o.settle(c, sec(3), store.OutcomeAccepted)
	require.Empty(t, o.claim(plan, sec(10000), 10))
	require.Equal(t, store.Tally{Sent: 2}, o.stats(plan).Feedback)
}

func wholeBatchRetried(t *testing.T, place Place) {
	o := open(t, place, Config{})
	o.record(arrives(0, forAll("batch")))
	require.Equal(t, []string{"batch"}, ids(o.tasks(store.TaskQuery{})))
	retry := settlement(o.claimOne(plan, sec(0)), store.OutcomeRetry)
	retry.Due = sec(10)
	o.record(arrives(1, retry))
	require.Empty(t, o.claim(plan, sec(9), 10))
	c := o.claimOne(plan, sec(10))
	require.True(t, c.WholeBatch)
	require.Equal(t, 1, c.Batch.Task.Attempts)
	o.settle(c, sec(11), store.OutcomeReleased)
	require.True(t, o.claimOne(plan, sec(11)).WholeBatch)
	require.Equal(t, store.FeedbackOwed, o.batch(key("batch")).WholeBatch)
}

func wholeBatchOnce(t *testing.T, place Place) {
	o := open(t, place, Config{})
	o.record(arrives(0, forAll("batch")), arrives(1, forAll("batch")))
	o.settle(o.claimOne(plan, sec(1)), sec(1), store.OutcomeAccepted)
	for i := range 2 {
		o.record(arrives(2+i, forAll("batch")))
		require.Equal(t, store.FeedbackSent, o.batch(key("batch")).WholeBatch)
		require.Empty(t, o.claim(plan, sec(10000), 10))
		require.Zero(t, o.stats(plan).Feedback)
		o.reopen()
	}
}

func wholeBatchDead(t *testing.T, place Place) {
	o := open(t, place, Config{})
	o.record(arrives(0, forAll("batch")))
	o.settle(o.claimOne(plan, sec(0)), sec(1), store.OutcomeDead)
	for range 2 {
		require.Equal(t, store.FeedbackDead, o.batch(key("batch")).WholeBatch)
		require.Equal(t, []string{"batch"}, ids(o.tasks(store.TaskQuery{Dead: true})))
		require.Equal(t, store.Tally{DeadTasks: 1}, o.stats(plan).Feedback)
		require.Empty(t, o.claim(plan, sec(10000), 10))
		o.reopen()
	}
	n, err := o.Requeue(t.Context(), key("batch"), sec(20))
	require.NoError(t, err)
	require.Zero(t, n, "no recipient is dead")
	require.Empty(t, o.tasks(store.TaskQuery{Dead: true}))
	require.Equal(t, store.Tally{PendingTasks: 1}, o.stats(plan).Feedback)
	c := o.claimOne(plan, sec(20))
	require.True(t, c.WholeBatch)
	o.settle(c, sec(21), store.OutcomeAccepted)
	n, err = o.Requeue(t.Context(), key("batch"), sec(30))
	require.NoError(t, err)
	require.Zero(t, n)
	require.Empty(t, o.claim(plan, sec(10000), 10), "a sent confirmation is never owed again")
}

func wholeBatchRequeuedWithOthers(t *testing.T, place Place) {
	const recipients = store.MaxRecipients + 1
	o := open(t, place, Config{})
	o.record(arrives(0, allDelivered("batch", numbers(recipients)...)), arrives(0, forAll("batch")))
	for i := range 3 {
		o.settle(o.claimOne(plan, sec(i)), sec(i), store.OutcomeDead)
	}
	require.Equal(t, store.Tally{DeadTasks: 1, Dead: recipients}, o.stats(plan).Feedback)
	n, err := o.Requeue(t.Context(), key("batch"), sec(10))
	require.NoError(t, err)
	require.Equal(t, recipients, n)
	b := o.batch(key("batch"))
	require.Nil(t, b.Dead)
	require.Equal(t, store.FeedbackOwed, b.WholeBatch)
	require.Equal(t, store.FeedbackCounts{Owed: recipients}, b.Feedback)
	require.True(t, o.claimOne(plan, sec(10)).WholeBatch)
}

func wholeBatchKeeps(t *testing.T, place Place) {
	o := open(t, place, Config{})
	o.record(arrives(0, forAll("batch")))
	later := sec(0).Add(month)
	require.Zero(t, o.deleteOlder(later, 10))
	o.settle(o.claimOne(plan, sec(1)), sec(1), store.OutcomeAccepted)
	require.Equal(t, 1, o.deleteOlder(later, 10))
	require.Zero(t, o.stats(plan).Feedback)
}
