package fold

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

func TestWhatEarnsFeedback(t *testing.T) {
	delivered := says(alice, dlr.Delivered, 0, at(0))
	confirmed := store.Confirmation{BatchID: "batch", Recipients: []string{"+" + alice}}
	onDelivered := []store.On{"", store.OnDelivered, store.OnBoth}
	onConfirmed := []store.On{"", store.OnDelivered, store.OnConfirmed, store.OnBoth}
	for name, test := range map[string]struct {
		entries []store.Entry
		earning []store.On // the policies under which alice, and only alice, earns feedback
	}{
		"report Delivered": {[]store.Entry{delivered}, onDelivered},
		"named in a full report": {
			[]store.Entry{whole(2, entry(dlr.Delivered, 0, 1, alice), entry(dlr.Failed, 34, 1, bob))},
			onDelivered,
		},
		"polled":                   {[]store.Entry{polled(delivered)}, onDelivered},
		"Delivered, then Failed":   {[]store.Entry{delivered, says(alice, dlr.Failed, 34, at(9))}, onDelivered},
		"Failed, then Delivered":   {[]store.Entry{says(alice, dlr.Failed, 34, at(9)), delivered}, onDelivered},
		"Delivered with any code":  {[]store.Entry{says(alice, dlr.Delivered, 401, at(0))}, onDelivered},
		"code 0 without Delivered": {[]store.Entry{says(alice, dlr.Failed, 0, at(0))}, nil},
		"Dispatched":               {[]store.Entry{says(alice, dlr.Dispatched, 401, at(0))}, nil},
		"summary":                  {[]store.Entry{whole(1, entry(dlr.Delivered, 0, 1))}, nil},
		"confirmed":                {[]store.Entry{confirmed}, onConfirmed},
		"confirmed though Failed": {
			[]store.Entry{says(alice, dlr.Failed, 34, at(0)), confirmed},
			onConfirmed,
		},
		"both": {
			[]store.Entry{delivered, confirmed, delivered, confirmed},
			onConfirmed,
		},
	} {
		for _, on := range []store.On{"", store.OnDelivered, store.OnConfirmed, store.OnBoth, store.OnOff} {
			t.Run(fmt.Sprintf("%s/%s", name, on), func(t *testing.T) {
				l := newLedger(t, store.Policy{On: on})
				earned := 0
				for i, n := range test.entries {
					earned += l.fold(arrives(i, n)).Earned
				}
				want := []string{}
				for _, earning := range test.earning {
					if on == earning {
						want = []string{alice}
					}
				}
				require.Equal(t, want, l.in(store.FeedbackOwed))
				require.Equal(t, len(want), earned, "feedback is earned once")
			})
		}
	}
}

func TestConfirmationBeforeAnyReport(t *testing.T) {
	l := newLedger(t, store.Policy{})
	c := l.fold(arrives(3, store.Confirmation{BatchID: "batch", Recipients: []string{"+" + alice, alice, bob}}))
	require.True(t, c.NewBatch)
	require.Equal(t, 2, c.NewRecipients)
	require.Equal(t, 2, c.Earned, "a number listed twice earns once")
	require.Empty(t, c.Applied)
	require.Empty(t, l.log)
	require.Equal(t, at(3), l.recipient(alice).FeedbackAt)
	_, named := l.recipient(alice).State()
	require.False(t, named)

	l.fold(arrives(4, says(alice, dlr.Failed, 34, at(4))))
	require.Equal(t, []string{alice, bob}, l.in(store.FeedbackOwed))
	require.Equal(t, map[dlr.Status]int{dlr.Failed: 1}, l.batch.States)
}

func TestConfirmationWhenFeedbackIsOff(t *testing.T) {
	l := newLedger(t, store.Policy{On: store.OnOff})
	l.fold(arrives(0, store.Confirmation{BatchID: "batch", Recipients: []string{alice}}))
	require.Empty(t, l.recipients)
}

func TestTaskWaitsForCoalesceBeforeItIsDue(t *testing.T) {
	l := newLedger(t, store.Policy{Coalesce: 5 * time.Second})
	l.fold(arrives(10, says(alice, dlr.Delivered, 0, at(9))))
	require.Equal(t, &store.Task{Due: at(15), Since: at(10)}, l.batch.Task)
	l.fold(arrives(12, says(bob, dlr.Delivered, 0, at(9))))
	require.Equal(t, &store.Task{Due: at(15), Since: at(10)}, l.batch.Task, "more recipients do not postpone the task")
}

func TestFlagDecidesWhetherATaskExists(t *testing.T) {
	l := newLedger(t, store.Policy{})
	l.fold(arrives(0, says(alice, dlr.Delivered, 0, at(0))))
	require.Equal(t, store.FlagUnknown, l.batch.Flag)
	require.NotNil(t, l.batch.Task, "the task waits while the flag is unknown")

	c := l.fold(arrives(1, batchInfo(false, at(1))))
	require.Equal(t, store.FlagUnwanted, l.batch.Flag)
	require.Nil(t, l.batch.Task)
	require.Equal(t, store.Tally{PendingTasks: 1, Owed: 1}, c.Before)
	require.Equal(t, store.Tally{Dropped: 1}, c.After)

	c = l.fold(arrives(2, says(bob, dlr.Delivered, 0, at(0))))
	require.Equal(t, store.Tally{Dropped: 2}, c.After, "feedback earned now is dropped too")

	c = l.fold(arrives(3, batchInfo(true, at(2))))
	require.Equal(t, store.FlagWanted, l.batch.Flag)
	require.Equal(t, &store.Task{Due: at(3), Since: at(3)}, l.batch.Task)
	require.Equal(t, store.Tally{PendingTasks: 1, Owed: 2}, c.After, "dropped feedback is owed again")
}

func TestOlderBatchInfoNeverReplacesNewer(t *testing.T) {
	newer, older := batchInfo(false, at(20)), batchInfo(true, at(10))
	older.ClientReference, newer.ClientReference = "old", "new"
	for name, order := range map[string][]store.Entry{
		"in order":     {older, newer},
		"out of order": {newer, older},
		"repeated":     {newer, older, newer, older},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLedger(t, store.Policy{})
			for i, n := range order {
				l.fold(arrives(i, n))
			}
			require.Equal(t, store.FlagUnwanted, l.batch.Flag)
			require.Equal(t, &newer, l.batch.Info)
			require.Equal(t, "new", l.batch.ClientReference)
		})
	}
}

func TestLatestBatchInfoWinsAtTheSameModifiedAt(t *testing.T) {
	l := newLedger(t, store.Policy{})
	l.fold(arrives(0, store.BatchInfo{BatchID: "batch", FeedbackEnabled: true, Source: store.FromRegistration}))
	require.Equal(t, store.FlagWanted, l.batch.Flag, "a registration has no ModifiedAt")
	l.fold(arrives(1, store.BatchInfo{BatchID: "batch", Source: store.FromRegistration}))
	require.Equal(t, store.FlagUnwanted, l.batch.Flag)
	l.fold(arrives(2, batchInfo(true, at(0))))
	require.Equal(t, store.FlagWanted, l.batch.Flag, "an answer from Sinch replaces the registration")
	l.fold(arrives(3, store.BatchInfo{BatchID: "batch", Source: store.FromRegistration}))
	require.Equal(t, store.FlagWanted, l.batch.Flag)
}

func TestBatchInfoWithoutClientReferenceKeepsTheKnownOne(t *testing.T) {
	l := newLedger(t, store.Policy{})
	r := says(alice, dlr.Delivered, 0, at(0))
	r.ClientReference = "order 7"
	l.fold(arrives(0, r), arrives(1, batchInfo(true, at(0))))
	require.Equal(t, "order 7", l.batch.ClientReference)
}

func TestBatchUnknownToSinch(t *testing.T) {
	missing := store.BatchInfo{BatchID: "batch", Unknown: true, Source: store.FromPoll}
	l := newLedger(t, store.Policy{})
	l.fold(arrives(0, says(alice, dlr.Delivered, 0, at(0))), arrives(1, missing))
	require.Equal(t, &missing, l.batch.Info)
	require.Equal(t, store.FlagUnknown, l.batch.Flag, "the flag of a batch that Sinch does not know stays unknown")
	require.NotNil(t, l.batch.Task)

	known := batchInfo(true, at(2))
	l.fold(arrives(2, known))
	require.Equal(t, &known, l.batch.Info)
	l.fold(arrives(3, missing))
	require.True(t, l.batch.Info.Unknown)
	require.True(t, l.batch.Info.FeedbackEnabled, "known batch info is kept")
	require.Equal(t, store.FlagWanted, l.batch.Flag)
	l.fold(arrives(4, known))
	require.False(t, l.batch.Info.Unknown)
}

func TestBatchInfoCreatesABatch(t *testing.T) {
	l := newLedger(t, store.Policy{})
	c := l.fold(arrives(0, batchInfo(true, at(0))))
	require.True(t, c.NewBatch)
	require.Nil(t, l.batch.Task)
	require.Zero(t, c.After)
}

func TestTallyOfDeadAndPending(t *testing.T) {
	l := newLedger(t, store.Policy{})
	l.fold(arrives(0, whole(3, entry(dlr.Delivered, 0, 3, alice, bob, carol))))
	l.fold(arrives(1, settles(store.OutcomeAccepted, alice)))
	c := l.fold(arrives(2, settles(store.OutcomeDead, bob)))
	require.Equal(t, store.Tally{PendingTasks: 1, Owed: 2, Sent: 1}, c.Before)
	require.Equal(t, store.Tally{PendingTasks: 1, DeadTasks: 1, Owed: 1, Sent: 1, Dead: 1}, c.After)
}
