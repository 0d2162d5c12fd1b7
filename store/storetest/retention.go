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

var retaining = []behavior{
	{"an old batch is deleted with its recipients and reports", deleteBatch},
	{"totals keep their counts, except for feedback", deleteTotals},
	{"a batch that owes feedback is kept", deleteKeepsOwed},
	{"a batch with missing reports is deleted like any other", deleteWithMissingReports},
	{"every arrival renews the age of a batch", deleteCountsFromLastArrival},
	{"a report after deletion starts a new batch", deleteThenNewBatch},
	{"old minute counts and quarantine entries are deleted", deleteCounts},
	{"a call deletes no more than its limit", deleteInSteps},
	{"a large batch is deleted completely", deleteLargeBatch},
}

const month = 30 * 24 * time.Hour

// deleteStep calls Store.DeleteOlder once. Like claim, it reads the totals first, so that all arrivals are folded.
func (o *opened) deleteStep(before time.Time, limit int) (deleted int, more bool) {
	o.t.Helper()
	_, err := o.Stats(context.Background())
	require.NoError(o.t, err)
	deleted, more, err = o.DeleteOlder(context.Background(), before, limit)
	require.NoError(o.t, err)
	require.LessOrEqual(o.t, deleted, limit)
	return deleted, more
}

// deleteOlder calls Store.DeleteOlder until no batch is older than before, and returns the number of deleted batches.
func (o *opened) deleteOlder(before time.Time, limit int) int {
	o.t.Helper()
	all := 0
	for {
		n, more := o.deleteStep(before, limit)
		all += n
		if !more {
			return all
		}
	}
}

func deleteBatch(t *testing.T, place Place) {
	ctx := context.Background()
	o := open(t, place, Config{})
	now := sec(0).Add(month)
	o.record(
		arrives(0, withReference(says("old", alice, dlr.Failed, 34, sec(0)), "order 7")),
		arrives(1, says("old", bob, dlr.Dispatched, 401, sec(0))),
		arrives(2, whole("old", entry{Status: dlr.Failed, Code: 34, Count: 2})),
		arrives(3, delivered("sent", alice)),
		arrives(4, batchInfo("unwanted", false, sec(0))), arrives(4, delivered("unwanted", alice)),
		arrives(5, batchInfo("known", true, sec(0))),
		at(now, plan, withReference(says("young", alice, dlr.Failed, 34, sec(0)), "order 7")),
		at(now, "other", says("old", alice, dlr.Failed, 34, sec(0))),
	)
	o.settle(o.claimOne(plan, sec(10)), sec(10), store.OutcomeAccepted)

	require.Zero(t, o.deleteOlder(sec(0), 10), "no batch is older than its first arrival")
	require.Equal(t, 4, o.deleteOlder(now, 10))
	for range 2 {
		for _, id := range []string{"old", "sent", "unwanted", "known"} {
			_, err := o.Batch(ctx, key(id))
			require.ErrorIs(t, err, store.ErrNotFound, id)
			_, err = o.Recipient(ctx, key(id), alice)
			require.ErrorIs(t, err, store.ErrNotFound, id)
			_, err = o.Recipients(ctx, key(id), store.RecipientQuery{})
			require.ErrorIs(t, err, store.ErrNotFound, id)
			_, err = o.Reports(ctx, key(id), store.Paging{})
			require.ErrorIs(t, err, store.ErrNotFound, id)
			_, err = o.Requeue(ctx, key(id), now)
			require.ErrorIs(t, err, store.ErrNotFound, id)
		}
		require.Equal(t, []string{"old", "young"}, ids(o.batches(store.BatchQuery{})), "old is recent in the other plan")
		require.Equal(t, []string{"young"}, ids(o.batches(store.BatchQuery{ClientReference: "order 7"})))
		require.Len(t, o.recipientBatches(alice), 2)
		require.Empty(t, o.recipientBatches(bob))
		require.Empty(t, o.tasks(store.TaskQuery{}))
		require.Empty(t, o.claim(plan, now, 10))
		require.Zero(t, o.deleteOlder(now, 10))
		o.reopen()
	}
}

func deleteTotals(t *testing.T, place Place) {
	o := open(t, place, Config{})
	o.record(
		arrives(0, allDelivered("sent", alice, bob)), arrives(0, delivered("sent", alice)),
		arrives(1, batchInfo("unwanted", false, sec(0))), arrives(1, delivered("unwanted", alice)),
		at(sec(0).Add(month), plan, delivered("young", alice)),
	)
	before := o.stats(plan)
	o.settle(o.claimOne(plan, sec(10)), sec(10), store.OutcomeAccepted)
	require.Equal(t, store.Tally{PendingTasks: 1, Owed: 1, Sent: 2, Dropped: 1}, o.stats(plan).Feedback)
	require.Equal(t, 2, o.deleteOlder(sec(0).Add(month), 10))
	for range 2 {
		after := o.stats(plan)
		require.Equal(t, store.Tally{PendingTasks: 1, Owed: 1}, after.Feedback)
		after.Feedback = before.Feedback
		require.Equal(t, before, after, "retention must not lower these totals")
		o.reopen()
	}
}

func deleteKeepsOwed(t *testing.T, place Place) {
	o := open(t, place, Config{})
	o.record(
		arrives(0, delivered("pending", alice)),
		arrives(1, whole("summary", entry{Status: dlr.Delivered, Count: 3})),
		arrives(2, delivered("leased", alice)),
		arrives(3, says("nothing", alice, dlr.Failed, 34, sec(0))),
	)
	claims := o.claim(plan, sec(2), 10)
	require.Len(t, claims, 3)
	later := sec(0).Add(month)
	require.Equal(t, 1, o.deleteOlder(later, 10))
	require.ElementsMatch(t, []string{"pending", "summary", "leased"}, ids(o.batches(store.BatchQuery{})))
	for _, c := range claims {
		s := settlement(c, store.OutcomeAccepted)
		s.FullReportFetched = true
		o.record(arrives(5, s))
	}
	require.Equal(t, 3, o.deleteOlder(later, 10), "batches that owe nothing are deleted")
}

func deleteWithMissingReports(t *testing.T, place Place) {
	o := open(t, place, fetching())
	later := sec(0).Add(month)
	o.record(
		arrives(0, sends("due", 2, 0)), arrives(1, sends("other", 2, 0)),
		arrives(2, sends("ended", 2, 0)), arrives(62, store.ReportFetched{BatchID: "ended", Refused: "404 not_found"}),
		arrives(3, sends("fetched", 2, 0)), at(later, plan, reportFetched("fetched")),
	)
	require.Equal(t, []string{"due", "other"}, ids(o.missingReports(plan, later, 10)))
	require.Equal(t, 3, o.deleteOlder(later, 10))
	for range 2 {
		require.Empty(t, o.missingReports(plan, later, 10))
		require.Equal(t, []string{"fetched"}, ids(o.batches(store.BatchQuery{})), "a ReportFetched renews the age")
		o.reopen()
	}
	o.record(at(later, plan, sends("due", 2, 0)))
	require.Equal(
		t,
		[]string{"due"},
		ids(o.missingReports(plan, later.Add(time.Minute), 10)),
		"the reports of the new batch are missing once",
	)
}

func deleteCountsFromLastArrival(t *testing.T, place Place) {
	o := open(t, place, Config{})
	failed := says("repeated", alice, dlr.Failed, 34, sec(0))
	o.record(
		arrives(0, failed), arrives(0, says("quiet", alice, dlr.Failed, 34, sec(0))),
		arrives(0, says("changed", alice, dlr.Failed, 34, sec(0))),
		arrives(100, failed), arrives(100, batchInfo("changed", true, sec(0))),
	)
	require.Equal(t, 1, o.deleteOlder(sec(100), 10))
	require.ElementsMatch(t, []string{"repeated", "changed"}, ids(o.batches(store.BatchQuery{})))
	require.Equal(t, 2, o.deleteOlder(sec(101), 10))
}

func deleteThenNewBatch(t *testing.T, place Place) {
	o := open(t, place, Config{})
	report := delivered("batch", alice)
	o.record(arrives(0, report), arrives(0, says("batch", bob, dlr.Failed, 34, sec(0))))
	o.settle(o.claimOne(plan, sec(1)), sec(1), store.OutcomeAccepted)
	later := sec(0).Add(month)
	require.Equal(t, 1, o.deleteOlder(later, 10))

	o.record(at(later, plan, report))
	for range 2 {
		b := o.batch(key("batch"))
		require.Equal(t, later, b.FirstAt)
		require.Equal(t, map[dlr.Status]int{dlr.Delivered: 1}, b.States)
		require.Equal(t, store.FeedbackCounts{Owed: 1}, b.Feedback)
		require.Zero(t, o.recipient(key("batch"), alice).Reports[0].Repeats)
		require.Len(t, o.recipients(key("batch"), store.RecipientQuery{}), 1)
		require.Len(t, o.reports(key("batch")), 1)
		require.Len(t, o.recipientBatches(alice), 1)
		require.Empty(t, o.recipientBatches(bob))
		require.Equal(t, 2, o.stats(plan).Batches)
		require.Zero(t, o.stats(plan).Duplicates)
		o.reopen()
	}
}

func deleteCounts(t *testing.T, place Place) {
	o := open(t, place, Config{})
	for i := range 10 {
		o.record(
			arrives(i*60, says("batch", number(i), dlr.Failed, 34, sec(0))),
			arrives(i*60, store.Quarantined{Reason: dlr.NotJSON, Raw: fmt.Append(nil, i)}),
		)
	}
	require.Len(t, o.timeseries(plan, epoch, sec(3600)), 10)
	require.Zero(t, o.deleteOlder(sec(7*60), 10), "the batch has later arrivals")
	for range 2 {
		counts := o.timeseries(plan, epoch, sec(3600))
		require.Len(t, counts, 3)
		require.Equal(t, sec(7*60), counts[0].Minute)
		entries := o.quarantine()
		require.Len(t, entries, 3)
		require.Equal(t, "9", string(entries[0].Raw))
		require.Equal(t, "7", string(entries[2].Raw))
		require.Equal(t, 10, o.stats(plan).Quarantined)
		require.Eventually(t, func() bool { return o.Gauges().QuarantineEntries == 3 }, time.Minute, time.Millisecond)
		o.reopen()
	}
	o.record(arrives(700, store.Quarantined{Reason: dlr.NotJSON, Raw: []byte("new")}))
	require.Equal(t, "new", string(o.quarantine()[0].Raw))
}

func deleteInSteps(t *testing.T, place Place) {
	o := open(t, place, Config{})
	for i := range 7 {
		o.record(
			arrives(i, says(fmt.Sprint("old ", i), alice, dlr.Failed, 34, sec(0))),
			arrives(1000, delivered(fmt.Sprint("young ", i), alice)),
		)
	}
	n, more := o.deleteStep(sec(500), 3)
	require.Equal(t, 3, n)
	require.True(t, more)
	require.Len(t, o.batches(store.BatchQuery{}), 11)
	require.Equal(t, 4, o.deleteOlder(sec(500), 3))
	require.Len(t, o.batches(store.BatchQuery{}), 7)
	require.Len(t, o.recipientBatches(alice), 7)
}

func deleteLargeBatch(t *testing.T, place Place) {
	const recipients = 5000
	o := open(t, place, Config{})
	o.record(
		arrives(0, whole("large", entry{dlr.Failed, 34, recipients, numbers(recipients)})),
		arrives(1, says("large", alice, dlr.Failed, 34, sec(0))),
		at(sec(0).Add(month), plan, whole("young", entry{dlr.Failed, 34, 10, numbers(10)})),
	)
	require.Equal(t, 1, o.deleteOlder(sec(0).Add(month), 10))
	for i := range recipients {
		if want := i < 10; i%500 == 0 || want {
			require.Equal(t, want, len(o.recipientBatches(number(i))) == 1, "number %d", i)
		}
	}
	o.record(at(sec(1).Add(month), plan, says("large", bob, dlr.Failed, 34, sec(0))))
	require.Len(t, o.recipients(key("large"), store.RecipientQuery{}), 1)
	require.Len(t, o.reports(key("large")), 1)
}
