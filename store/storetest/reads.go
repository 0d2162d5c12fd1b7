package storetest

import (
	"context"
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

var reading = []behavior{
	{"unknown keys are not found", notFound},
	{"an empty store has empty lists", emptyLists},
	{"a batch row has everything that was folded", batchRow},
	{"a recipient comes with the raw bytes of its reports", recipientRow},
	{"a recipient named only by the application has no reports", confirmedOnly},
	{"a recipient named only by the batch has no reports", namedOnly},
	{"the log has every new report in order", reportLog},
	{"totals are kept by plan", totals},
	{"messages are counted by minute, plan and status", timeseries},
	{"gauges follow the state", gauges},
}

func notFound(t *testing.T, place Place) {
	o := open(t, place, Config{})
	o.record(arrives(0, delivered("batch", alice)), at(sec(0), "other", delivered("elsewhere", alice)))
	ctx := context.Background()
	for name, k := range map[string]store.BatchKey{
		"batch": key("nothing"), "plan": {Plan: "nothing", BatchID: "batch"}, "another plan's": key("elsewhere"),
		"prefix": key("batc"), "longer": key("batch "), "other case": key("Batch"), "no id": key(""),
	} {
		_, err := o.Batch(ctx, k)
		require.ErrorIs(t, err, store.ErrNotFound, name)
		_, err = o.Recipient(ctx, k, alice)
		require.ErrorIs(t, err, store.ErrNotFound, name)
		_, err = o.Recipients(ctx, k, store.RecipientQuery{})
		require.ErrorIs(t, err, store.ErrNotFound, name)
		_, err = o.Reports(ctx, k, store.Paging{})
		require.ErrorIs(t, err, store.ErrNotFound, name)
		_, err = o.Requeue(ctx, k, sec(0))
		require.ErrorIs(t, err, store.ErrNotFound, name)
	}
	for _, n := range []string{bob, alice[:len(alice)-1], alice + "0", ""} {
		_, err := o.Recipient(ctx, key("batch"), n)
		require.ErrorIs(t, err, store.ErrNotFound, n)
		require.Empty(t, o.recipientBatches(n), n)
	}
}

func emptyLists(t *testing.T, place Place) {
	o := open(t, place, Config{})
	require.Empty(t, o.batches(store.BatchQuery{}))
	require.Empty(t, o.tasks(store.TaskQuery{}))
	require.Empty(t, o.tasks(store.TaskQuery{Dead: true}))
	require.Empty(t, o.quarantine())
	require.Empty(t, o.recipientBatches(alice))
	require.Empty(t, o.timeseries("", epoch, sec(3600)))
	require.Empty(t, o.claim(plan, sec(3600), 10))
	stats, err := o.Stats(context.Background())
	require.NoError(t, err)
	require.Empty(t, stats)
}

func batchRow(t *testing.T, place Place) {
	known := batchInfo("batch", true, sec(3))
	o := open(t, place, Config{Policies: func(string) store.Policy { return store.Policy{Coalesce: 5 * time.Second} }})
	summary := whole("batch", entry{Status: dlr.Delivered, Count: 4}, entry{Status: "Teleported", Code: 7777, Count: 1})
	o.record(
		arrives(1, withReference(says("batch", alice, dlr.Failed, 0, sec(1)), "order 7")),
		arrives(2, summary), arrives(3, summary),
		arrives(4, known),
	)
	want := &store.Batch{
		Plan: plan, ID: "batch", FirstAt: sec(1), LastAt: sec(4), ClientReference: known.ClientReference, Total: 5,
		Flag: store.FlagWanted, Info: &known,
		States: map[dlr.Status]int{dlr.Failed: 1},
		Reported: []store.Reported{
			{Status: dlr.Failed, Code: 0, Named: 1},
			{Status: dlr.Delivered, Claimed: 4},
			{Status: "Teleported", Code: 7777, Claimed: 1},
		},
		Reports:         []store.BatchReport{{Key: summary.ContentKey(), Type: dlr.BatchSMS, ReceivedAt: sec(2), Repeats: 1}},
		Task:            &store.Task{Due: sec(7), Since: sec(2)},
		NeedsFullReport: true,
	}
	for range 2 {
		got := o.batch(key("batch"))
		want.Reports[0].Ref = got.Reports[0].Ref // each store has its own refs
		require.Equal(t, want, got)
		require.Equal(t, []*store.Batch{want}, o.batches(store.BatchQuery{}))
		require.Equal(t, []*store.Batch{want}, o.tasks(store.TaskQuery{}))
		o.reopen()
	}
}

func recipientRow(t *testing.T, place Place) {
	o := open(t, place, Config{})
	operator := parsed(map[string]any{
		"type": dlr.RecipientSMS, "batch_id": "batch", "recipient": alice, "status": dlr.Delivered, "code": 0,
		"at": sec(9).Add(531 * time.Millisecond), "operator_status_at": sec(0),
	})
	full := polled(allDelivered("batch", alice, bob))
	dispatched := says("batch", "+"+alice, dlr.Dispatched, 401, sec(1))
	o.record(arrives(1, dispatched), arrives(2, dispatched), arrives(10, operator), arrives(11, full))
	claim := o.claimOne(plan, sec(20))
	claim.Recipients = []string{alice}
	o.settle(claim, sec(21), store.OutcomeAccepted)

	want := []store.RecipientReport{
		{
			State:      dlr.State{Status: dlr.Dispatched, Code: 401, At: sec(1)},
			ReceivedAt: sec(1), Repeats: 1,
		},
		{
			State:      dlr.State{Status: dlr.Delivered, At: sec(9).Add(531 * time.Millisecond), OperatorAt: sec(0)},
			ReceivedAt: sec(10),
		},
		{State: dlr.State{Status: dlr.Delivered}, ReceivedAt: sec(11), Source: store.FromPoll},
	}
	for range 2 {
		got := o.withBodies(key("batch"), alice)
		require.Equal(t, [][]byte{dispatched.Raw, operator.Raw, full.Raw}, got.Bodies)
		for i := range got.Reports {
			want[i].Ref = got.Reports[i].Ref
		}
		row := &store.Recipient{Number: "+" + alice, Reports: want, Feedback: store.FeedbackSent, FeedbackAt: sec(21)}
		require.Equal(t, row, got.Recipient)

		listed := o.recipients(key("batch"), store.RecipientQuery{})
		require.Len(t, listed, 2)
		require.Equal(t, row, listed[0])
		require.Equal(t, full.Raw, o.withBodies(key("batch"), bob).Bodies[0])
		o.reopen()
	}
}

func confirmedOnly(t *testing.T, place Place) {
	o := open(t, place, Config{})
	o.record(arrives(3, confirms("batch", "+"+alice)))
	require.Equal(t, &store.Recipient{Number: "+" + alice, Feedback: store.FeedbackOwed, FeedbackAt: sec(3)},
		o.recipient(key("batch"), alice))
	require.Empty(t, o.batch(key("batch")).States)
	require.Empty(t, o.reports(key("batch")))
}

func namedOnly(t *testing.T, place Place) {
	o := open(t, place, Config{})
	f := sends("batch", 3, 0)
	f.Groups, f.Numbers = 1, []string{"+" + alice, bob}
	o.record(arrives(3, f), arrives(4, f))
	for range 2 {
		require.Equal(t, &store.Recipient{Number: "+" + alice}, o.recipient(key("batch"), alice))
		require.Len(t, o.recipients(key("batch"), store.RecipientQuery{}), 2)
		require.Len(t, o.recipientBatches(bob), 1)
		require.Equal(t, 2, o.stats(plan).Recipients)
		require.Empty(t, o.reports(key("batch")))
		b := o.batch(key("batch"))
		require.Empty(t, b.States)
		require.Nil(t, b.Info.Numbers, "Numbers become recipients and are not stored with the batch")
		o.reopen()
	}
	o.record(arrives(5, delivered("batch", alice)))
	require.Equal(t, "+"+alice, o.recipient(key("batch"), alice).Number)
	require.Equal(t, 2, o.stats(plan).Recipients)
	require.Equal(t, map[dlr.Status]int{dlr.Delivered: 1}, o.batch(key("batch")).States)
}

func reportLog(t *testing.T, place Place) {
	o := open(t, place, Config{})
	all := []store.Report{
		says("batch", alice, dlr.Dispatched, 401, sec(0)), delivered("batch", alice),
		polled(whole("batch", entry{Status: dlr.Delivered, Count: 2})), delivered("batch", bob), whole("batch"),
	}
	var want []store.Logged
	for i, r := range all {
		o.record(
			arrives(i, r), arrives(i, r),
			arrives(i, delivered("another", number(i))), arrives(i, batchInfo("batch", true, sec(i))),
		)
		want = append(want, store.Logged{ReceivedAt: sec(i), Type: r.Type, Source: r.Source, Raw: r.Raw})
		if i == 2 {
			o.reopen()
		}
	}
	require.Equal(t, want, o.reports(key("batch")))
	require.Len(t, o.reports(key("another")), len(all))
}

func totals(t *testing.T, place Place) {
	o := open(t, place, Config{})
	o.record(
		at(sec(0), "zz", delivered("batch", alice)),
		at(sec(1), "b", says("batch", alice, dlr.Failed, 150, sec(0))),
		at(sec(2), "aaa", polled(whole("batch",
			entry{Status: dlr.Delivered, Count: 7}, entry{"Teleported", 0, 1, []string{alice}}))),
		at(sec(3), "b", says("batch", alice, dlr.Failed, 150, sec(0))),
		at(sec(4), "b", store.Quarantined{Reason: dlr.NotJSON}),
		at(sec(5), "c", store.Quarantined{Reason: dlr.NotJSON}),
		at(sec(6), "zz", batchInfo("other", false, sec(6))),
		at(sec(7), "zz", delivered("other", alice)),
	)
	want := []store.PlanStats{
		{
			Plan: "aaa", Batches: 1, Recipients: 1, Polled: 1, Feedback: store.Tally{PendingTasks: 0},
			Messages: []store.StatusTotal{
				{Status: dlr.Delivered, Class: dlr.ClassNone, Messages: 7},
				{Status: dlr.Other, Class: dlr.ClassNone, Messages: 1},
			},
		},
		{
			Plan: "b", Batches: 1, Recipients: 1, Duplicates: 1, Quarantined: 1,
			Messages: []store.StatusTotal{{Status: dlr.Failed, Class: dlr.ClassHLR, Messages: 1}},
		},
		{Plan: "c", Quarantined: 1},
		{
			Plan: "zz", Batches: 2, Recipients: 2, Feedback: store.Tally{PendingTasks: 1, Owed: 1, Dropped: 1},
			Messages: []store.StatusTotal{{Status: dlr.Delivered, Class: dlr.ClassNone, Messages: 2}},
		},
	}
	for range 2 {
		got, err := o.Stats(context.Background())
		require.NoError(t, err)
		require.Equal(t, want, got)
		o.reopen()
	}
}

func timeseries(t *testing.T, place Place) {
	o := open(t, place, Config{})
	o.record(
		at(sec(59), "zz", delivered("batch", alice)),
		at(sec(60), "zz", delivered("batch", bob)),
		at(sec(61), "zz", delivered("batch", bob)), // a duplicate
		at(sec(119), "zz", delivered("batch", carol)),
		at(sec(60), "b", says("batch", alice, dlr.Failed, 34, sec(0))),
		at(sec(60), "b", says("batch", alice, dlr.Aborted, 403, sec(0))),
		at(sec(60), "aaa", says("batch", alice, "Teleported", 1, sec(0))),
		at(sec(60), "aaa", says("batch", alice, "Beamed", 1, sec(1))),
		at(sec(120), "aaa", whole("batch", entry{Status: dlr.Delivered, Count: 5})),
	)
	zero, one, two := sec(0), sec(60), sec(120)
	all := []store.MinuteCount{
		{Minute: zero, Plan: "zz", Status: dlr.Delivered, Messages: 1},
		{Minute: one, Plan: "aaa", Status: dlr.Other, Messages: 2},
		{Minute: one, Plan: "b", Status: dlr.Aborted, Messages: 1},
		{Minute: one, Plan: "b", Status: dlr.Failed, Messages: 1},
		{Minute: one, Plan: "zz", Status: dlr.Delivered, Messages: 2},
		{Minute: two, Plan: "aaa", Status: dlr.Delivered, Messages: 5},
	}
	for range 2 {
		require.Equal(t, all, o.timeseries("", zero, sec(180)), "an empty plan selects all")
		require.Equal(t, all, o.timeseries("", time.Time{}, sec(180)), "a zero from selects everything before to")
		require.Equal(t, all[1:5], o.timeseries("", sec(1), two), "from <= minute < to")
		require.Equal(t, all[1:], o.timeseries("", one, two.Add(time.Millisecond)))
		require.Equal(t, []store.MinuteCount{all[0], all[4]}, o.timeseries("zz", zero, sec(180)))
		require.Empty(t, o.timeseries("z", zero, sec(180)))
		require.Empty(t, o.timeseries("", one, one))
		require.Empty(t, o.timeseries("", sec(180), zero))
		o.reopen()
	}
}

func gauges(t *testing.T, place Place) {
	o := open(t, place, Config{})
	require.Empty(t, o.Gauges().Plans)
	o.record(
		arrives(5, delivered("second", alice)), arrives(3, delivered("first", alice)),
		at(sec(0), "other", says("batch", alice, dlr.Failed, 34, sec(0))),
		arrives(9, store.Quarantined{Reason: dlr.NotJSON}),
	)
	want := map[string]store.PlanGauges{
		plan:    {Tally: o.stats(plan).Feedback, OldestDue: sec(3)},
		"other": {},
	}
	for range 2 {
		require.Eventually(t, func() bool {
			g := o.Gauges()
			return maps.Equal(want, g.Plans) && g.Unfolded == 0 && g.QuarantineEntries == 1
		}, time.Minute, time.Millisecond, "gauges must become current")
		require.Positive(t, o.Gauges().SizeBytes)
		require.LessOrEqual(t, o.Gauges().FreeBytes, o.Gauges().SizeBytes)
		o.reopen()
	}
}
