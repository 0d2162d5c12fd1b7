package store

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
)

var everyone = Confirmation{BatchID: "batch", Everyone: true}

// settlesEveryone is the result of a call for the whole batch.
func settlesEveryone(o Outcome) Settlement {
	s := settles(o)
	s.Everyone = true
	return s
}

// confirmed returns a ledger in which the application confirmed the whole batch at second 0.
func confirmed(t *testing.T) *ledger {
	t.Helper()
	l := newLedger(t, Policy{On: OnConfirmed, Coalesce: 5 * time.Second})
	c := l.fold(arrives(0, everyone))
	require.Equal(t, FeedbackOwed, l.batch.Everyone)
	require.Equal(t, &Task{Due: at(5), Since: at(0)}, l.batch.Task, "the task waits for Coalesce like any other")
	require.Equal(t, Tally{PendingTasks: 1}, c.After)
	require.Zero(t, c.Earned, "Earned counts recipients, and none is named")
	require.Empty(t, l.recipients)
	return l
}

func TestConfirmationForTheWholeBatch(t *testing.T) {
	for _, on := range []On{"", OnDelivered, OnConfirmed, OnBoth} {
		l := newLedger(t, Policy{On: on})
		l.fold(arrives(0, everyone))
		require.Equal(t, FeedbackOwed, l.batch.Everyone, "on %q", on)
		require.NotNil(t, l.batch.Task)
	}
	l := newLedger(t, Policy{On: OnOff})
	l.fold(arrives(0, everyone))
	require.Equal(t, FeedbackNone, l.batch.Everyone)
	require.Nil(t, l.batch.Task)
}

func TestWholeBatchIsSentOnce(t *testing.T) {
	for name, outcome := range map[FeedbackState]Outcome{FeedbackSent: Accepted, FeedbackDead: Buried} {
		t.Run(name.String(), func(t *testing.T) {
			l := confirmed(t)
			l.fold(arrives(7, settlesEveryone(outcome)))
			require.Equal(t, name, l.batch.Everyone)
			require.Nil(t, l.batch.Task)
			l.fold(arrives(8, everyone))
			require.Equal(t, name, l.batch.Everyone, "a repeated confirmation earns nothing")
			require.Nil(t, l.batch.Task)
		})
	}
	l := confirmed(t)
	l.fold(arrives(3, everyone))
	require.Equal(t, &Task{Due: at(5), Since: at(0)}, l.batch.Task, "a repeated confirmation does not postpone the task")
}

func TestWholeBatchNotAcceptedYet(t *testing.T) {
	l := confirmed(t)
	retry := settlesEveryone(Retry)
	retry.Due = at(60)
	l.fold(arrives(7, retry))
	require.Equal(t, FeedbackOwed, l.batch.Everyone)
	require.Equal(t, &Task{Due: at(60), Since: at(0), Attempts: 1, Reason: ReasonServer}, l.batch.Task)
	l.fold(arrives(61, settlesEveryone(GivenBack)), arrives(62, settlesEveryone(Progress)))
	require.Equal(t, FeedbackOwed, l.batch.Everyone)
	require.Equal(t, &Task{Due: at(62), Since: at(0)}, l.batch.Task)
}

func TestNamedRecipientsAreSentAfterTheWholeBatch(t *testing.T) {
	l := confirmed(t)
	l.fold(arrives(1, Confirmation{BatchID: "batch", Recipients: []string{alice}, Everyone: true}))
	require.Equal(t, []string{alice}, l.in(FeedbackOwed))
	l.fold(arrives(7, settlesEveryone(Accepted)))
	require.Equal(t, FeedbackSent, l.batch.Everyone)
	require.Equal(t, []string{alice}, l.in(FeedbackOwed), "a recipient confirmed by name is sent by name")
	require.Equal(t, &Task{Due: at(7), Since: at(0)}, l.batch.Task, "due at once, because the recipient has waited")
	l.fold(arrives(8, settles(Accepted, alice)))
	require.Nil(t, l.batch.Task)
}

func TestOnlyAnEmptyListConfirmsTheWholeBatch(t *testing.T) {
	l := newLedger(t, Policy{})
	named := sends(2)
	named.FeedbackEnabled, named.Numbers = true, []string{alice, bob}
	for i, n := range []News{
		named, whole(2, entry(dlr.Delivered, 0, 2, alice, bob)),
		Confirmation{BatchID: "batch"},
		Confirmation{BatchID: "batch", Recipients: []string{alice, bob}},
		settlesEveryone(Accepted), settlesEveryone(Buried),
		Requeue{BatchID: "batch", Everyone: true},
		settles(Accepted, alice), settles(Buried, bob),
		Requeue{BatchID: "batch", Recipients: []string{bob}, Everyone: true},
		Checked{BatchID: "batch"},
	} {
		l.fold(arrives(i, n))
		require.Equal(t, FeedbackNone, l.batch.Everyone, "%T", n)
	}
	require.Equal(t, []string{bob}, l.in(FeedbackOwed))
}

func TestSettlementOfNamedRecipientsKeepsTheWholeBatchOwed(t *testing.T) {
	l := confirmed(t)
	l.fold(arrives(1, Confirmation{BatchID: "batch", Recipients: []string{alice, bob}}))
	l.fold(arrives(2, settles(Accepted, alice)), arrives(3, settles(Buried, bob)))
	require.Equal(t, FeedbackOwed, l.batch.Everyone)
	require.NotNil(t, l.batch.Task)
	l.fold(arrives(4, Requeue{BatchID: "batch", Recipients: []string{bob}}))
	require.Equal(t, FeedbackOwed, l.batch.Everyone)
}

func TestWholeBatchAndTheFlag(t *testing.T) {
	l := confirmed(t)
	require.Equal(t, FlagUnknown, l.batch.Flag)
	c := l.fold(arrives(1, facts(false, at(1))))
	require.Nil(t, l.batch.Task, "the batch does not want feedback")
	require.Zero(t, c.After)
	require.Equal(t, FeedbackOwed, l.batch.Everyone, "it is dropped but kept")
	l.fold(arrives(2, settlesEveryone(Buried)))
	require.Equal(t, FeedbackOwed, l.batch.Everyone, "unwanted feedback does not become dead")

	l.fold(arrives(9, facts(true, at(2))))
	require.Equal(t, &Task{Due: at(14), Since: at(9)}, l.batch.Task)
	l.fold(arrives(10, facts(false, at(3))), arrives(11, settlesEveryone(Accepted)))
	require.Equal(t, FeedbackSent, l.batch.Everyone, "Accepted applies without a task")

	l = newLedger(t, Policy{})
	l.fold(arrives(0, facts(false, at(0))), arrives(1, everyone))
	require.Equal(t, FeedbackOwed, l.batch.Everyone)
	require.Nil(t, l.batch.Task)
}

func TestDeadWholeBatch(t *testing.T) {
	buried := settlesEveryone(Buried)
	buried.Reason, buried.Detail = ReasonRejected, "400 syntax_constraint_violation"
	dead := func(t *testing.T) *ledger {
		t.Helper()
		l := confirmed(t)
		c := l.fold(arrives(7, buried))
		require.Equal(t, FeedbackDead, l.batch.Everyone)
		require.Equal(t, &Dead{At: at(7), Reason: ReasonRejected, Detail: "400 syntax_constraint_violation"}, l.batch.Dead)
		require.Equal(t, Tally{DeadTasks: 1}, c.After)
		require.Zero(t, c.Buried, "Buried counts recipients")
		return l
	}
	t.Run("is owed again after a requeue", func(t *testing.T) {
		l := dead(t)
		l.fold(arrives(8, Requeue{BatchID: "batch"}))
		require.Equal(t, FeedbackDead, l.batch.Everyone, "only a requeue with Everyone changes it")
		c := l.fold(arrives(9, Requeue{BatchID: "batch", Everyone: true}))
		require.Equal(t, FeedbackOwed, l.batch.Everyone)
		require.Nil(t, l.batch.Dead)
		require.Equal(t, &Task{Due: at(9), Since: at(9)}, l.batch.Task)
		require.Zero(t, c.Requeued)
		before := *l.batch.Task
		l.fold(arrives(20, Requeue{BatchID: "batch", Everyone: true}))
		require.Equal(t, &before, l.batch.Task, "a second requeue changes nothing")
	})
	t.Run("is sent if Sinch accepts it later", func(t *testing.T) {
		l := dead(t)
		l.fold(arrives(8, settlesEveryone(Accepted)))
		require.Equal(t, FeedbackSent, l.batch.Everyone)
		require.Nil(t, l.batch.Dead)
	})
	t.Run("stays dead when named recipients are sent", func(t *testing.T) {
		l := dead(t)
		l.fold(arrives(8, Confirmation{BatchID: "batch", Recipients: []string{alice}}), arrives(9, settles(Buried, alice)))
		l.fold(arrives(10, settles(Accepted, alice)))
		require.Equal(t, FeedbackDead, l.batch.Everyone)
		require.NotNil(t, l.batch.Dead)
	})
	t.Run("besides a dead recipient", func(t *testing.T) {
		l := dead(t)
		l.fold(arrives(8, Confirmation{BatchID: "batch", Recipients: []string{alice}}), arrives(9, settles(Buried, alice)))
		l.fold(arrives(10, Requeue{BatchID: "batch", Everyone: true}))
		require.NotNil(t, l.batch.Dead, "alice is still dead")
		require.Equal(t, FeedbackOwed, l.batch.Everyone)
	})
	t.Run("is ignored once it was sent", func(t *testing.T) {
		l := confirmed(t)
		l.fold(arrives(1, Confirmation{BatchID: "batch", Recipients: []string{alice}}), arrives(2, settlesEveryone(Accepted)))
		l.fold(arrives(3, buried))
		require.Equal(t, FeedbackSent, l.batch.Everyone, "what Sinch accepted stays sent")
		require.Nil(t, l.batch.Dead)
	})
}
