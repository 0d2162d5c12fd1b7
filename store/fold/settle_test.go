package fold

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// owing returns a ledger whose batch has owed feedback for these numbers since second 0.
func owing(t *testing.T, numbers ...string) *ledger {
	t.Helper()
	l := newLedger(t, store.Policy{Coalesce: 5 * time.Second})
	l.fold(arrives(0, whole(len(numbers), entry(dlr.Delivered, 0, len(numbers), numbers...))))
	return l
}

func TestAccepted(t *testing.T) {
	l := owing(t, alice, bob)
	c := l.fold(arrives(7, settles(store.OutcomeAccepted, "+"+alice, bob)))
	require.Equal(t, 2, c.Accepted)
	require.Equal(t, []string{alice, bob}, l.in(store.FeedbackSent))
	require.Equal(t, at(7), l.recipient(alice).FeedbackAt)
	require.Nil(t, l.batch.Task)

	c = l.fold(
		arrives(8, says(alice, dlr.Delivered, 0, at(8))),
		arrives(9, store.Confirmation{BatchID: "batch", Recipients: []string{alice}}),
		arrives(10, whole(2, entry(dlr.Delivered, 0, 2, alice, bob))),
	)
	require.Zero(t, c.Earned, "a sent recipient is never owed again")
	require.Nil(t, l.batch.Task)
}

func TestAcceptedTwice(t *testing.T) {
	l := owing(t, alice)
	settled := arrives(7, settles(store.OutcomeAccepted, alice, "+"+alice))
	require.Equal(t, 1, l.fold(settled).Accepted, "a number listed twice is accepted once")
	require.Zero(t, l.fold(settled).Accepted)
}

func TestAcceptedAppliesWithoutATask(t *testing.T) {
	l := owing(t, alice, bob)
	l.fold(arrives(1, settles(store.OutcomeDead, alice)), arrives(2, batchInfo(false, at(2))))
	require.Nil(t, l.batch.Task)
	c := l.fold(arrives(3, settles(store.OutcomeAccepted, alice, bob, carol)))
	require.Equal(t, 2, c.Accepted, "dead and dropped recipients are sent; a recipient that earned nothing has no row")
	require.Nil(t, l.batch.Dead)
	require.Equal(t, store.Tally{Sent: 2}, c.After)
}

func TestAcceptedForSomeRecipients(t *testing.T) {
	l := owing(t, alice)
	l.fold(arrives(3, settles(store.OutcomeRetry)), arrives(6, says(bob, dlr.Delivered, 0, at(6))))
	l.fold(arrives(7, settles(store.OutcomeAccepted, alice)))
	require.Equal(t, &store.Task{Due: at(12), Since: at(7)}, l.batch.Task,
		"new recipients wait for Coalesce, without attempts")
}

func TestAcceptedForAFullCall(t *testing.T) {
	numbers := make([]string, 2*store.MaxRecipients+1)
	for i := range numbers {
		numbers[i] = fmt.Sprintf("4477009%05d", i)
	}
	l := owing(t, numbers...)
	l.fold(arrives(7, settles(store.OutcomeAccepted, numbers[:store.MaxRecipients]...)))
	require.Equal(t, &store.Task{Due: at(7), Since: at(0)}, l.batch.Task, "recipients beyond a full call are due at once")
	l.fold(arrives(8, settles(store.OutcomeAccepted, numbers[store.MaxRecipients:2*store.MaxRecipients]...)))
	require.Equal(t, &store.Task{Due: at(8), Since: at(0)}, l.batch.Task)
	l.fold(arrives(9, settles(store.OutcomeAccepted, numbers[2*store.MaxRecipients])))
	require.Nil(t, l.batch.Task)
}

func TestAcceptedWhileTheNextCallIsFull(t *testing.T) {
	l := owing(t, alice)
	numbers := make([]string, store.MaxRecipients)
	for i := range numbers {
		numbers[i] = fmt.Sprintf("4477009%05d", i+100)
	}
	l.fold(arrives(1, whole(len(numbers), entry(dlr.Delivered, 0, len(numbers), numbers...))))
	l.fold(arrives(7, settles(store.OutcomeAccepted, alice)))
	require.Equal(t, &store.Task{Due: at(7), Since: at(7)}, l.batch.Task)
}

func TestRetry(t *testing.T) {
	l := owing(t, alice)
	failed := settles(store.OutcomeRetry, alice)
	failed.Due, failed.Detail = at(30), "503 from Sinch"
	l.fold(arrives(7, failed))
	want := &store.Task{Due: at(30), Since: at(0), Attempts: 1, Reason: store.ReasonServer, Detail: "503 from Sinch"}
	require.Equal(t, want, l.batch.Task)
	failed.Due, failed.Reason = at(90), store.ReasonTimeout
	l.fold(arrives(31, failed))
	want = &store.Task{Due: at(90), Since: at(0), Attempts: 2, Reason: store.ReasonTimeout, Detail: "503 from Sinch"}
	require.Equal(t, want, l.batch.Task)
	require.Equal(t, []string{alice}, l.in(store.FeedbackOwed))
}

func TestSplit(t *testing.T) {
	l := owing(t, alice, bob, carol)
	refused := settles(store.OutcomeSplit, alice, bob, carol)
	refused.Reason, refused.Detail = store.ReasonRejected, "400 from Sinch"
	c := l.fold(arrives(7, refused), arrives(7, refused))
	require.Equal(t, c.Before, c.After)
	split := &store.Task{Due: at(7), Since: at(0), Reason: store.ReasonRejected, Detail: "400 from Sinch", Limit: 1}
	require.Equal(t, split, l.batch.Task, "a repeated Split splits once")

	failed := settles(store.OutcomeRetry, alice)
	failed.Due = at(30)
	l.fold(arrives(8, failed))
	require.Equal(t, 1, l.batch.Task.Limit, "a failure keeps the limit")
	l.fold(arrives(31, settles(store.OutcomeDead, alice)))
	require.Equal(t, &store.Task{Due: at(31), Since: at(0), Limit: 1}, l.batch.Task)
	l.fold(arrives(32, settles(store.OutcomeAccepted, bob)))
	require.Equal(t, &store.Task{Due: at(32), Since: at(0), Limit: 2}, l.batch.Task, "the limit grows")
	l.fold(arrives(33, settles(store.OutcomeAccepted, carol)))
	require.Nil(t, l.batch.Task)
	require.Equal(t, store.FeedbackCounts{Sent: 2, Dead: 1}, l.batch.Feedback)
}

func TestSplitEndsOnceAFullCallIsAccepted(t *testing.T) {
	numbers := make([]string, 2*store.MaxRecipients)
	for i := range numbers {
		numbers[i] = fmt.Sprintf("4477009%05d", i)
	}
	l := owing(t, numbers...)
	l.fold(arrives(7, settles(store.OutcomeSplit, numbers[:store.MaxRecipients]...)))
	require.Equal(t, store.MaxRecipients/2, l.batch.Task.Limit)
	l.fold(arrives(8, settles(store.OutcomeAccepted, numbers[:store.MaxRecipients/2]...)))
	require.Equal(t, &store.Task{Due: at(8), Since: at(0)}, l.batch.Task)
}

func TestProgress(t *testing.T) {
	l := owing(t, alice)
	l.fold(arrives(1, settles(store.OutcomeRetry, alice)), arrives(7, settles(store.OutcomeProgress)))
	require.Equal(t, &store.Task{Due: at(7), Since: at(0)}, l.batch.Task, "due at once, with no attempt counted")
	require.Equal(t, []string{alice}, l.in(store.FeedbackOwed))
}

func TestReleased(t *testing.T) {
	l := owing(t, alice)
	before := *l.batch.Task
	given := settles(store.OutcomeReleased, alice)
	given.Reason, given.Due = store.ReasonCanceled, at(99)
	c := l.fold(arrives(7, given))
	require.Equal(t, &before, l.batch.Task, "the task stays due, and the attempt does not count")
	require.Equal(t, []string{alice}, l.in(store.FeedbackOwed))
	require.Equal(t, c.Before, c.After)
}

func TestDead(t *testing.T) {
	l := owing(t, alice, bob)
	settlement := settles(store.OutcomeDead, alice, alice)
	settlement.Reason, settlement.Detail = store.ReasonRejected, "400 syntax_constraint_violation"
	c := l.fold(arrives(7, settlement))
	require.Equal(t, 1, c.Dead, "a number listed twice counts once")
	require.Equal(t, []string{alice}, l.in(store.FeedbackDead))
	require.Equal(t, at(7), l.recipient(alice).FeedbackAt)
	dead := &store.Dead{At: at(7), Reason: store.ReasonRejected, Detail: "400 syntax_constraint_violation"}
	require.Equal(t, dead, l.batch.Dead)
	require.Equal(t, &store.Task{Due: at(7), Since: at(0)}, l.batch.Task, "the other recipients are due")

	c = l.fold(
		arrives(8, says(alice, dlr.Delivered, 0, at(8))),
		arrives(9, store.Confirmation{BatchID: "batch", Recipients: []string{alice}}),
	)
	require.Zero(t, c.Earned, "dead recipients need a requeue")

	settlement.Recipients, settlement.Reason = []string{bob}, store.ReasonAuth
	l.fold(arrives(10, settlement))
	require.Equal(t, store.ReasonAuth, l.batch.Dead.Reason, "the last reason wins")
	require.Nil(t, l.batch.Task)
}

func TestLateDeadChangesNothing(t *testing.T) {
	t.Run("sent", func(t *testing.T) {
		l := owing(t, alice, bob)
		l.fold(arrives(1, settles(store.OutcomeAccepted, alice)))
		require.Zero(t, l.fold(arrives(2, settles(store.OutcomeDead, alice))).Dead, "accepted recipients stay sent")
		require.Nil(t, l.batch.Dead)
	})
	t.Run("dropped", func(t *testing.T) {
		l := owing(t, alice)
		l.fold(arrives(1, batchInfo(false, at(1))))
		c := l.fold(arrives(2, settles(store.OutcomeDead, alice)))
		require.Equal(t, store.Tally{Dropped: 1}, c.After, "unwanted feedback does not become dead")
	})
	t.Run("after another reason", func(t *testing.T) {
		l := owing(t, alice, bob, carol)
		rejected := settles(store.OutcomeDead, alice)
		rejected.Reason = store.ReasonRejected
		l.fold(
			arrives(1, rejected),
			arrives(2, settles(store.OutcomeAccepted, bob)),
			arrives(3, settles(store.OutcomeDead, bob)),
		)
		require.Equal(t, store.ReasonRejected, l.batch.Dead.Reason, "the reason stays if no recipient became dead")
		require.Equal(t, at(1), l.batch.Dead.At)
	})
}

func TestSettlementsWithoutATaskChangeNothing(t *testing.T) {
	for _, o := range []store.Outcome{
		store.OutcomeProgress, store.OutcomeRetry, store.OutcomeDead, store.OutcomeReleased,
	} {
		t.Run(o.String(), func(t *testing.T) {
			l := owing(t, alice)
			l.fold(arrives(1, settles(store.OutcomeAccepted, alice)))
			before := cloneBatch(l.batch)
			s := settles(o, alice)
			s.FullReportFetched = true
			l.fold(arrives(2, s))
			before.LastAt = at(2)
			require.Equal(t, before, l.batch)
		})
	}
}

func TestFullReportThatCannotBeFetched(t *testing.T) {
	unreadable := store.Settlement{
		BatchID: "batch", Outcome: store.OutcomeDead, Reason: store.ReasonNotEnabledOrUnknown, FullReportFetched: true,
	}
	summary := whole(2, entry(dlr.Delivered, 0, 2))
	dead := func(t *testing.T) *ledger {
		l := newLedger(t, store.Policy{})
		l.fold(arrives(0, summary))
		c := l.fold(arrives(1, unreadable))
		require.Equal(t, store.Tally{DeadTasks: 1}, c.After)
		require.Equal(t, &store.Dead{At: at(1), Reason: store.ReasonNotEnabledOrUnknown, FullReport: true}, l.batch.Dead)
		require.False(t, l.batch.NeedsFullReport)
		return l
	}
	t.Run("is dead", func(t *testing.T) { dead(t) })
	t.Run("stays dead when recipients become dead", func(t *testing.T) {
		l := dead(t)
		l.fold(arrives(2, says(alice, dlr.Delivered, 0, at(2))), arrives(3, settles(store.OutcomeDead, alice)))
		require.True(t, l.batch.Dead.FullReport)
	})
	t.Run("stays dead when it is settled twice", func(t *testing.T) {
		l := dead(t)
		l.fold(arrives(2, unreadable), arrives(3, says(alice, dlr.Delivered, 0, at(2))), arrives(4, unreadable))
		require.True(t, l.batch.Dead.FullReport)
		require.Equal(t, at(1), l.batch.Dead.At)
	})
	t.Run("stays dead when recipients are accepted", func(t *testing.T) {
		l := dead(t)
		l.fold(arrives(2, says(alice, dlr.Delivered, 0, at(2))), arrives(3, settles(store.OutcomeAccepted, alice)))
		require.True(t, l.batch.Dead.FullReport)
	})
	t.Run("is needed again after a requeue", func(t *testing.T) {
		l := dead(t)
		c := l.fold(arrives(2, store.Requeue{BatchID: "batch"}))
		require.Equal(t, store.Tally{PendingTasks: 1}, c.After)
		require.True(t, l.batch.NeedsFullReport)
		require.Nil(t, l.batch.Dead)
		l.fold(arrives(3, store.Settlement{BatchID: "batch", Outcome: store.OutcomeProgress, FullReportFetched: true}))
		require.Nil(t, l.batch.Task)
	})
	t.Run("is not needed once it was called back", func(t *testing.T) {
		l := dead(t)
		l.fold(arrives(2, whole(2, entry(dlr.Delivered, 0, 2, alice, bob))))
		require.Nil(t, l.batch.Dead)
		require.Equal(t, []string{alice, bob}, l.in(store.FeedbackOwed))
	})
	t.Run("is not needed once it was fetched", func(t *testing.T) {
		l := dead(t)
		l.fold(arrives(2, whole(4, entry(dlr.Delivered, 0, 4))))
		require.True(t, l.batch.NeedsFullReport)
		l.fold(arrives(3, polled(whole(4, entry(dlr.Delivered, 0, 4, alice, bob)))),
			arrives(4, store.Settlement{BatchID: "batch", Outcome: store.OutcomeProgress, FullReportFetched: true}))
		require.Nil(t, l.batch.Dead)
	})
	t.Run("is not dead if it was fetched meanwhile", func(t *testing.T) {
		l := newLedger(t, store.Policy{})
		fetched := polled(whole(2, entry(dlr.Delivered, 0, 2, alice, bob)))
		l.fold(arrives(0, summary), arrives(1, fetched), arrives(2, unreadable))
		require.Nil(t, l.batch.Dead)
		require.Equal(t, []string{alice, bob}, l.in(store.FeedbackOwed))
	})
	t.Run("is not dead if feedback is unwanted", func(t *testing.T) {
		l := newLedger(t, store.Policy{})
		l.fold(arrives(0, summary), arrives(1, batchInfo(false, at(1))), arrives(2, unreadable))
		require.Nil(t, l.batch.Dead)
		l.fold(arrives(3, batchInfo(true, at(2))))
		require.NotNil(t, l.batch.Task, "it is still needed if the batch wants feedback later")
	})
}

func TestRequeue(t *testing.T) {
	l := owing(t, alice, bob, carol)
	l.fold(arrives(1, settles(store.OutcomeDead, alice, bob)), arrives(2, settles(store.OutcomeAccepted, carol)))
	require.Nil(t, l.batch.Task)

	c := l.fold(arrives(8, store.Requeue{BatchID: "batch", Recipients: []string{alice, "+" + alice, carol}}))
	require.Equal(t, 1, c.Requeued, "only dead recipients, each once")
	require.Equal(t, []string{alice}, l.in(store.FeedbackOwed))
	require.Equal(t, []string{carol}, l.in(store.FeedbackSent))
	require.Equal(t, &store.Task{Due: at(8), Since: at(8)}, l.batch.Task, "due at once")
	require.NotNil(t, l.batch.Dead, "bob is still dead")

	l.fold(arrives(9, store.Requeue{BatchID: "batch", Recipients: []string{bob}}))
	require.Nil(t, l.batch.Dead)
	require.Equal(t, &store.Task{Due: at(9), Since: at(8)}, l.batch.Task)
}

// TestRequeueWithoutDeadRecipientsEndsTheWait requeues a batch without dead recipients: its task is due at once.
func TestRequeueWithoutDeadRecipientsEndsTheWait(t *testing.T) {
	l := owing(t, alice)
	failed := settles(store.OutcomeRetry, alice)
	failed.Due = at(600)
	l.fold(arrives(1, failed))
	before := *l.batch.Task
	c := l.fold(arrives(2, store.Requeue{BatchID: "batch", Recipients: []string{alice, bob}}))
	require.Zero(t, c.Requeued)
	before.Due = at(2)
	require.Equal(t, &before, l.batch.Task)
}

func TestRequeueOfABatchThatWantsNoFeedback(t *testing.T) {
	l := owing(t, alice)
	l.fold(arrives(1, settles(store.OutcomeDead, alice)), arrives(2, batchInfo(false, at(2))))
	c := l.fold(arrives(3, store.Requeue{BatchID: "batch", Recipients: []string{alice}}))
	require.Equal(t, store.Tally{Dropped: 1}, c.After)
}

func TestDeadRecipientCanStillBeAccepted(t *testing.T) {
	l := owing(t, alice, bob)
	l.fold(arrives(1, settles(store.OutcomeDead, alice, bob)), arrives(2, settles(store.OutcomeAccepted, alice)))
	require.NotNil(t, l.batch.Dead)
	l.fold(arrives(3, settles(store.OutcomeAccepted, bob)))
	require.Nil(t, l.batch.Dead, "no recipient is dead any more")
}

func TestChangesListTheSettledLeases(t *testing.T) {
	l := owing(t, alice)
	late := settles(store.OutcomeDead, alice)
	late.Lease = "an earlier lease"
	c := l.fold(
		arrives(2, late),
		arrives(3, settles(store.OutcomeAccepted, alice)),
		arrives(4, settles(store.OutcomeRetry, alice)),
	)
	require.Equal(t, []string{"an earlier lease", "lease", "lease"}, c.Settled)
	require.Empty(t, l.fold(arrives(5, batchInfo(true, at(0)))).Settled)
}
