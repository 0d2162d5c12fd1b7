package store

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
)

func TestRepeatOfBatchReport(t *testing.T) {
	l := newLedger(t, Policy{})
	l.fold(arrives(0, whole(3, entry(dlr.Delivered, 0, 2, alice, bob), entry(dlr.Failed, 34, 1, carol))))
	c := l.fold(
		arrives(1, whole(3, entry(dlr.Failed, 34, 1, "+"+carol), entry(dlr.Delivered, 0, 2, bob, "+"+alice))), // another order
		arrives(2, whole(3, entry(dlr.Delivered, 0, 2, alice, bob), entry(dlr.Failed, 34, 1, carol)).polled()),
	)
	require.Equal(t, 1, c.Duplicates, "what was asked for again is no duplicate")
	require.Zero(t, c.Polled)
	require.Empty(t, c.Taken)
	require.Len(t, l.batch.Reports, 1)
	require.Equal(t, 2, l.batch.Reports[0].Repeats)
	require.Equal(t, 3, l.batch.Total)
	require.Len(t, l.log, 1)
}

func TestEmptyReport(t *testing.T) {
	l := newLedger(t, Policy{})
	c := l.fold(arrives(0, whole(0)))
	require.True(t, c.NewBatch)
	require.Empty(t, c.Taken)
	require.Len(t, l.batch.Reports, 1)
	require.Nil(t, l.batch.Task)
	require.Equal(t, 1, l.fold(arrives(1, whole(0))).Duplicates)
}

func TestSummaryThenFull(t *testing.T) {
	l := newLedger(t, Policy{})
	c := l.fold(arrives(0, whole(3, entry(dlr.Delivered, 0, 2), entry(dlr.Failed, 34, 1))))
	require.Empty(t, l.recipients)
	require.Equal(t, []int{2, 1}, []int{c.Taken[0].Messages, c.Taken[1].Messages})
	require.Empty(t, c.Taken[0].Number)
	require.Zero(t, c.Earned, "a summary names nobody, so nobody has earned")
	require.True(t, l.batch.WantFull)
	require.NotNil(t, l.batch.Task, "the full report is to be read")

	c = l.fold(arrives(1, whole(3, entry(dlr.Delivered, 0, 2, alice, bob), entry(dlr.Failed, 34, 1, carol)).polled()))
	require.Zero(t, c.Duplicates)
	require.Equal(t, 1, c.Polled)
	for _, taken := range c.Taken {
		require.Zero(t, taken.Messages, "the summary has counted them")
	}
	require.Equal(t, []string{alice, bob}, l.in(FeedbackOwed))
	require.False(t, l.batch.WantFull, "everybody is known by name")
	require.Equal(t, map[dlr.Status]int{dlr.Delivered: 2, dlr.Failed: 1}, l.batch.States)
}

func TestClaimedAndNamedCounts(t *testing.T) {
	delivered := kind{dlr.Delivered, 0}
	l := newLedger(t, Policy{})
	l.fold(arrives(0, says(alice, dlr.Delivered, 0, at(0))))
	require.Equal(t, 1, l.messages()[delivered])
	l.fold(arrives(1, whole(5, entry(dlr.Delivered, 0, 2))))
	require.Equal(t, 2, l.messages()[delivered], "alice is one of the two")
	l.fold(arrives(2, whole(5, entry(dlr.Delivered, 0, 3))))
	require.Equal(t, 3, l.messages()[delivered], "a report read later claims more")
	l.fold(arrives(3, whole(5, entry(dlr.Delivered, 0, 1))))
	require.Equal(t, 3, l.messages()[delivered], "one read before and taken later does not take back")
	l.fold(arrives(4, says(bob, dlr.Delivered, 0, at(0))), arrives(5, says(carol, dlr.Delivered, 0, at(0))))
	require.Equal(t, 3, l.messages()[delivered])
	l.fold(arrives(6, says("447700900004", dlr.Delivered, 0, at(0))))
	require.Equal(t, 4, l.messages()[delivered])
	require.Equal(t, 5, l.batch.Total)
}

func TestCountsNeedNotMatch(t *testing.T) {
	for name, r := range map[string]Report{
		"sum over total":        whole(2, entry(dlr.Delivered, 0, 2, alice, bob), entry(dlr.Failed, 34, 1, carol)),
		"count below the names": whole(3, entry(dlr.Delivered, 0, 1, alice, bob), entry(dlr.Failed, 34, 0, carol)),
	} {
		t.Run(name, func(t *testing.T) {
			l := newLedger(t, Policy{})
			l.fold(arrives(0, r))
			require.Equal(t, map[kind]int{{dlr.Delivered, 0}: 2, {dlr.Failed, 34}: 1}, l.messages())
			require.Equal(t, r.Total, l.batch.Total)
			require.Equal(t, []string{alice, bob}, l.in(FeedbackOwed))
			require.False(t, l.batch.WantFull)
		})
	}
	t.Run("count over the names", func(t *testing.T) {
		l := newLedger(t, Policy{})
		l.fold(arrives(0, whole(3, entry(dlr.Delivered, 0, 3, alice, bob))))
		require.Equal(t, 3, l.messages()[kind{dlr.Delivered, 0}])
		require.Equal(t, []string{alice, bob}, l.in(FeedbackOwed))
		require.True(t, l.batch.WantFull, "somebody was delivered who is not named")
	})
}

func TestOneCodeUnderTwoStatuses(t *testing.T) {
	l := newLedger(t, Policy{})
	l.fold(arrives(0, whole(2, entry(dlr.Expired, 14, 1, alice), entry(dlr.Rejected, 14, 1, bob))))
	require.Equal(t, map[kind]int{{dlr.Expired, 14}: 1, {dlr.Rejected, 14}: 1}, l.messages())
}

func TestTwoEntriesOfOneStatusAndCodeAreOne(t *testing.T) {
	parted := whole(5, entry(dlr.Failed, 34, 2), entry(dlr.Delivered, 0, 1, alice), entry(dlr.Failed, 34, 2))
	l := newLedger(t, Policy{})
	l.fold(arrives(0, parted))
	require.Equal(t, 4, l.messages()[kind{dlr.Failed, 34}])
	require.Equal(t, 1, l.fold(arrives(1, whole(5, entry(dlr.Delivered, 0, 1, alice), entry(dlr.Failed, 34, 4)))).Duplicates)

	l = newLedger(t, Policy{})
	l.fold(arrives(0, parted), arrives(1, whole(6, parted.Entries...)))
	require.Equal(t, 4, l.messages()[kind{dlr.Failed, 34}], "each report claims for itself")
}

func TestRecipientNamedTwiceInOneReport(t *testing.T) {
	l := newLedger(t, Policy{})
	c := l.fold(arrives(0, whole(2, entry(dlr.Delivered, 0, 2, alice, "+"+alice))))
	require.Equal(t, 1, c.NewRecipients)
	require.Equal(t, 1, c.Earned)
	require.Len(t, l.recipient(alice).Seen, 1)
	require.Zero(t, l.recipient(alice).Seen[0].Repeats)
	require.Equal(t, 2, l.messages()[kind{dlr.Delivered, 0}], "Sinch counts two")

	l = newLedger(t, Policy{})
	l.fold(arrives(0, whole(2, entry(dlr.Failed, 34, 1, alice), entry(dlr.Delivered, 0, 1, alice))))
	require.Equal(t, map[dlr.Status]int{dlr.Delivered: 1}, l.batch.States, "of one report's two statuses Delivered holds")
}

func TestDatedReportHoldsAgainstUndated(t *testing.T) {
	l := newLedger(t, Policy{On: OnOff})
	l.fold(
		arrives(0, whole(2, entry(dlr.Expired, 406, 1, alice), entry(dlr.Dispatched, 401, 1, bob))),
		arrives(1, says(alice, dlr.Failed, 34, at(0))),
		arrives(2, says(bob, dlr.Delivered, 0, at(0))),
		arrives(3, whole(2, entry(dlr.Expired, 406, 2, alice, bob))),
	)
	require.Equal(t, dlr.Failed, l.held(alice).Status)
	require.Equal(t, dlr.Delivered, l.held(bob).Status, "an undated report never undoes Delivered")
}

func TestWhenTheFullReportIsWanted(t *testing.T) {
	summary := whole(2, entry(dlr.Delivered, 0, 2), entry(dlr.Failed, 34, 1))
	for name, test := range map[string]struct {
		on    On
		after []News
		want  bool
	}{
		"summary":                   {after: []News{summary}, want: true},
		"on both":                   {on: OnBoth, after: []News{summary}, want: true},
		"on confirmed":              {on: OnConfirmed, after: []News{summary}},
		"off":                       {on: OnOff, after: []News{summary}},
		"nobody delivered":          {after: []News{whole(2, entry(dlr.Failed, 34, 2))}},
		"full":                      {after: []News{whole(2, entry(dlr.Delivered, 0, 2, alice, bob))}},
		"failed ones not named":     {after: []News{whole(2, entry(dlr.Delivered, 0, 1, alice), entry(dlr.Failed, 34, 1))}},
		"polled":                    {after: []News{summary.polled()}},
		"all known before":          {after: []News{says(alice, dlr.Delivered, 0, at(0)), says(bob, dlr.Delivered, 0, at(0)), summary}},
		"all known after":           {after: []News{summary, says(alice, dlr.Delivered, 0, at(0)), says(bob, dlr.Delivered, 0, at(0))}},
		"some known":                {after: []News{says(alice, dlr.Delivered, 0, at(0)), summary}, want: true},
		"full follows":              {after: []News{summary, whole(2, entry(dlr.Delivered, 0, 2, alice, bob))}},
		"read":                      {after: []News{summary, Settlement{BatchID: "batch", Outcome: Progress, FullRead: true}}},
		"read, and repeated":        {after: []News{summary, Settlement{BatchID: "batch", Outcome: Progress, FullRead: true}, summary}},
		"read fails":                {after: []News{summary, Settlement{BatchID: "batch", Outcome: Retry, Due: at(60)}}, want: true},
		"delivered under two codes": {after: []News{whole(2, entry(dlr.Delivered, 0, 1, alice), entry(dlr.Delivered, 401, 1))}, want: true},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLedger(t, Policy{On: test.on})
			for i, n := range test.after {
				l.fold(arrives(i, n))
			}
			require.Equal(t, test.want, l.batch.WantFull)
		})
	}
}

func TestMoreBatchReportsThanABatchKeeps(t *testing.T) {
	l := newLedger(t, Policy{})
	for i := range 2 * maxSeen {
		l.fold(arrives(i, whole(i, entry(dlr.Dispatched, 401, i))))
	}
	require.Len(t, l.batch.Reports, maxSeen)
	require.Equal(t, at(2*maxSeen-1), l.batch.Reports[maxSeen-1].ReceivedAt, "the newest are kept")
	require.Equal(t, 2*maxSeen-1, l.messages()[kind{dlr.Dispatched, 401}])
	require.Equal(t, 2*maxSeen-1, l.batch.Total)
	require.Equal(t, 1, l.fold(arrives(999, whole(2*maxSeen-1, entry(dlr.Dispatched, 401, 2*maxSeen-1)))).Duplicates)
	l.fold(arrives(1000, whole(0, entry(dlr.Dispatched, 401, 0))))
	require.Equal(t, 2*maxSeen-1, l.messages()[kind{dlr.Dispatched, 401}], "one that was forgotten counts nothing when it comes again")
}
