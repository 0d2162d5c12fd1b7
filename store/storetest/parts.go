package storetest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

var partial = []behavior{
	{"an arrival folded in parts gives the same rows as a whole one", dividedArrivals},
	{"a repeat of a report folded in parts is a duplicate", dividedRepeats},
	{"a report whose caller gave up is complete after its repeat", dividedWhileCanceled},
	{"a batch accepts other reports while one is folded in parts", dividedAmongOthers},
}

// divided is a number of recipients so large that every store folds an arrival with them in several parts.
const divided = 10_000

func dividedArrivals(t *testing.T, place Place) {
	o := open(t, place, Config{})
	all := numbers(divided)
	known := batchInfo("batch", true, sec(0))
	known.Recipients, known.Numbers = divided, all
	half := whole("batch",
		entry{dlr.Delivered, 0, divided / 2, all[:divided/2]}, entry{dlr.Failed, 150, divided/2 + 7, all[divided/2:]},
		entry{Status: dlr.Expired, Count: 3})
	o.record(arrives(0, known), arrives(1, half), arrives(2, confirms("batch", all...)))
	for range 2 {
		b := o.batch(key("batch"))
		require.Equal(t, divided, b.Info.Recipients)
		require.Equal(t, divided+10, b.Total)
		require.Equal(t, map[dlr.Status]int{dlr.Delivered: divided / 2, dlr.Failed: divided / 2}, b.States)
		require.ElementsMatch(t, []store.Reported{
			{Status: dlr.Delivered, Named: divided / 2, Claimed: divided / 2},
			{Status: dlr.Failed, Code: 150, Named: divided / 2, Claimed: divided/2 + 7},
			{Status: dlr.Expired, Claimed: 3},
		}, b.Reported)
		require.Equal(t, store.FeedbackCounts{Owed: divided}, b.Feedback)
		require.Len(t, b.Reports, 1)
		require.Zero(t, b.Reports[0].Folded)
		require.Len(t, o.reports(key("batch")), 1, "the raw bytes are logged once")
		require.Equal(t, half.Raw, o.withBodies(key("batch"), all[divided-1]).Bodies[0])
		recipients := o.recipients(key("batch"), store.RecipientQuery{})
		require.Len(t, recipients, divided)
		for _, r := range recipients {
			require.Len(t, r.Reports, 1)
			require.Zero(t, r.Reports[0].Repeats)
		}
		s := o.stats(plan)
		require.Equal(t, divided, s.Recipients)
		require.Equal(t, 1, s.Batches)
		require.Equal(t, store.Tally{PendingTasks: 1, Owed: divided}, s.Feedback)
		o.reopen()
	}
	require.NoError(t, o.Close())
	observed := *o.observed.stats()[plan]
	o.Store = o.place(t, o.config)
	require.Equal(t, observed, o.stats(plan), "the observed changes must add up to the totals")
	require.Equal(t, 3, o.observed.committed)
}

func dividedRepeats(t *testing.T, place Place) {
	o := open(t, place, Config{})
	r := allDelivered("batch", numbers(divided)...)
	o.record(arrives(0, r))
	before := o.batch(key("batch"))
	for i := range 2 {
		o.record(arrives(1+i, r))
		o.reopen()
	}
	after := o.batch(key("batch"))
	require.Equal(t, 2, after.Reports[0].Repeats)
	after.LastAt, after.Reports[0].Repeats = before.LastAt, 0
	require.Equal(t, before, after)
	require.Equal(t, 2, o.stats(plan).Duplicates)
	require.Len(t, o.reports(key("batch")), 1)
}

// dividedWhileCanceled tests that a report is complete after canceled calls of Record. Like a webhook with a deadline,
// it calls Record with longer and longer timeouts until one call succeeds.
func dividedWhileCanceled(t *testing.T, place Place) {
	o := open(t, place, Config{})
	r := allDelivered("batch", numbers(divided)...)
	for patience := time.Millisecond; ; patience *= 2 {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		err := o.Record(ctx, arrives(0, r))
		cancel()
		if err == nil {
			break
		}
		require.True(t, errors.Is(err, context.DeadlineExceeded) || errors.Is(err, store.ErrBusy), "%v", err)
	}
	o.reopen()
	b := o.batch(key("batch"))
	require.Equal(t, map[dlr.Status]int{dlr.Delivered: divided}, b.States)
	require.Equal(t, divided, b.Feedback.Owed)
	require.Equal(t, divided, o.stats(plan).Recipients)
	require.Equal(t, divided, o.stats(plan).Messages[0].Messages)
	require.Len(t, o.reports(key("batch")), 1)
}

func dividedAmongOthers(t *testing.T, place Place) {
	o := open(t, place, Config{})
	all := numbers(divided)
	arrivals := []store.Arrival{arrives(0, allDelivered("batch", all...)), arrives(1, confirms("batch", all...))}
	for i := range 100 {
		arrivals = append(arrivals, arrives(i, says("batch", all[i*divided/100], dlr.Dispatched, 401, sec(0))))
	}
	slices.Reverse(arrivals[1:])
	o.recordAll(arrivals)
	b := o.batch(key("batch"))
	require.Equal(t, map[dlr.Status]int{dlr.Delivered: divided}, b.States)
	require.ElementsMatch(t, []store.Reported{
		{Status: dlr.Delivered, Named: divided, Claimed: divided}, {Status: dlr.Dispatched, Code: 401, Named: 100},
	}, b.Reported)
	require.Equal(t, divided, b.Feedback.Owed)
	require.Len(t, o.reports(key("batch")), 101)
	require.Equal(t, divided, o.stats(plan).Recipients)
}
