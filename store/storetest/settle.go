package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

var settling = []behavior{
	{"accepted is final", settleAccepted},
	{"accepting some recipients leaves the others owed", settlePartly},
	{"a retry is due at its own time, not at the end of the lease", settleRetry},
	{"a released task is due at once", settleReleased},
	{"progress makes the task due at once", settleProgress},
	{"dead recipients stay dead until a requeue", settleDead},
	{"a requeue ends the wait of a pending task", settleWaiting},
	{"a full report that cannot be fetched is dead and can be requeued", settleWithoutFullReport},
	{"many dead recipients are requeued at once", requeueMany},
	{"a repeated settlement changes nothing", settleTwice},
	{"a canceled settlement does not block the task", settleAndCancel},
}

func settleAccepted(t *testing.T, place Place) {
	o := open(t, place, Config{})
	o.record(arrives(0, allDelivered("batch", alice, "+"+bob)))
	o.settle(o.claimOne(plan, sec(1)), sec(2), store.OutcomeAccepted)
	for range 2 {
		require.Equal(t, store.FeedbackCounts{Sent: 2}, o.batch(key("batch")).Feedback)
		require.Nil(t, o.batch(key("batch")).Task)
		require.Equal(t, store.FeedbackSent, o.recipient(key("batch"), bob).Feedback)
		require.Equal(t, store.Tally{Sent: 2}, o.stats(plan).Feedback)
		require.Empty(t, o.tasks(store.TaskQuery{}))
		require.Empty(t, o.claim(plan, sec(10000), 10))

		o.record(arrives(3, delivered("batch", alice)), arrives(3, confirms("batch", bob)))
		require.Empty(t, o.claim(plan, sec(10000), 10), "sent recipients are never owed again")
		o.reopen()
	}
}

func settlePartly(t *testing.T, place Place) {
	o := open(t, place, Config{})
	o.record(arrives(0, allDelivered("batch", alice, bob, carol)))
	c := o.claimOne(plan, sec(1))
	c.Recipients = c.Recipients[:1]
	o.settle(c, sec(2), store.OutcomeAccepted)
	require.Equal(t, []string{bob, carol}, o.claimOne(plan, sec(2)).Recipients)
}

func settleRetry(t *testing.T, place Place) {
	o := open(t, place, Config{})
	o.record(arrives(0, delivered("batch", alice)))
	for attempt := 1; attempt <= 3; attempt++ {
		due := sec(attempt * 10)
		retry := settlement(o.claimOne(plan, due.Add(-10*time.Second)), store.OutcomeRetry)
		retry.Due = due
		o.record(at(due.Add(-9*time.Second), plan, retry))
		require.Empty(t, o.claim(plan, due.Add(-time.Millisecond), 10))
		require.Equal(t, attempt, o.batch(key("batch")).Task.Attempts)
		require.Equal(t, due, o.tasks(store.TaskQuery{})[0].Task.Due)
	}
	require.Equal(t, store.FeedbackOwed, o.recipient(key("batch"), alice).Feedback)
	o.reopen()
	require.Empty(t, o.claim(plan, sec(30).Add(-time.Millisecond), 10))
	require.Equal(t, 3, o.claimOne(plan, sec(30)).Batch.Task.Attempts)
}

func settleReleased(t *testing.T, place Place) {
	o := open(t, place, Config{})
	o.record(arrives(0, delivered("batch", alice)))
	c := o.claimOne(plan, sec(1))
	o.settle(c, sec(1), store.OutcomeReleased)
	again := o.claimOne(plan, sec(1))
	require.Zero(t, again.Batch.Task.Attempts, "the attempt must not count")
	require.Equal(t, c.Batch.Task, again.Batch.Task)
	require.Equal(t, []string{alice}, again.Recipients)
}

func settleProgress(t *testing.T, place Place) {
	o := open(t, place, Config{Policies: func(string) store.Policy { return store.Policy{Coalesce: time.Hour} }})
	o.record(arrives(0, delivered("batch", alice)))
	c := o.claimOne(plan, sec(3600))
	o.record(arrives(3601, batchInfo("batch", true, sec(0))))
	o.settle(c, sec(3601), store.OutcomeProgress)
	again := o.claimOne(plan, sec(3601))
	require.Equal(t, store.FlagWanted, again.Batch.Flag)
	require.Equal(t, []string{alice}, again.Recipients)
}

func settleDead(t *testing.T, place Place) {
	ctx := context.Background()
	o := open(t, place, Config{})
	o.record(arrives(0, allDelivered("batch", alice, bob)))
	dead := settlement(o.claimOne(plan, sec(1)), store.OutcomeDead)
	dead.Reason, dead.Detail = store.ReasonRejected, "400 syntax_constraint_violation"
	o.record(arrives(2, dead))
	for range 2 {
		require.Equal(t, store.FeedbackCounts{Dead: 2}, o.batch(key("batch")).Feedback)
		dead := &store.Dead{At: sec(2), Reason: store.ReasonRejected, Detail: "400 syntax_constraint_violation"}
		require.Equal(t, dead, o.batch(key("batch")).Dead)
		require.Equal(t, store.FeedbackDead, o.recipient(key("batch"), alice).Feedback)
		require.Equal(t, store.Tally{DeadTasks: 1, Dead: 2}, o.stats(plan).Feedback)
		require.Equal(t, []string{"batch"}, ids(o.tasks(store.TaskQuery{Dead: true})))
		require.Empty(t, o.tasks(store.TaskQuery{}))
		require.Empty(t, o.claim(plan, sec(10000), 10))
		o.record(arrives(3, delivered("batch", alice)), arrives(3, confirms("batch", bob)))
		o.reopen()
	}
	n, err := o.Requeue(ctx, key("batch"), sec(20))
	require.NoError(t, err)
	require.Equal(t, 2, n)
	require.Empty(t, o.tasks(store.TaskQuery{Dead: true}))
	require.Equal(t, []string{"batch"}, ids(o.tasks(store.TaskQuery{})))
	require.Equal(t, store.Tally{PendingTasks: 1, Owed: 2}, o.stats(plan).Feedback)
	require.Empty(t, o.claim(plan, sec(19), 10))
	o.settle(o.claimOne(plan, sec(20)), sec(21), store.OutcomeAccepted)
	require.Equal(t, store.Tally{Sent: 2}, o.stats(plan).Feedback)

	n, err = o.Requeue(ctx, key("batch"), sec(30))
	require.NoError(t, err)
	require.Zero(t, n, "a requeue without dead recipients is not an error")
	require.Empty(t, o.tasks(store.TaskQuery{}))
}

func settleWaiting(t *testing.T, place Place) {
	o := open(t, place, Config{})
	o.record(arrives(0, allDelivered("batch", alice, bob)))
	parked := settlement(o.claimOne(plan, sec(1)), store.OutcomeRetry)
	parked.Due = sec(86400)
	o.record(arrives(2, parked))
	require.Empty(t, o.claim(plan, sec(100), 10))
	n, err := o.Requeue(context.Background(), key("batch"), sec(100))
	require.NoError(t, err)
	require.Zero(t, n, "no recipient was dead")
	require.Equal(t, sec(100), o.batch(key("batch")).Task.Due)
	require.Equal(t, 1, o.batch(key("batch")).Task.Attempts, "earlier attempts still count")

	// The plan may be paused, so SendNow is also set if the task is due already.
	_, err = o.Requeue(context.Background(), key("batch"), sec(100))
	require.NoError(t, err)
	sendNow := func() (n int) {
		o.reopen()
		o.observed.mu.Lock()
		defer o.observed.mu.Unlock()
		for _, c := range o.observed.changes {
			if c.SendNow {
				n++
			}
		}
		return n
	}
	require.Equal(t, 2, sendNow())
	o.settle(o.claimOne(plan, sec(100)), sec(101), store.OutcomeAccepted)
	require.Equal(t, store.Tally{Sent: 2}, o.stats(plan).Feedback)
	_, err = o.Requeue(context.Background(), key("batch"), sec(102))
	require.NoError(t, err)
	require.Equal(t, 2, sendNow(), "SendNow is not set if no feedback is owed")
}

func settleWithoutFullReport(t *testing.T, place Place) {
	o := open(t, place, Config{})
	o.record(arrives(0, whole("batch", entry{Status: dlr.Delivered, Count: 2})))
	c := o.claimOne(plan, sec(0))
	unreadable := settlement(c, store.OutcomeDead)
	unreadable.FullReportFetched = true
	o.record(arrives(1, unreadable))
	require.True(t, o.batch(key("batch")).Dead.FullReport)
	require.Equal(t, []string{"batch"}, ids(o.tasks(store.TaskQuery{Dead: true})))
	require.Empty(t, o.claim(plan, sec(100), 10))
	o.reopen()

	n, err := o.Requeue(t.Context(), key("batch"), sec(2))
	require.NoError(t, err)
	require.Zero(t, n, "no recipient is dead")
	require.Empty(t, o.tasks(store.TaskQuery{Dead: true}))
	require.True(t, o.claimOne(plan, sec(2)).Batch.NeedsFullReport)
}

func requeueMany(t *testing.T, place Place) {
	const recipients = 2*store.MaxRecipients + 1
	o := open(t, place, Config{})
	o.record(arrives(0, allDelivered("batch", numbers(recipients)...)))
	for i := range 3 {
		o.settle(o.claimOne(plan, sec(i)), sec(i), store.OutcomeDead)
	}
	require.Equal(t, recipients, o.batch(key("batch")).Feedback.Dead)
	n, err := o.Requeue(t.Context(), key("batch"), sec(10))
	require.NoError(t, err)
	require.Equal(t, recipients, n)
	require.Equal(t, store.FeedbackCounts{Owed: recipients}, o.batch(key("batch")).Feedback)
	require.Len(t, o.claimOne(plan, sec(10)).Recipients, store.MaxRecipients)
}

func settleTwice(t *testing.T, place Place) {
	o := open(t, place, Config{})
	o.record(arrives(0, allDelivered("batch", alice, bob)))
	c := o.claimOne(plan, sec(1))
	c.Recipients = []string{alice}
	o.settle(c, sec(2), store.OutcomeAccepted)
	next := o.claimOne(plan, sec(2))
	o.settle(c, sec(2), store.OutcomeAccepted)
	require.Empty(t, o.claim(plan, sec(3), 10), "the repeat must not end the next lease")
	o.settle(next, sec(3), store.OutcomeAccepted)
	require.Equal(t, store.Tally{Sent: 2}, o.stats(plan).Feedback)
	require.NoError(t, o.Close())
	o.observed.mu.Lock()
	defer o.observed.mu.Unlock()
	accepted := 0
	for _, c := range o.observed.changes {
		accepted += c.Accepted
	}
	require.Equal(t, 2, accepted)
}

// settleAndCancel tests settlements whose call of Record was canceled, so that the caller cannot know whether they are
// stored. If one is not stored, its task must be due again when the lease ends.
func settleAndCancel(t *testing.T, place Place) {
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	o := open(t, place, Config{})
	for i := range 20 {
		id := fmt.Sprint(i)
		now := sec(0).Add(time.Duration(i) * time.Hour)
		o.record(at(now, plan, delivered(id, alice)))
		c := o.claimOne(plan, now)
		err := o.Record(canceled, at(now, plan, settlement(c, store.OutcomeAccepted)))
		o.record(at(now, plan, delivered(id, alice))) // once this returns, the settlement is stored or lost
		claims := o.claim(plan, now.Add(leaseTime+time.Millisecond), 10)
		if err == nil {
			require.Equal(t, 1, o.batch(key(id)).Feedback.Sent)
		}
		require.Len(t, claims, o.batch(key(id)).Feedback.Owed)
		for _, c := range claims {
			o.settle(c, now, store.OutcomeAccepted)
		}
	}
}
