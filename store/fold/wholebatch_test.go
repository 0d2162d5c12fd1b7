package fold

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// Two confirmations: of the whole batch, and of one recipient.
var (
	wholeBatch = store.Confirmation{BatchID: "batch", WholeBatch: true}
	ofOnlyOne  = store.Confirmation{BatchID: "batch", Recipients: []string{alice}}
)

// settlesWholeBatch is the result of a call for the whole batch.
func settlesWholeBatch(o store.Outcome) store.Settlement {
	s := settles(o)
	s.WholeBatch = true
	return s
}

// confirmed returns a ledger in which the application confirmed the whole batch at second 0.
func confirmed(t *testing.T) *ledger {
	t.Helper()
	l := newLedger(t, store.Policy{On: store.OnConfirmed, Coalesce: 5 * time.Second})
	c := l.fold(arrives(0, wholeBatch))
	require.Equal(t, store.FeedbackOwed, l.batch.WholeBatch)
	require.Equal(t, &store.Task{Due: at(5), Since: at(0)}, l.batch.Task, "the task waits for Coalesce like any other")
	require.Equal(t, store.Tally{PendingTasks: 1}, c.After)
	require.Zero(t, c.Earned, "Earned counts recipients, and none is named")
	require.Empty(t, l.recipients)
	return l
}

func TestConfirmationForTheWholeBatch(t *testing.T) {
	for _, on := range []store.On{"", store.OnDelivered, store.OnConfirmed, store.OnBoth} {
		l := newLedger(t, store.Policy{On: on})
		l.fold(arrives(0, wholeBatch))
		require.Equal(t, store.FeedbackOwed, l.batch.WholeBatch, "on %q", on)
		require.NotNil(t, l.batch.Task)
	}
	l := newLedger(t, store.Policy{On: store.OnOff})
	l.fold(arrives(0, wholeBatch))
	require.Equal(t, store.FeedbackNone, l.batch.WholeBatch)
	require.Nil(t, l.batch.Task)
}

func TestWholeBatchIsSentOnce(t *testing.T) {
	for name, outcome := range map[store.FeedbackState]store.Outcome{
		store.FeedbackSent: store.OutcomeAccepted, store.FeedbackDead: store.OutcomeDead,
	} {
		t.Run(name.String(), func(t *testing.T) {
			l := confirmed(t)
			l.fold(arrives(7, settlesWholeBatch(outcome)))
			require.Equal(t, name, l.batch.WholeBatch)
			require.Nil(t, l.batch.Task)
			l.fold(arrives(8, wholeBatch))
			require.Equal(t, name, l.batch.WholeBatch, "a repeated confirmation earns nothing")
			require.Nil(t, l.batch.Task)
		})
	}
	l := confirmed(t)
	l.fold(arrives(3, wholeBatch))
	require.Equal(t, &store.Task{Due: at(5), Since: at(0)}, l.batch.Task,
		"a repeated confirmation does not postpone the task")
}

func TestWholeBatchNotAcceptedYet(t *testing.T) {
	l := confirmed(t)
	retry := settlesWholeBatch(store.OutcomeRetry)
	retry.Due = at(60)
	l.fold(arrives(7, retry))
	require.Equal(t, store.FeedbackOwed, l.batch.WholeBatch)
	require.Equal(t, &store.Task{Due: at(60), Since: at(0), Attempts: 1, Reason: store.ReasonServer}, l.batch.Task)
	l.fold(arrives(61, settlesWholeBatch(store.OutcomeReleased)), arrives(62, settlesWholeBatch(store.OutcomeProgress)))
	require.Equal(t, store.FeedbackOwed, l.batch.WholeBatch)
	require.Equal(t, &store.Task{Due: at(62), Since: at(0)}, l.batch.Task)
}

func TestNamedRecipientsAreSentAfterTheWholeBatch(t *testing.T) {
	l := confirmed(t)
	l.fold(arrives(1, store.Confirmation{BatchID: "batch", Recipients: []string{alice}, WholeBatch: true}))
	require.Equal(t, []string{alice}, l.in(store.FeedbackOwed))
	l.fold(arrives(7, settlesWholeBatch(store.OutcomeAccepted)))
	require.Equal(t, store.FeedbackSent, l.batch.WholeBatch)
	require.Equal(t, []string{alice}, l.in(store.FeedbackOwed), "a recipient confirmed by name is sent by name")
	require.Equal(t, &store.Task{Due: at(7), Since: at(0)}, l.batch.Task, "due at once, because the recipient has waited")
	l.fold(arrives(8, settles(store.OutcomeAccepted, alice)))
	require.Nil(t, l.batch.Task)
}

func TestOnlyAnEmptyListConfirmsTheWholeBatch(t *testing.T) {
	l := newLedger(t, store.Policy{})
	named := sends(2)
	named.FeedbackEnabled, named.Numbers = true, []string{alice, bob}
	for i, n := range []store.Entry{
		named, whole(2, entry(dlr.Delivered, 0, 2, alice, bob)),
		store.Confirmation{BatchID: "batch"},
		store.Confirmation{BatchID: "batch", Recipients: []string{alice, bob}},
		settlesWholeBatch(store.OutcomeAccepted), settlesWholeBatch(store.OutcomeDead),
		store.Requeue{BatchID: "batch", WholeBatch: true},
		settles(store.OutcomeAccepted, alice), settles(store.OutcomeDead, bob),
		store.Requeue{BatchID: "batch", Recipients: []string{bob}, WholeBatch: true},
		store.ReportFetched{BatchID: "batch"},
	} {
		l.fold(arrives(i, n))
		require.Equal(t, store.FeedbackNone, l.batch.WholeBatch, "%T", n)
	}
	require.Equal(t, []string{bob}, l.in(store.FeedbackOwed))
}

func TestSettlementOfNamedRecipientsKeepsTheWholeBatchOwed(t *testing.T) {
	l := confirmed(t)
	l.fold(arrives(1, store.Confirmation{BatchID: "batch", Recipients: []string{alice, bob}}))
	l.fold(arrives(2, settles(store.OutcomeAccepted, alice)), arrives(3, settles(store.OutcomeDead, bob)))
	require.Equal(t, store.FeedbackOwed, l.batch.WholeBatch)
	require.NotNil(t, l.batch.Task)
	l.fold(arrives(4, store.Requeue{BatchID: "batch", Recipients: []string{bob}}))
	require.Equal(t, store.FeedbackOwed, l.batch.WholeBatch)
}

func TestWholeBatchAndTheFlag(t *testing.T) {
	l := confirmed(t)
	require.Equal(t, store.FlagUnknown, l.batch.Flag)
	c := l.fold(arrives(1, batchInfo(false, at(1))))
	require.Nil(t, l.batch.Task, "the batch does not want feedback")
	require.Zero(t, c.After)
	require.Equal(t, store.FeedbackOwed, l.batch.WholeBatch, "it is dropped but kept")
	l.fold(arrives(2, settlesWholeBatch(store.OutcomeDead)))
	require.Equal(t, store.FeedbackOwed, l.batch.WholeBatch, "unwanted feedback does not become dead")

	l.fold(arrives(9, batchInfo(true, at(2))))
	require.Equal(t, &store.Task{Due: at(14), Since: at(9)}, l.batch.Task)
	l.fold(arrives(10, batchInfo(false, at(3))), arrives(11, settlesWholeBatch(store.OutcomeAccepted)))
	require.Equal(t, store.FeedbackSent, l.batch.WholeBatch, "Accepted applies without a task")

	l = newLedger(t, store.Policy{})
	l.fold(arrives(0, batchInfo(false, at(0))), arrives(1, wholeBatch))
	require.Equal(t, store.FeedbackOwed, l.batch.WholeBatch)
	require.Nil(t, l.batch.Task)
}

func TestDeadWholeBatch(t *testing.T) {
	settlement := settlesWholeBatch(store.OutcomeDead)
	settlement.Reason, settlement.Detail = store.ReasonRejected, "400 syntax_constraint_violation"
	dead := func(t *testing.T) *ledger {
		t.Helper()
		l := confirmed(t)
		c := l.fold(arrives(7, settlement))
		require.Equal(t, store.FeedbackDead, l.batch.WholeBatch)
		require.Equal(t, &store.Dead{
			At: at(7), Reason: store.ReasonRejected, Detail: "400 syntax_constraint_violation",
		}, l.batch.Dead)
		require.Equal(t, store.Tally{DeadTasks: 1}, c.After)
		require.Zero(t, c.Dead, "Dead counts recipients")
		return l
	}
	t.Run("is owed again after a requeue", func(t *testing.T) {
		l := dead(t)
		l.fold(arrives(8, store.Requeue{BatchID: "batch"}))
		require.Equal(t, store.FeedbackDead, l.batch.WholeBatch, "only a requeue with WholeBatch changes it")
		c := l.fold(arrives(9, store.Requeue{BatchID: "batch", WholeBatch: true}))
		require.Equal(t, store.FeedbackOwed, l.batch.WholeBatch)
		require.Nil(t, l.batch.Dead)
		require.Equal(t, &store.Task{Due: at(9), Since: at(9)}, l.batch.Task)
		require.Zero(t, c.Requeued)
		before := *l.batch.Task
		l.fold(arrives(20, store.Requeue{BatchID: "batch", WholeBatch: true}))
		require.Equal(t, &before, l.batch.Task, "a second requeue changes nothing")
	})
	t.Run("is sent if Sinch accepts it later", func(t *testing.T) {
		l := dead(t)
		l.fold(arrives(8, settlesWholeBatch(store.OutcomeAccepted)))
		require.Equal(t, store.FeedbackSent, l.batch.WholeBatch)
		require.Nil(t, l.batch.Dead)
	})
	t.Run("stays dead when named recipients are sent", func(t *testing.T) {
		l := dead(t)
		l.fold(arrives(8, ofOnlyOne), arrives(9, settles(store.OutcomeDead, alice)))
		l.fold(arrives(10, settles(store.OutcomeAccepted, alice)))
		require.Equal(t, store.FeedbackDead, l.batch.WholeBatch)
		require.NotNil(t, l.batch.Dead)
	})
	t.Run("besides a dead recipient", func(t *testing.T) {
		l := dead(t)
		l.fold(arrives(8, ofOnlyOne), arrives(9, settles(store.OutcomeDead, alice)))
		l.fold(arrives(10, store.Requeue{BatchID: "batch", WholeBatch: true}))
		require.NotNil(t, l.batch.Dead, "alice is still dead")
		require.Equal(t, store.FeedbackOwed, l.batch.WholeBatch)
	})
	t.Run("is ignored once it was sent", func(t *testing.T) {
		l := confirmed(t)
		l.fold(arrives(1, ofOnlyOne), arrives(2, settlesWholeBatch(store.OutcomeAccepted)))
		l.fold(arrives(3, settlement))
		require.Equal(t, store.FeedbackSent, l.batch.WholeBatch, "what Sinch accepted stays sent")
		require.Nil(t, l.batch.Dead)
	})
}
