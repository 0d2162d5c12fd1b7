package store

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
)

func TestWhatEarnsFeedback(t *testing.T) {
	delivered := says(alice, dlr.Delivered, 0, at(0))
	confirmed := Confirmation{BatchID: "batch", Recipients: []string{"+" + alice}}
	for name, test := range map[string]struct {
		news    []News
		earning []On // the policies under which alice, and only alice, earns feedback
	}{
		"report Delivered": {[]News{delivered}, []On{"", OnDelivered, OnBoth}},
		"named in a full report": {
			[]News{whole(2, entry(dlr.Delivered, 0, 1, alice), entry(dlr.Failed, 34, 1, bob))},
			[]On{"", OnDelivered, OnBoth},
		},
		"polled":                   {[]News{delivered.polled()}, []On{"", OnDelivered, OnBoth}},
		"Delivered, then Failed":   {[]News{delivered, says(alice, dlr.Failed, 34, at(9))}, []On{"", OnDelivered, OnBoth}},
		"Failed, then Delivered":   {[]News{says(alice, dlr.Failed, 34, at(9)), delivered}, []On{"", OnDelivered, OnBoth}},
		"Delivered with any code":  {[]News{says(alice, dlr.Delivered, 401, at(0))}, []On{"", OnDelivered, OnBoth}},
		"code 0 without Delivered": {[]News{says(alice, dlr.Failed, 0, at(0))}, nil},
		"Dispatched":               {[]News{says(alice, dlr.Dispatched, 401, at(0))}, nil},
		"summary":                  {[]News{whole(1, entry(dlr.Delivered, 0, 1))}, nil},
		"confirmed":                {[]News{confirmed}, []On{"", OnDelivered, OnConfirmed, OnBoth}},
		"confirmed though Failed": {
			[]News{says(alice, dlr.Failed, 34, at(0)), confirmed},
			[]On{"", OnDelivered, OnConfirmed, OnBoth},
		},
		"both": {
			[]News{delivered, confirmed, delivered, confirmed},
			[]On{"", OnDelivered, OnConfirmed, OnBoth},
		},
	} {
		for _, on := range []On{"", OnDelivered, OnConfirmed, OnBoth, OnOff} {
			t.Run(fmt.Sprintf("%s/%s", name, on), func(t *testing.T) {
				l := newLedger(t, Policy{On: on})
				earned := 0
				for i, n := range test.news {
					earned += l.fold(arrives(i, n)).Earned
				}
				want := []string{}
				for _, earning := range test.earning {
					if on == earning {
						want = []string{alice}
					}
				}
				require.Equal(t, want, l.in(FeedbackOwed))
				require.Equal(t, len(want), earned, "feedback is earned once")
			})
		}
	}
}

func TestConfirmationBeforeAnyReport(t *testing.T) {
	l := newLedger(t, Policy{})
	c := l.fold(arrives(3, Confirmation{BatchID: "batch", Recipients: []string{"+" + alice, alice, bob}}))
	require.True(t, c.NewBatch)
	require.Equal(t, 2, c.NewRecipients)
	require.Equal(t, 2, c.Earned, "a number listed twice earns once")
	require.Empty(t, c.Taken)
	require.Empty(t, l.log)
	require.Equal(t, at(3), l.recipient(alice).FeedbackAt)
	_, named := l.recipient(alice).State()
	require.False(t, named)

	l.fold(arrives(4, says(alice, dlr.Failed, 34, at(4))))
	require.Equal(t, []string{alice, bob}, l.in(FeedbackOwed))
	require.Equal(t, map[dlr.Status]int{dlr.Failed: 1}, l.batch.States)
}

func TestConfirmationWhenFeedbackIsOff(t *testing.T) {
	l := newLedger(t, Policy{On: OnOff})
	l.fold(arrives(0, Confirmation{BatchID: "batch", Recipients: []string{alice}}))
	require.Empty(t, l.recipients)
}

func TestTaskWaitsForCoalesceBeforeItIsDue(t *testing.T) {
	l := newLedger(t, Policy{Coalesce: 5 * time.Second})
	l.fold(arrives(10, says(alice, dlr.Delivered, 0, at(9))))
	require.Equal(t, &Task{Due: at(15), Since: at(10)}, l.batch.Task)
	l.fold(arrives(12, says(bob, dlr.Delivered, 0, at(9))))
	require.Equal(t, &Task{Due: at(15), Since: at(10)}, l.batch.Task, "more recipients do not postpone the task")
}

func TestFlagDecidesWhetherATaskExists(t *testing.T) {
	l := newLedger(t, Policy{})
	l.fold(arrives(0, says(alice, dlr.Delivered, 0, at(0))))
	require.Equal(t, FlagUnknown, l.batch.Flag)
	require.NotNil(t, l.batch.Task, "the task waits while the flag is unknown")

	c := l.fold(arrives(1, facts(false, at(1))))
	require.Equal(t, FlagUnwanted, l.batch.Flag)
	require.Nil(t, l.batch.Task)
	require.Equal(t, Tally{PendingTasks: 1, Owed: 1}, c.Before)
	require.Equal(t, Tally{Dropped: 1}, c.After)

	c = l.fold(arrives(2, says(bob, dlr.Delivered, 0, at(0))))
	require.Equal(t, Tally{Dropped: 2}, c.After, "feedback earned now is dropped too")

	c = l.fold(arrives(3, facts(true, at(2))))
	require.Equal(t, FlagWanted, l.batch.Flag)
	require.Equal(t, &Task{Due: at(3), Since: at(3)}, l.batch.Task)
	require.Equal(t, Tally{PendingTasks: 1, Owed: 2}, c.After, "dropped feedback is owed again")
}

func TestOlderFactsNeverReplaceNewer(t *testing.T) {
	newer, older := facts(false, at(20)), facts(true, at(10))
	older.ClientReference, newer.ClientReference = "old", "new"
	for name, order := range map[string][]News{
		"in order":     {older, newer},
		"out of order": {newer, older},
		"repeated":     {newer, older, newer, older},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLedger(t, Policy{})
			for i, n := range order {
				l.fold(arrives(i, n))
			}
			require.Equal(t, FlagUnwanted, l.batch.Flag)
			require.Equal(t, &newer, l.batch.Facts)
			require.Equal(t, "new", l.batch.ClientReference)
		})
	}
}

func TestLatestFactsWinAtTheSameModifiedAt(t *testing.T) {
	l := newLedger(t, Policy{})
	l.fold(arrives(0, Facts{BatchID: "batch", FeedbackEnabled: true, Source: FromRegistration}))
	require.Equal(t, FlagWanted, l.batch.Flag, "a registration has no ModifiedAt")
	l.fold(arrives(1, Facts{BatchID: "batch", Source: FromRegistration}))
	require.Equal(t, FlagUnwanted, l.batch.Flag)
	l.fold(arrives(2, facts(true, at(0))))
	require.Equal(t, FlagWanted, l.batch.Flag, "an answer from Sinch replaces the registration")
	l.fold(arrives(3, Facts{BatchID: "batch", Source: FromRegistration}))
	require.Equal(t, FlagWanted, l.batch.Flag)
}

func TestFactsWithoutClientReferenceKeepTheKnownOne(t *testing.T) {
	l := newLedger(t, Policy{})
	r := says(alice, dlr.Delivered, 0, at(0))
	r.ClientReference = "order 7"
	l.fold(arrives(0, r), arrives(1, facts(true, at(0))))
	require.Equal(t, "order 7", l.batch.ClientReference)
}

func TestBatchUnknownToSinch(t *testing.T) {
	missing := Facts{BatchID: "batch", Missing: true, Source: FromPoll}
	l := newLedger(t, Policy{})
	l.fold(arrives(0, says(alice, dlr.Delivered, 0, at(0))), arrives(1, missing))
	require.Equal(t, &missing, l.batch.Facts)
	require.Equal(t, FlagUnknown, l.batch.Flag, "the flag of a batch that Sinch does not know stays unknown")
	require.NotNil(t, l.batch.Task)

	known := facts(true, at(2))
	l.fold(arrives(2, known))
	require.Equal(t, &known, l.batch.Facts)
	l.fold(arrives(3, missing))
	require.True(t, l.batch.Facts.Missing)
	require.True(t, l.batch.Facts.FeedbackEnabled, "known batch info is kept")
	require.Equal(t, FlagWanted, l.batch.Flag)
	l.fold(arrives(4, known))
	require.False(t, l.batch.Facts.Missing)
}

func TestFactsCreateABatch(t *testing.T) {
	l := newLedger(t, Policy{})
	c := l.fold(arrives(0, facts(true, at(0))))
	require.True(t, c.NewBatch)
	require.Nil(t, l.batch.Task)
	require.Zero(t, c.After)
}

func TestTallyOfDeadAndPending(t *testing.T) {
	l := newLedger(t, Policy{})
	l.fold(arrives(0, whole(3, entry(dlr.Delivered, 0, 3, alice, bob, carol))))
	l.fold(arrives(1, settles(Accepted, alice)))
	c := l.fold(arrives(2, settles(Buried, bob)))
	require.Equal(t, Tally{PendingTasks: 1, Owed: 2, Sent: 1}, c.Before)
	require.Equal(t, Tally{PendingTasks: 1, DeadTasks: 1, Owed: 1, Sent: 1, Dead: 1}, c.After)
}
