package storetest

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

var listing = []behavior{
	{"batches are listed by descending FirstAt", batchesNewestFirst},
	{"batches are filtered by plan, status, reference and time", batchFilters},
	{"recipients are sorted by digits", recipientsByDigits},
	{"recipients are filtered by present status", recipientFilter},
	{"the batches of a number are listed newest first", batchesOfNumber},
	{"pending tasks are sorted by due time, dead ones are listed separately", taskLists},
}

func batchesNewestFirst(t *testing.T, place Place) {
	o := open(t, place, Config{})
	var want []string
	for i := range 20 {
		id := fmt.Sprint((i * 7) % 20) // not in the order of the ids
		o.record(at(sec(i), fmt.Sprint("plan ", i%3), delivered(id, alice)))
		want = append([]string{id}, want...)
	}
	o.record(at(sec(99), "plan 0", delivered("0", bob))) // a later report does not move the batch
	for range 2 {
		require.Equal(t, want, ids(o.batches(store.BatchQuery{})))
		o.reopen()
	}
}

func batchFilters(t *testing.T, place Place) {
	o := open(t, place, Config{})
	o.record(
		arrives(0, withReference(delivered("0", alice), "order 7")),
		arrives(1, withReference(says("1", alice, dlr.Dispatched, 401, sec(0)), "order 7")),
		arrives(2, whole("2", entry{Status: dlr.Delivered, Count: 3}, entry{Status: dlr.Failed, Code: 34, Count: 1})),
		at(sec(3), "other", withReference(says("3", alice, dlr.Failed, 34, sec(0)), "order 77")),
		arrives(4, batchInfo("4", true, sec(0))),
		arrives(5, says("1", alice, dlr.Failed, 34, sec(1))), // no longer Dispatched
		arrives(6, whole("6", entry{dlr.Delivered, 0, 1, []string{alice}})),
		arrives(7, says("6", alice, dlr.Failed, 34, sec(9))), // still counted as Delivered once
	)
	for name, test := range map[string]struct {
		query store.BatchQuery
		want  []string
	}{
		"all":                     {store.BatchQuery{}, []string{"6", "4", "3", "2", "1", "0"}},
		"plan":                    {store.BatchQuery{Plan: "other"}, []string{"3"}},
		"no such plan":            {store.BatchQuery{Plan: "othe"}, nil},
		"Delivered":               {store.BatchQuery{Status: dlr.Delivered}, []string{"6", "2", "0"}},
		"Failed":                  {store.BatchQuery{Status: dlr.Failed}, []string{"6", "3", "2", "1"}},
		"Dispatched":              {store.BatchQuery{Status: dlr.Dispatched}, nil},
		"reference":               {store.BatchQuery{ClientReference: "order 7"}, []string{"1", "0"}},
		"reference in batch info": {store.BatchQuery{ClientReference: "reference of 4"}, []string{"4"}},
		"no such reference":       {store.BatchQuery{ClientReference: "order"}, nil},
		"from":                    {store.BatchQuery{From: sec(3)}, []string{"6", "4", "3"}},
		"to":                      {store.BatchQuery{To: sec(3)}, []string{"2", "1", "0"}},
		"from and to":             {store.BatchQuery{From: sec(1), To: sec(4)}, []string{"3", "2", "1"}},
		"empty range":             {store.BatchQuery{From: sec(3), To: sec(3)}, nil},
		"several filters":         {store.BatchQuery{Plan: plan, Status: dlr.Failed, From: sec(2)}, []string{"6", "2"}},
	} {
		got := ids(o.batches(test.query))
		require.ElementsMatch(t, test.want, got, name)
		if len(test.want) > 0 {
			require.Equal(t, test.want, got, name)
		}
		got = ids(every(t, 1, func(p store.Paging) (store.Page[*store.Batch], error) {
			test.query.Paging = p
			return o.Batches(t.Context(), test.query)
		}))
		require.Len(t, got, len(test.want), "%s, one per page", name)
	}
}

func recipientsByDigits(t *testing.T, place Place) {
	o := open(t, place, Config{})
	o.record(
		arrives(0, delivered("batch", "+"+carol)), arrives(1, delivered("batch", alice)),
		arrives(2, confirms("batch", "00"+bob)),
		arrives(3, delivered("batch", "12025550123")), arrives(4, delivered("another", "0044")),
		arrives(5, delivered("batc", "1")),
	)
	var got []string
	for _, r := range o.recipients(key("batch"), store.RecipientQuery{}) {
		got = append(got, dlr.Digits(r.Number))
	}
	require.Equal(t, []string{"12025550123", alice, bob, carol}, got)
}

func recipientFilter(t *testing.T, place Place) {
	o := open(t, place, Config{})
	o.record(
		arrives(0, says("batch", alice, dlr.Dispatched, 401, sec(0))),
		arrives(1, says("batch", alice, dlr.Failed, 34, sec(1))),
		arrives(2, says("batch", bob, dlr.Failed, 34, sec(1))), arrives(3, says("batch", carol, dlr.Dispatched, 401, sec(1))),
		arrives(4, confirms("batch", number(1))),
	)
	for status, want := range map[dlr.Status][]string{
		dlr.Failed: {alice, bob}, dlr.Dispatched: {carol}, dlr.Delivered: nil, "": {number(1), alice, bob, carol},
	} {
		var got []string
		for _, r := range o.recipients(key("batch"), store.RecipientQuery{Status: status}) {
			got = append(got, r.Number)
		}
		require.ElementsMatch(t, want, got, status)
	}
}

func batchesOfNumber(t *testing.T, place Place) {
	const day = 24 * 60 * 60
	o := open(t, place, Config{})
	seconds := []int{0, 1, 2, day, day + 1, 40 * day, 40*day + 1}
	var want []string
	for i, second := range seconds {
		id := fmt.Sprint((i * 3) % 7)
		o.record(
			at(sec(second), fmt.Sprint("plan ", i%2), delivered(id, "+"+alice)),
			at(sec(second), plan, delivered("of "+id, alice+"0")), // a number with the same beginning
		)
		want = append([]string{id}, want...)
	}
	o.record(at(sec(50*day), "plan 0", says("0", alice, dlr.Failed, 34, sec(0))))
	for range 2 {
		var got []string
		for _, r := range o.recipientBatches(alice) {
			require.Equal(t, "+"+alice, r.Recipient.Number)
			got = append(got, r.Key.BatchID)
		}
		require.Equal(t, want, got)
		o.reopen()
	}
	require.Len(t, o.recipientBatches(alice)[6].Recipient.Reports, 2, "the recipient comes with all its reports")
}

func taskLists(t *testing.T, place Place) {
	o := open(t, place, Config{})
	for i, second := range []int{5, 3, 9, 1} {
		o.record(arrives(second, delivered(fmt.Sprint(i), alice)))
	}
	o.record(
		at(sec(2), "other", delivered("0", alice)),
		arrives(0, batchInfo("unwanted", false, sec(0))), arrives(0, delivered("unwanted", alice)),
		arrives(0, says("failed", alice, dlr.Failed, 34, sec(0))),
	)
	require.Equal(t, []string{"3", "1", "0", "2"}, ids(o.tasks(store.TaskQuery{Plan: plan})))
	require.Equal(t, []string{"0"}, ids(o.tasks(store.TaskQuery{Plan: "other"})))
	require.Empty(t, o.tasks(store.TaskQuery{Plan: "o"}))
	require.Len(t, o.tasks(store.TaskQuery{}), 5)
	require.Empty(t, o.tasks(store.TaskQuery{Dead: true}))
	for second, want := range map[int][]string{0: {"3", "1", "0", "2"}, 3: {"1", "0", "2"}, 4: {"0", "2"}, 9: {"2"}} {
		tasks := o.tasks(store.TaskQuery{Plan: plan, Due: sec(second)})
		require.Equal(t, want, ids(tasks), "due at second %d or later", second)
	}
	require.Empty(t, o.tasks(store.TaskQuery{Plan: plan, Due: sec(10)}))

	for _, c := range o.claim(plan, sec(5), 2) { // 3 and 1; both stay listed while leased
		require.Len(t, o.tasks(store.TaskQuery{Plan: plan}), 4)
		if c.Key.BatchID == "1" {
			retry := settlement(c, store.OutcomeRetry)
			retry.Due = sec(7)
			o.record(arrives(5, retry))
		}
	}
	require.Equal(t, []string{"3", "0", "1", "2"}, ids(o.tasks(store.TaskQuery{Plan: plan})))
	for range 2 {
		require.Empty(t, o.tasks(store.TaskQuery{Dead: true, Plan: "other"}))
		o.reopen()
	}
	for _, c := range o.claim(plan, sec(9).Add(2*leaseTime), 10) {
		o.settle(c, sec(9), store.OutcomeDead)
	}
	require.Empty(t, o.tasks(store.TaskQuery{Plan: plan}))
	require.ElementsMatch(t, []string{"3", "0", "1", "2"}, ids(o.tasks(store.TaskQuery{Dead: true, Plan: plan})))
	require.ElementsMatch(t, []string{"3", "0", "1", "2"}, ids(o.tasks(store.TaskQuery{Dead: true})))
	require.Equal(t, []string{"0"}, ids(o.tasks(store.TaskQuery{})), "the task of the other plan")
}
