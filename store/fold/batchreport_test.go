package fold

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

func TestDuplicateOfBatchReport(t *testing.T) {
	l := newLedger(t, store.Policy{})
	l.fold(arrives(0, whole(3, entry(dlr.Delivered, 0, 2, alice, bob), entry(dlr.Failed, 34, 1, carol))))
	c := l.fold(
		// The same content in another order.
		arrives(1, whole(3, entry(dlr.Failed, 34, 1, "+"+carol), entry(dlr.Delivered, 0, 2, bob, "+"+alice))),
		arrives(2, polled(whole(3, entry(dlr.Delivered, 0, 2, alice, bob), entry(dlr.Failed, 34, 1, carol)))),
	)
	require.Equal(t, 1, c.Duplicates, "a report that was fetched again is not a duplicate")
	require.Zero(t, c.Polled)
	require.Empty(t, c.Applied)
	require.Len(t, l.batch.Reports, 1)
	require.Equal(t, 2, l.batch.Reports[0].Repeats)
	require.Equal(t, 3, l.batch.Total)
	require.Len(t, l.log, 1)
}

func TestEmptyReport(t *testing.T) {
	l := newLedger(t, store.Policy{})
	c := l.fold(arrives(0, whole(0)))
	require.True(t, c.NewBatch)
	require.Empty(t, c.Applied)
	require.Len(t, l.batch.Reports, 1)
	require.Nil(t, l.batch.Task)
	require.Equal(t, 1, l.fold(arrives(1, whole(0))).Duplicates)
}

func TestSummaryThenFull(t *testing.T) {
	l := newLedger(t, store.Policy{})
	c := l.fold(arrives(0, whole(3, entry(dlr.Delivered, 0, 2), entry(dlr.Failed, 34, 1))))
	require.Empty(t, l.recipients)
	require.Equal(t, []int{2, 1}, []int{c.Applied[0].Messages, c.Applied[1].Messages})
	require.Empty(t, c.Applied[0].Number)
	require.Zero(t, c.Earned, "a summary names no recipient, so none earns feedback")
	require.True(t, l.batch.NeedsFullReport)
	require.NotNil(t, l.batch.Task, "the full report must be fetched")

	c = l.fold(arrives(1, polled(whole(3, entry(dlr.Delivered, 0, 2, alice, bob), entry(dlr.Failed, 34, 1, carol)))))
	require.Zero(t, c.Duplicates)
	require.Equal(t, 1, c.Polled)
	for _, applied := range c.Applied {
		require.Zero(t, applied.Messages, "the summary counted these messages")
	}
	require.Equal(t, []string{alice, bob}, l.in(store.FeedbackOwed))
	require.False(t, l.batch.NeedsFullReport, "all delivered recipients are named")
	require.Equal(t, map[dlr.Status]int{dlr.Delivered: 2, dlr.Failed: 1}, l.batch.States)
}

func TestMessagesIsTheLargerOfClaimedAndNamed(t *testing.T) {
	delivered := kind{dlr.Delivered, 0}
	l := newLedger(t, store.Policy{})
	l.fold(arrives(0, says(alice, dlr.Delivered, 0, at(0))))
	require.Equal(t, 1, l.messages()[delivered])
	l.fold(arrives(1, whole(5, entry(dlr.Delivered, 0, 2))))
	require.Equal(t, 2, l.messages()[delivered], "alice is one of the two claimed")
	l.fold(arrives(2, whole(5, entry(dlr.Delivered, 0, 3))))
	require.Equal(t, 3, l.messages()[delivered], "a later report claims more")
	l.fold(arrives(3, whole(5, entry(dlr.Delivered, 0, 1))))
	require.Equal(t, 3, l.messages()[delivered], "an older report that arrives late lowers no count")
	l.fold(arrives(4, says(bob, dlr.Delivered, 0, at(0))), arrives(5, says(carol, dlr.Delivered, 0, at(0))))
	require.Equal(t, 3, l.messages()[delivered])
	l.fold(arrives(6, says("447700900004", dlr.Delivered, 0, at(0))))
	require.Equal(t, 4, l.messages()[delivered])
	require.Equal(t, 5, l.batch.Total)
}

func TestInconsistentCountsAreAccepted(t *testing.T) {
	for name, r := range map[string]store.Report{
		"sum over total":        whole(2, entry(dlr.Delivered, 0, 2, alice, bob), entry(dlr.Failed, 34, 1, carol)),
		"count below the names": whole(3, entry(dlr.Delivered, 0, 1, alice, bob), entry(dlr.Failed, 34, 0, carol)),
	} {
		t.Run(name, func(t *testing.T) {
			l := newLedger(t, store.Policy{})
			l.fold(arrives(0, r))
			require.Equal(t, map[kind]int{{dlr.Delivered, 0}: 2, {dlr.Failed, 34}: 1}, l.messages())
			require.Equal(t, r.Total, l.batch.Total)
			require.Equal(t, []string{alice, bob}, l.in(store.FeedbackOwed))
			require.False(t, l.batch.NeedsFullReport)
		})
	}
	t.Run("count over the names", func(t *testing.T) {
		l := newLedger(t, store.Policy{})
		l.fold(arrives(0, whole(3, entry(dlr.Delivered, 0, 3, alice, bob))))
		require.Equal(t, 3, l.messages()[kind{dlr.Delivered, 0}])
		require.Equal(t, []string{alice, bob}, l.in(store.FeedbackOwed))
		require.True(t, l.batch.NeedsFullReport, "the report counts a delivery without naming the recipient")
	})
}

func TestOneCodeUnderTwoStatuses(t *testing.T) {
	l := newLedger(t, store.Policy{})
	l.fold(arrives(0, whole(2, entry(dlr.Expired, 14, 1, alice), entry(dlr.Rejected, 14, 1, bob))))
	require.Equal(t, map[kind]int{{dlr.Expired, 14}: 1, {dlr.Rejected, 14}: 1}, l.messages())
}

func TestEntriesOfTheSameStatusAndCodeAreAdded(t *testing.T) {
	parted := whole(5, entry(dlr.Failed, 34, 2), entry(dlr.Delivered, 0, 1, alice), entry(dlr.Failed, 34, 2))
	l := newLedger(t, store.Policy{})
	l.fold(arrives(0, parted))
	require.Equal(t, 4, l.messages()[kind{dlr.Failed, 34}])
	merged := whole(5, entry(dlr.Delivered, 0, 1, alice), entry(dlr.Failed, 34, 4))
	require.Equal(t, 1, l.fold(arrives(1, merged)).Duplicates)

	l = newLedger(t, store.Policy{})
	l.fold(arrives(0, parted), arrives(1, whole(6, parted.Entries...)))
	require.Equal(t, 4, l.messages()[kind{dlr.Failed, 34}], "claims of different reports are not added")
}

func TestRecipientNamedTwiceInOneReport(t *testing.T) {
	l := newLedger(t, store.Policy{})
	c := l.fold(arrives(0, whole(2, entry(dlr.Delivered, 0, 2, alice, "+"+alice))))
	require.Equal(t, 1, c.NewRecipients)
	require.Equal(t, 1, c.Earned)
	require.Len(t, l.recipient(alice).Reports, 1)
	require.Zero(t, l.recipient(alice).Reports[0].Repeats)
	require.Equal(t, 2, l.messages()[kind{dlr.Delivered, 0}], "Sinch counts two")

	l = newLedger(t, store.Policy{})
	l.fold(arrives(0, whole(2, entry(dlr.Failed, 34, 1, alice), entry(dlr.Delivered, 0, 1, alice))))
	require.Equal(t, map[dlr.Status]int{dlr.Delivered: 1}, l.batch.States, "Delivered wins within one report")
}

func TestReportWithATimeWinsOverOneWithout(t *testing.T) {
	l := newLedger(t, store.Policy{On: store.OnOff})
	l.fold(
		arrives(0, whole(2, entry(dlr.Expired, 406, 1, alice), entry(dlr.Dispatched, 401, 1, bob))),
		arrives(1, says(alice, dlr.Failed, 34, at(0))),
		arrives(2, says(bob, dlr.Delivered, 0, at(0))),
		arrives(3, whole(2, entry(dlr.Expired, 406, 2, alice, bob))),
	)
	require.Equal(t, dlr.Failed, l.held(alice).Status)
	require.Equal(t, dlr.Delivered, l.held(bob).Status, "a report without a time never replaces Delivered")
}

func TestWhenTheFullReportMustBeFetched(t *testing.T) {
	summary := whole(2, entry(dlr.Delivered, 0, 2), entry(dlr.Failed, 34, 1))
	d := func(number string) store.Report { return says(number, dlr.Delivered, 0, at(0)) }
	fullRead := store.Settlement{BatchID: "batch", Outcome: store.OutcomeProgress, FullReportFetched: true}
	readFails := store.Settlement{BatchID: "batch", Outcome: store.OutcomeRetry, Due: at(60)}
	twoCodes := whole(2, entry(dlr.Delivered, 0, 1, alice), entry(dlr.Delivered, 401, 1))
	for name, test := range map[string]struct {
		on    store.On
		after []store.Entry
		want  bool
	}{
		"summary":        {after: []store.Entry{summary}, want: true},
		"on both":        {on: store.OnBoth, after: []store.Entry{summary}, want: true},
		"on confirmed":   {on: store.OnConfirmed, after: []store.Entry{summary}},
		"off":            {on: store.OnOff, after: []store.Entry{summary}},
		"none delivered": {after: []store.Entry{whole(2, entry(dlr.Failed, 34, 2))}},
		"full":           {after: []store.Entry{whole(2, entry(dlr.Delivered, 0, 2, alice, bob))}},
		"failed not named": {
			after: []store.Entry{whole(2, entry(dlr.Delivered, 0, 1, alice), entry(dlr.Failed, 34, 1))},
		},
		"polled":                    {after: []store.Entry{polled(summary)}},
		"all named before":          {after: []store.Entry{d(alice), d(bob), summary}},
		"all named after":           {after: []store.Entry{summary, d(alice), d(bob)}},
		"some named":                {after: []store.Entry{d(alice), summary}, want: true},
		"full follows":              {after: []store.Entry{summary, whole(2, entry(dlr.Delivered, 0, 2, alice, bob))}},
		"fetched":                   {after: []store.Entry{summary, fullRead}},
		"fetched, then repeated":    {after: []store.Entry{summary, fullRead, summary}},
		"fetch fails":               {after: []store.Entry{summary, readFails}, want: true},
		"delivered under two codes": {after: []store.Entry{twoCodes}, want: true},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLedger(t, store.Policy{On: test.on})
			for i, n := range test.after {
				l.fold(arrives(i, n))
			}
			require.Equal(t, test.want, l.batch.NeedsFullReport)
		})
	}
}

func TestBatchKeepsALimitedNumberOfReports(t *testing.T) {
	l := newLedger(t, store.Policy{})
	for i := range 2 * maxReports {
		l.fold(arrives(i, whole(i, entry(dlr.Dispatched, 401, i))))
	}
	require.Len(t, l.batch.Reports, maxReports)
	require.Equal(t, at(2*maxReports-1), l.batch.Reports[maxReports-1].ReceivedAt, "the newest report is kept")
	require.Equal(t, 2*maxReports-1, l.messages()[kind{dlr.Dispatched, 401}])
	require.Equal(t, 2*maxReports-1, l.batch.Total)
	require.Equal(t, 1, l.fold(arrives(999, whole(2*maxReports-1, entry(dlr.Dispatched, 401, 2*maxReports-1)))).Duplicates)
	l.fold(arrives(1000, whole(0, entry(dlr.Dispatched, 401, 0))))
	require.Equal(
		t,
		2*maxReports-1,
		l.messages()[kind{dlr.Dispatched, 401}],
		"the repeat of a dropped report adds nothing",
	)
}
