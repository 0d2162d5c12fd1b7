package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

var recording = []behavior{
	{"a read sees everything recorded before", readYourWrites},
	{"everything survives a restart", everythingSurvives},
	{"arrivals are folded once", foldedOnce},
	{"arrivals are folded in order", foldedInOrder},
	{"a duplicate changes only counters", repeats},
	{"a time too far after its arrival does not win", timesAhead},
	{"the raw bytes of a report are kept", rawBytes},
	{"ids are opaque", opaqueIDs},
	{"recipients are compared by digits", digits},
	{"an arrival may be large", largeArrivals},
	{"a report of many recipients is one arrival", hugeReport},
	{"the quarantine is limited and lists the newest first", quarantineBounds},
	{"the quarantine keeps arbitrary bytes", quarantineBytes},
}

func readYourWrites(t *testing.T, place Place) {
	o := open(t, place, Config{})
	for i := range 20 {
		o.record(arrives(i, delivered("batch", number(i))))
		require.Equal(t, i+1, o.batch(key("batch")).States[dlr.Delivered])
		require.Equal(t, i+1, o.stats(plan).Recipients)
		require.NotNil(t, o.recipient(key("batch"), number(i)))
	}
}

// view holds the results of all reads of a store, to compare them before and after a restart.
type view struct {
	Batches    []*store.Batch
	Recipients [][]*store.Recipient
	WithBodies []store.RecipientWithBodies
	Reports    [][]store.Logged
	Pending    []*store.Batch
	Dead       []*store.Batch
	Quarantine []store.QuarantineEntry
	Stats      []store.PlanStats
	Minutes    []store.MinuteCount
	Alice      []store.RecipientInBatch
}

func (o *opened) view() view {
	o.t.Helper()
	v := view{
		Batches: o.batches(store.BatchQuery{}),
		Pending: o.tasks(store.TaskQuery{}), Dead: o.tasks(store.TaskQuery{Dead: true}),
		Quarantine: o.quarantine(), Minutes: o.timeseries("", epoch, sec(86400)), Alice: o.recipientBatches(alice),
	}
	for _, b := range v.Batches {
		recipients := o.recipients(b.Key(), store.RecipientQuery{})
		v.Recipients = append(v.Recipients, recipients)
		for _, r := range recipients {
			v.WithBodies = append(v.WithBodies, o.withBodies(b.Key(), r.Number))
		}
		v.Reports = append(v.Reports, o.reports(b.Key()))
	}
	var err error
	v.Stats, err = o.Stats(context.Background())
	require.NoError(o.t, err)
	return v
}

func everythingSurvives(t *testing.T, place Place) {
	o := open(t, place, Config{})
	o.record(
		arrives(0, batchInfo("batch", true, sec(0))),
		arrives(1, withReference(says("batch", "+"+alice, dlr.Dispatched, 401, sec(1)), "order 7")),
		arrives(2, delivered("batch", alice)),
		arrives(3, delivered("batch", alice)),
		arrives(4, whole("batch", entry{dlr.Delivered, 0, 2, []string{alice, bob}}, entry{dlr.Failed, 150, 3, nil})),
		arrives(5, polled(says("batch", carol, "Teleported", 7777, time.Time{}))),
		arrives(6, confirms("confirmed", "+"+alice)),
		arrives(7, batchInfo("unwanted", false, sec(7))),
		arrives(8, delivered("unwanted", alice)),
		arrives(9, store.BatchInfo{BatchID: "missing", Unknown: true}),
		arrives(10, whole("summary", entry{Status: dlr.Delivered, Count: 5})),
		arrives(11, allDelivered("dead", alice, bob)),
		arrives(12, store.Quarantined{Reason: dlr.UnknownType, Type: "new_thing", Raw: []byte(`{"type":"new_thing"}`)}),
		at(sec(13), "other plan", delivered("batch", alice)),
	)
	for _, c := range o.claim(plan, sec(20), 10) {
		if c.Key.BatchID == "dead" {
			c.Recipients = c.Recipients[:1]
			o.settle(c, sec(20), store.OutcomeDead)
		} else {
			retry := settlement(c, store.OutcomeRetry)
			retry.Due, retry.Detail = sec(600), "503 from Sinch"
			o.record(arrives(20, retry))
		}
	}
	before := o.view()
	require.Len(t, before.Batches, 7)
	require.Len(t, before.Dead, 1)
	o.reopen()
	require.Equal(t, before, o.view())
	o.reopen()
	require.Equal(t, before, o.view(), "no arrival is folded again")
}

func foldedOnce(t *testing.T, place Place) {
	o := open(t, place, Config{})
	for life := range 3 {
		for i := range 10 {
			o.record(
				arrives(life, says("batch", number(i), dlr.Dispatched, 401, sec(life))),
				arrives(life, delivered("batch", number(i))), // a duplicate after the first restart
				at(sec(life), "other", delivered(fmt.Sprint(life, i), alice)),
			)
		}
		o.reopen()
	}
	require.NoError(t, o.Close())
	want := o.observed.stats()
	o.Store = o.place(t, o.config)
	require.Equal(t, *want[plan], o.stats(plan), "the observed changes must add up to the totals")
	require.Equal(t, *want["other"], o.stats("other"))
	require.Equal(t, 20, o.stats(plan).Duplicates)
	require.Equal(t, 10, o.stats(plan).Recipients)
	require.Equal(t, 30, o.stats("other").Batches)
	require.Equal(t, 90, o.observed.committed)
	require.Empty(t, o.observed.failures)
}

func foldedInOrder(t *testing.T, place Place) {
	o := open(t, place, Config{})
	for i := range 50 {
		wanted := i%3 == 0
		o.record(arrives(0, store.BatchInfo{
			BatchID: "batch", FeedbackEnabled: wanted, Recipients: i, Source: store.FromRegistration,
		}))
		if i%7 == 0 {
			require.Equal(t, i, o.batch(key("batch")).Info.Recipients)
		}
	}
	require.Equal(t, 49, o.batch(key("batch")).Info.Recipients, "without ModifiedAt, the last recorded batch info wins")
	require.Equal(t, store.FlagUnwanted, o.batch(key("batch")).Flag)
	o.reopen()
	require.Equal(t, 49, o.batch(key("batch")).Info.Recipients)
}

func repeats(t *testing.T, place Place) {
	o := open(t, place, Config{})
	o.record(
		arrives(0, delivered("batch", alice)),
		arrives(0, whole("batch", entry{Status: dlr.Failed, Code: 34, Count: 2})),
	)
	before := o.batch(key("batch"))
	o.reopen()
	o.record(
		arrives(5, delivered("batch", "+"+alice)), arrives(6, delivered("batch", alice)),
		arrives(7, whole("batch", entry{Status: dlr.Failed, Code: 34, Count: 2})),
	)
	after := o.batch(key("batch"))
	require.Equal(t, sec(7), after.LastAt)
	require.Equal(t, 1, after.Reports[0].Repeats)
	after.LastAt, after.Reports[0].Repeats = before.LastAt, 0
	require.Equal(t, before, after)
	require.Equal(t, 2, o.recipient(key("batch"), alice).Reports[0].Repeats)
	require.Len(t, o.reports(key("batch")), 2)
	require.Equal(t, 3, o.stats(plan).Duplicates)
	require.Equal(t, 1, o.stats(plan).Recipients)
}

// timesAhead tests that a report whose time is hours after its arrival does not win over later reports.
func timesAhead(t *testing.T, place Place) {
	o := open(t, place, Config{})
	ahead := says("batch", alice, dlr.Failed, 34, sec(6*3600))
	carrier := says("batch", bob, dlr.Failed, 34, sec(0))
	carrier.Entries[0].OperatorAt = sec(8 * 3600)
	o.record(arrives(0, ahead), arrives(0, carrier), arrives(1, ahead))
	o.record(
		arrives(60, says("batch", alice, dlr.Delivered, 0, sec(59))),
		arrives(60, says("batch", bob, dlr.Delivered, 0, sec(59))),
	)
	o.record(arrives(61, ahead), arrives(61, carrier))
	for range 2 {
		for _, number := range []string{alice, bob} {
			r := o.recipient(key("batch"), number)
			held, _ := r.State()
			require.Equal(t, dlr.State{Status: dlr.Delivered, At: sec(59)}, held)
			require.Equal(t, []store.Effect{store.Superseded, store.Holds}, r.Effects())
			require.Equal(t, sec(0), r.Reports[0].Counted().Time())
		}
		require.Equal(t, ahead.Entries[0].State, o.recipient(key("batch"), alice).Reports[0].State, "times stay as received")
		require.Equal(t, carrier.Entries[0].State, o.recipient(key("batch"), bob).Reports[0].State)
		require.Equal(
			t,
			2,
			o.recipient(key("batch"), alice).Reports[0].Repeats,
			"duplicates are found by the times as received",
		)
		require.Equal(t, map[dlr.Status]int{dlr.Delivered: 2}, o.batch(key("batch")).States)
		require.Len(t, o.recipients(key("batch"), store.RecipientQuery{Status: dlr.Delivered}), 2)
		o.reopen()
	}
	require.Equal(t, 3, o.stats(plan).Duplicates)
}

func rawBytes(t *testing.T, place Place) {
	raw := []byte("{ \"type\":\"recipient_delivery_report_sms\",\r\n\t\"batch_id\" : \"batch\"," +
		" \"recipient\":\"+" + alice +
		"\", \"status\":\"DELIVERED\", \"code\":\"0\", \"price\": {\"amount\": 1e-3}, \"note\": \"\\u00e9\xff\" }\n\n")
	c, err := dlr.Parse(raw)
	require.NoError(t, err)
	o := open(t, place, Config{})
	o.record(arrives(0, store.Report{Report: c.Report, Raw: raw}))
	for range 2 {
		require.Equal(t, raw, o.withBodies(key("batch"), alice).Bodies[0])
		require.Equal(t, raw, o.reports(key("batch"))[0].Raw)
		o.reopen()
	}
}

func opaqueIDs(t *testing.T, place Place) {
	long := strings.Repeat("x", 1000)
	all := []string{
		"01JHFFHQ0P99JPPNQPJDV7JTBP", "01jhffhq0p99jppnqpjdv7jtbp", "3-mbA7z9wDKY76ag", "a", "ab", "abc",
		"a/b", "a/", "/", "//", "..", ".", " ", "a b", "%2F", "a%00", "ä", "a\u0308", "💥", "'", `"; --`, "\\",
		"\t", "\n", "\x01", "\u2028", "null", "0", "00", "-1", "\u00ff", "\u00ffa",
		long + "1", long + "2", long[:255], long[:254],
	}
	plans := []string{"p", "pl", "plan", "plan/1", "plän", "p\x01", " "}
	o := open(t, place, Config{})
	var arrivals []store.Arrival
	for i, id := range all {
		arrivals = append(arrivals, arrives(i, confirms(id, number(i))))
	}
	for i, p := range plans {
		if p != plan {
			arrivals = append(arrivals, at(sec(i), p, confirms("a", number(1000+i))))
		}
	}
	o.recordAll(arrivals)
	for range 2 {
		for i, id := range all {
			require.Equal(t, id, o.batch(key(id)).ID)
			recipients := o.recipients(key(id), store.RecipientQuery{})
			require.Len(t, recipients, 1, "%q", id)
			require.Equal(t, number(i), recipients[0].Number, "%q", id)
			require.Equal(t, key(id), o.recipientBatches(number(i))[0].Key)
		}
		for i, p := range plans {
			if p != plan {
				require.Len(t, o.batches(store.BatchQuery{Plan: p}), 1, "%q", p)
				recipients := o.recipients(store.BatchKey{Plan: p, BatchID: "a"}, store.RecipientQuery{})
				require.Equal(t, number(1000+i), recipients[0].Number)
			}
		}
		require.Len(t, o.batches(store.BatchQuery{Plan: plan}), len(all))
		require.Len(t, o.claim(plan, sec(3600), 1000), len(all))
		require.Len(t, o.claim("p", sec(3600), 1000), 1)
		o.reopen()
	}
}

func digits(t *testing.T, place Place) {
	o := open(t, place, Config{})
	group := "dxCJTlfb1UsF" // Sinch reports on numbers only, but a feedback call may name anything
	o.record(
		arrives(0, says("batch", "+"+alice, dlr.Dispatched, 401, sec(0))),
		arrives(1, says("batch", alice, dlr.Delivered, 0, sec(1))),
		arrives(2, confirms("batch", "00"+alice, "+44 7700 900-002", group, "54321", strings.Repeat("9", 300))),
	)
	require.Equal(t, 5, o.stats(plan).Recipients)
	for _, spelt := range []string{alice, "+" + alice, "00" + alice, "+44 (7700) 900001"} {
		r := o.recipient(key("batch"), spelt)
		require.Equal(t, "+"+alice, r.Number, "as first received")
		require.Len(t, r.Reports, 2)
		require.Len(t, o.recipientBatches(spelt), 1)
	}
	require.Equal(t, "+44 7700 900-002", o.recipient(key("batch"), bob).Number)
	require.Equal(t, group, o.recipient(key("batch"), group).Number)
	require.Equal(t, "54321", o.recipient(key("batch"), "54321").Number)
	require.Equal(t, strings.Repeat("9", 300), o.recipient(key("batch"), strings.Repeat("9", 300)).Number)
	require.ElementsMatch(t, []string{"+" + alice, "+44 7700 900-002", group, "54321", strings.Repeat("9", 300)},
		o.claimOne(plan, sec(10)).Recipients, "feedback names numbers as received")
}

// mebibyte is 1 MiB in bytes. The largest body that a webhook accepts is 16 MiB.
const mebibyte = 1 << 20

func largeArrivals(t *testing.T, place Place) {
	o := open(t, place, Config{})
	block := make([]byte, 1024)
	_, _ = rand.Read(block)
	padding := bytes.Repeat(block, 16*mebibyte/len(block))
	r := delivered("batch", alice)
	r.Raw = append(bytes.Clone(r.Raw), bytes.Repeat([]byte(" "), 16*mebibyte-len(r.Raw))...)
	o.record(
		arrives(0, r),
		arrives(1, store.Quarantined{Reason: dlr.NotJSON, Raw: padding}),
		arrives(2, delivered("batch", bob)),
	)
	for range 2 {
		require.True(t, bytes.Equal(r.Raw, o.withBodies(key("batch"), alice).Bodies[0]))
		require.True(t, bytes.Equal(padding, o.quarantine()[0].Raw))
		require.Equal(t, 2, o.batch(key("batch")).Feedback.Owed)
		o.reopen()
	}
}

func hugeReport(t *testing.T, place Place) {
	recipients := 30_000
	if long {
		recipients = 100_000
	}
	o := open(t, place, Config{})
	done := make(chan error, 1)
	huge := arrives(0, allDelivered("huge", numbers(recipients)...))
	go func() { done <- o.Record(context.Background(), huge) }()
	for i := range 50 {
		o.record(arrives(i, delivered("small", number(i)))) // other arrivals are acknowledged meanwhile
	}
	require.NoError(t, <-done)
	b := o.batch(key("huge"))
	require.Equal(t, map[dlr.Status]int{dlr.Delivered: recipients}, b.States)
	require.Equal(t, recipients, b.Feedback.Owed)
	require.Equal(t, 50, o.batch(key("small")).Feedback.Owed)
	require.Equal(t, huge.Entry.(store.Report).Raw, o.withBodies(key("huge"), number(recipients-1)).Bodies[0])
	require.Len(t, o.reports(key("huge")), 1)
	require.Equal(t, recipients+50, o.stats(plan).Recipients)
}
