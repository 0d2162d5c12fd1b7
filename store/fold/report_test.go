package fold

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

func TestFirstReportOfBatch(t *testing.T) {
	l := newLedger(t, store.Policy{})
	r := says("+"+alice, dlr.Dispatched, 401, at(0))
	r.ClientReference = "order 7"
	c := l.fold(arrives(5, r))

	require.True(t, c.NewBatch)
	require.Equal(t, 1, c.NewRecipients)
	require.Equal(t, []store.Applied{{
		State: dlr.State{Status: dlr.Dispatched, Code: 401, At: at(0)}, Number: alice, Messages: 1, ReceivedAt: at(5),
	}}, c.Applied)
	require.Equal(t, at(5), l.batch.FirstAt)
	require.Equal(t, at(5), l.batch.LastAt)
	require.Equal(t, "order 7", l.batch.ClientReference)
	require.Equal(t, "+"+alice, l.recipient(alice).Number, "a number is kept as first received")
	require.Equal(t, []store.Logged{{ReceivedAt: at(5), Type: dlr.RecipientSMS, Raw: r.Raw}}, l.log)
	require.Equal(t, store.Ref{Chunk: 1, Index: 0}, l.recipient(alice).Reports[0].Ref)

	require.False(t, l.fold(arrives(6, says(alice, dlr.Delivered, 0, at(1)))).NewBatch)
	require.Equal(t, at(5), l.batch.FirstAt)
	require.Equal(t, at(6), l.batch.LastAt)
}

func TestRefsPointIntoTheLog(t *testing.T) {
	l := newLedger(t, store.Policy{})
	l.fold(
		arrives(0, says(alice, dlr.Dispatched, 401, at(0))),
		arrives(1, says(alice, dlr.Dispatched, 401, at(0))),
		arrives(2, whole(2, entry(dlr.Delivered, 0, 2, alice, bob))),
		arrives(3, says(bob, dlr.Delivered, 0, at(3))),
	)
	require.Len(t, l.log, 3, "a duplicate is not logged")
	require.Equal(t, store.Ref{Chunk: 1, Index: 0}, l.recipient(alice).Reports[0].Ref)
	require.Equal(t, store.Ref{Chunk: 1, Index: 1}, l.recipient(alice).Reports[1].Ref)
	require.Equal(t, store.Ref{Chunk: 1, Index: 1}, l.recipient(bob).Reports[0].Ref)
	require.Equal(t, store.Ref{Chunk: 1, Index: 1}, l.batch.Reports[0].Ref)
	require.Equal(t, store.Ref{Chunk: 1, Index: 2}, l.recipient(bob).Reports[1].Ref)
}

func TestDuplicateOfRecipientReportChangesOnlyCounters(t *testing.T) {
	for _, again := range []string{alice, "+" + alice, "00" + alice, "+44 7700 900-001"} {
		t.Run(again, func(t *testing.T) {
			l := newLedger(t, store.Policy{})
			l.fold(arrives(0, says(alice, dlr.Delivered, 0, at(0))))
			before := cloneBatch(l.batch)

			c := l.fold(arrives(10, says(again, dlr.Delivered, 0, at(0))))
			require.Equal(t, 1, c.Duplicates)
			require.Empty(t, c.Applied)
			require.Zero(t, c.NewRecipients)
			require.Zero(t, c.Earned)
			require.Len(t, l.log, 1)
			require.Equal(t, 1, l.recipient(alice).Reports[0].Repeats)
			require.Equal(t, alice, l.recipient(alice).Number)

			before.LastAt = at(10)
			require.Equal(t, before, l.batch)
		})
	}
}

func TestDuplicatesWithinOneGroup(t *testing.T) {
	l := newLedger(t, store.Policy{})
	r := arrives(0, says(alice, dlr.Delivered, 0, at(0)))
	c := l.fold(r, r, r)
	require.Equal(t, 2, c.Duplicates)
	require.Len(t, c.Applied, 1)
	require.Equal(t, 2, l.recipient(alice).Reports[0].Repeats)
}

func TestRecipientReportsThatAreNotDuplicates(t *testing.T) {
	first := says(alice, dlr.Failed, 0, at(0))
	for name, other := range map[string]store.Report{
		"status":    says(alice, dlr.Rejected, 0, at(0)),
		"code":      says(alice, dlr.Failed, 34, at(0)),
		"time":      says(alice, dlr.Failed, 0, at(0).Add(time.Millisecond)),
		"no time":   says(alice, dlr.Failed, 0, time.Time{}),
		"recipient": says(bob, dlr.Failed, 0, at(0)),
	} {
		t.Run(name, func(t *testing.T) {
			l := newLedger(t, store.Policy{})
			c := l.fold(arrives(0, first), arrives(1, other))
			require.Zero(t, c.Duplicates)
			require.Len(t, c.Applied, 2)
			require.Len(t, l.log, 2)
		})
	}
}

func TestDuplicateAddsTheOperatorTime(t *testing.T) {
	// The carrier's time has minute precision, so it is usually before Sinch's.
	bare, early, late := says(alice, dlr.Delivered, 0, at(19)), at(0), at(60)
	for name, test := range map[string]struct {
		order []store.Report
		want  time.Time
	}{
		"bare first":        {[]store.Report{bare, operatorAt(bare, early)}, early},
		"bare last":         {[]store.Report{operatorAt(bare, early), bare}, early},
		"two, early first":  {[]store.Report{operatorAt(bare, early), bare, operatorAt(bare, late)}, late},
		"two, early second": {[]store.Report{operatorAt(bare, late), operatorAt(bare, early), bare}, late},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLedger(t, store.Policy{})
			for i, r := range test.order {
				l.fold(arrives(100+i, r))
			}
			require.Len(t, l.recipient(alice).Reports, 1)
			require.Equal(t, len(test.order)-1, l.recipient(alice).Reports[0].Repeats)
			require.Equal(t, dlr.State{Status: dlr.Delivered, At: at(19), OperatorAt: test.want}, l.held(alice))
		})
	}
}

func TestOperatorTimeOfADuplicateCanChangeTheState(t *testing.T) {
	l := newLedger(t, store.Policy{On: store.OnOff})
	l.fold(arrives(0, says(alice, dlr.Failed, 34, at(10))), arrives(1, says(alice, dlr.Expired, 406, at(20))))
	require.Equal(t, map[dlr.Status]int{dlr.Expired: 1}, l.batch.States)

	c := l.fold(arrives(2, operatorAt(says(alice, dlr.Failed, 34, at(10)), at(30))))
	require.Equal(t, 1, c.Duplicates)
	require.Equal(t, map[dlr.Status]int{dlr.Failed: 1}, l.batch.States)
}

func TestIntermediateNeverReplacesFinal(t *testing.T) {
	dispatched, delivered := says(alice, dlr.Dispatched, 401, at(9)), says(alice, dlr.Delivered, 0, at(1))
	for name, order := range map[string][]store.Entry{
		"in order":     {dispatched, delivered},
		"out of order": {delivered, dispatched},
		"repeated":     {delivered, dispatched, delivered, dispatched},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLedger(t, store.Policy{})
			for i, n := range order {
				l.fold(arrives(i, n))
			}
			require.Equal(t, dlr.Delivered, l.held(alice).Status)
			require.Equal(t, map[dlr.Status]int{dlr.Delivered: 1}, l.batch.States)
			require.Equal(t, []string{alice}, l.in(store.FeedbackOwed))
			require.Equal(t, map[kind]int{{dlr.Dispatched, 401}: 1, {dlr.Delivered, 0}: 1}, l.messages(),
				"both statuses count, once each")
		})
	}
}

func TestRecipientIsCountedOncePerStatusAndCode(t *testing.T) {
	l := newLedger(t, store.Policy{})
	c := l.fold(
		arrives(0, says(alice, dlr.Delivered, 0, at(0))),
		arrives(1, says(alice, dlr.Delivered, 0, at(1))), // a different report with the same status
		arrives(2, whole(1, entry(dlr.Delivered, 0, 1, alice))),
	)
	require.Zero(t, c.Duplicates)
	require.Equal(t, []int{1, 0, 0}, []int{c.Applied[0].Messages, c.Applied[1].Messages, c.Applied[2].Messages})
	require.Equal(t, 1, l.messages()[kind{dlr.Delivered, 0}])
	require.Len(t, l.recipient(alice).Reports, 3)
	require.Equal(t, 1, c.Earned)
}

func TestUnknownStatusIsKeptAndCountedAsOther(t *testing.T) {
	l := newLedger(t, store.Policy{})
	l.fold(arrives(0, says(alice, "Teleported", 77777, at(0))))
	require.Equal(t, map[dlr.Status]int{"Teleported": 1}, l.batch.States)
	require.Equal(t, []store.StatusTotal{{Status: dlr.Other, Class: dlr.ClassOther, Messages: 1}}, l.stats.Messages)
	l.fold(arrives(1, says(alice, dlr.Failed, 0, at(-5))))
	require.Equal(t, dlr.Failed, l.held(alice).Status, "an undocumented status never wins over a final one")
}

func TestPolledReports(t *testing.T) {
	l := newLedger(t, store.Policy{})
	c := l.fold(
		arrives(0, polled(says(alice, dlr.Delivered, 0, at(0)))),
		arrives(1, polled(says(alice, dlr.Delivered, 0, at(0)))),
		arrives(2, says(bob, dlr.Delivered, 0, at(0))),
		arrives(3, polled(says(bob, dlr.Delivered, 0, at(0)))),
	)
	require.Equal(t, 1, c.Polled, "only new reports count as polled")
	require.Zero(t, c.Duplicates, "a report that was fetched again is not a duplicate")
	require.Equal(t, 1, l.recipient(alice).Reports[0].Repeats, "the report counts the repeat")
	c = l.fold(arrives(4, says(alice, dlr.Delivered, 0, at(0))))
	require.Equal(t, 1, c.Duplicates, "the callback repeats a report that was fetched before")
	require.Equal(t, store.FromPoll, l.recipient(alice).Reports[0].Source)
	require.Equal(t, store.FromPoll, l.log[0].Source)
	require.Equal(t, store.FromCallback, l.recipient(bob).Reports[0].Source)
}

func TestSentAtIsSetOnceTheBatchIsKnown(t *testing.T) {
	l := newLedger(t, store.Policy{})
	require.Zero(t, l.fold(arrives(0, says(alice, dlr.Dispatched, 401, at(0)))).Applied[0].SentAt)
	l.fold(arrives(1, batchInfo(true, at(0))))
	require.Equal(t, at(-60), l.fold(arrives(2, says(alice, dlr.Delivered, 0, at(1)))).Applied[0].SentAt)
	late := batchInfo(true, at(1))
	late.SendAt = at(-30)
	l.fold(arrives(3, late))
	require.Equal(t, at(-30), l.fold(arrives(4, says(bob, dlr.Delivered, 0, at(1)))).Applied[0].SentAt)
}

func TestRecipientKeepsALimitedNumberOfReports(t *testing.T) {
	l := newLedger(t, store.Policy{})
	l.fold(arrives(0, says(alice, dlr.Delivered, 0, at(0))), arrives(0, says(alice, dlr.Queued, 400, at(0))))
	for i := range 3 * maxReports {
		l.fold(arrives(i, says(alice, dlr.Dispatched, 401, at(i))))
	}
	reports := l.recipient(alice).Reports
	require.Len(t, reports, maxReports)
	require.Equal(t, dlr.Delivered, l.held(alice).Status, "the report that holds is kept")
	require.Equal(t, dlr.Queued, reports[1].Status, "the only report of its status is kept, so that it counts once")
	require.Equal(t, at(3*maxReports-1), reports[maxReports-1].At, "the newest report is kept")
	require.Equal(t, map[kind]int{{dlr.Delivered, 0}: 1, {dlr.Queued, 400}: 1, {dlr.Dispatched, 401}: 1}, l.messages())
	require.Equal(t, []string{alice}, l.in(store.FeedbackOwed))
	require.Len(t, l.log, 2+3*maxReports, "the log has all reports")
}

func TestRecipientWithMoreCodesThanItKeeps(t *testing.T) {
	l := newLedger(t, store.Policy{})
	l.fold(arrives(0, says(alice, dlr.Delivered, 0, at(0))))
	for code := range 2 * maxReports {
		l.fold(arrives(code, says(alice, dlr.Dispatched, 1000+code, at(code))))
	}
	require.Len(t, l.recipient(alice).Reports, maxReports)
	require.Equal(t, dlr.Delivered, l.held(alice).Status)
}

func TestBatchWithMoreCodesThanItCounts(t *testing.T) {
	l := newLedger(t, store.Policy{})
	entries := make([]dlr.Entry, 2*maxReported)
	for i := range entries {
		entries[i] = entry(dlr.Failed, 10_000+i, 1)
	}
	rows := &Rows{Batch: l.batch, Recipients: map[string]*Row{}}
	c := Fold(rows, []store.Arrival{arrives(0, whole(len(entries), entries...))}, l.policy)
	require.LessOrEqual(t, len(l.batch.Reported), maxReported+1)
	stats := store.PlanStats{}
	AddChanges(&stats, c)
	want := []store.StatusTotal{{Status: dlr.Failed, Class: dlr.ClassOther, Messages: len(entries)}}
	require.Equal(t, want, stats.Messages, "the totals count every message")
	last := l.batch.Reported[len(l.batch.Reported)-1]
	require.Equal(t, store.Reported{Status: dlr.Failed, Code: dlr.NoCode, Claimed: maxReported}, last)
}

func TestManyRecipientsInOneReport(t *testing.T) {
	l := newLedger(t, store.Policy{})
	numbers := make([]string, 5000)
	for i := range numbers {
		numbers[i] = fmt.Sprintf("4477009%05d", i)
	}
	c := l.fold(arrives(0, whole(len(numbers), entry(dlr.Delivered, 0, len(numbers), numbers...))))
	require.Equal(t, len(numbers), c.NewRecipients)
	require.Equal(t, len(numbers), c.Earned)
	require.Len(t, l.log, 1)
}
