package fold

import (
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// drawParts splits an arrival into random parts. Settlements stay whole, because no store splits them.
func drawParts(t *rapid.T, a store.Arrival) []store.Arrival {
	_, settlement := a.Entry.(store.Settlement)
	all := a.Entry.Names()
	if settlement || all < 2 {
		return []store.Arrival{a}
	}
	var parts []store.Arrival
	for from := 0; from < all; {
		to := rapid.IntRange(from+1, all).Draw(t, "to")
		parts = append(parts, Part(&a, from, to))
		from = to
	}
	return parts
}

// rows returns the ledger's rows without the Refs of reports, which depend on how arrivals were grouped.
func (l *ledger) rows() (store.Batch, map[string]store.Recipient) {
	batch, recipients := *cloneBatch(l.batch), make(map[string]store.Recipient)
	for i := range batch.Reports {
		batch.Reports[i].Ref = store.Ref{}
	}
	for digits, kept := range l.recipients {
		r := cloneRecipient(kept)
		for i := range r.Reports {
			r.Reports[i].Ref = store.Ref{}
		}
		recipients[digits] = r
	}
	return batch, recipients
}

func TestPartsGiveTheSameRowsAsTheWholeArrival(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policy := drawPolicy(t)
		whole, divided := newLedger(t, policy), newLedger(t, policy)
		for i, n := range rapid.SliceOfN(rapid.Custom(drawEntry), 1, 20).Draw(t, "entries") {
			a := arrives(i*20, n)
			whole.fold(a)
			for _, part := range drawParts(t, a) {
				divided.fold(part)
			}
			wholeBatch, wholeRecipients := whole.rows()
			dividedBatch, dividedRecipients := divided.rows()
			require.Equal(t, wholeBatch, dividedBatch)
			require.Equal(t, wholeRecipients, dividedRecipients)
		}
		require.Equal(t, whole.stats, divided.stats)
		require.Equal(t, whole.minutes, divided.minutes)
		require.Equal(t, whole.log, divided.log, "the raw bytes are logged once")
	})
}

// TestUnfinishedReportContinuesWhenItArrivesAgain folds some parts of a report and then its repeat, as a replica does
// after another one was killed half-way.
func TestUnfinishedReportContinuesWhenItArrivesAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policy := drawPolicy(t)
		a := arrives(0, rapid.Custom(drawReport).Draw(t, "report"))
		once, cut := newLedger(t, policy), newLedger(t, policy)
		once.fold(a)
		parts := drawParts(t, a)
		for _, part := range parts[:rapid.IntRange(0, len(parts)-1).Draw(t, "folded before the cut")] {
			cut.fold(part)
		}
		again := arrives(0, a.Entry)
		for _, part := range drawParts(t, again) {
			cut.fold(part)
		}
		onceBatch, onceRecipients := once.rows()
		cutBatch, cutRecipients := cut.rows()
		require.Equal(t, onceBatch, cutBatch)
		require.Equal(t, onceRecipients, cutRecipients)
		require.Equal(t, once.stats, cut.stats)
		require.Equal(t, once.log, cut.log)
	})
}

func TestTwoReplicasFoldPartsOfTheSameReport(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policy := drawPolicy(t)
		report := rapid.Custom(drawReport).Draw(t, "report")
		once, both := newLedger(t, policy), newLedger(t, policy)
		once.fold(arrives(0, report))
		left, right := drawParts(t, arrives(0, report)), drawParts(t, arrives(0, report))
		for len(left)+len(right) > 0 {
			next := &left
			if len(left) == 0 || len(right) > 0 && rapid.Bool().Draw(t, "right") {
				next = &right
			}
			both.fold((*next)[0])
			*next = (*next)[1:]
		}
		require.Equal(t, once.outcome(), both.outcome())
		require.Equal(t, once.stats.Messages, both.stats.Messages)
		for _, r := range both.batch.Reports {
			require.Zero(t, r.Folded, "all recipients are folded")
		}
	})
}

func TestUnfinishedReportIsNeverDropped(t *testing.T) {
	l := newLedger(t, store.Policy{})
	a := arrives(0, whole(3, entry(dlr.Delivered, 0, 3, alice, bob, carol)))
	l.fold(Part(&a, 0, 1))
	require.Equal(t, 1, l.batch.Reports[0].Folded)
	for i := range 2 * maxReports {
		l.fold(arrives(i, whole(i+10, entry(dlr.Failed, i, 1))))
	}
	l.fold(Part(&a, 1, 3))
	require.Len(t, l.batch.Reports, maxReports)
	require.Zero(t, l.batch.Reports[0].Folded)
	require.Equal(t, []string{alice, bob, carol}, l.in(store.FeedbackOwed))
	first := string(whole(10, entry(dlr.Failed, 0, 1)).Raw)
	require.Equal(t, 1, slices.IndexFunc(l.log, func(g store.Logged) bool { return string(g.Raw) == first }))
}

func TestFoldedCountsTheFoldedRecipients(t *testing.T) {
	l := newLedger(t, store.Policy{})
	a := arrives(0, whole(3, entry(dlr.Delivered, 0, 3, alice, bob, carol)))
	other := arrives(0, whole(4, entry(dlr.Failed, 1, 1, alice)))
	for i, want := range []int{1, 2, 3} {
		l.fold(Part(&a, i, i+1))
		require.Equal(t, want, Folded(&a, l.batch))
		again := arrives(9, a.Entry)
		require.Equal(t, want, Folded(&again, l.batch), "a repeat has the same content key")
	}
	require.Zero(t, Folded(&other, l.batch))
	for _, n := range []store.Entry{
		says(alice, dlr.Failed, 1, at(0)),
		store.Confirmation{BatchID: "batch", Recipients: []string{alice}},
		store.Quarantined{},
	} {
		a := arrives(0, n)
		l.fold(a)
		require.Zero(t, Folded(&a, l.batch), "%T", n)
	}
}

func TestRecipientsCountsAllNumbers(t *testing.T) {
	for _, c := range []struct {
		entry store.Entry
		want  int
	}{
		{whole(9, entry(dlr.Delivered, 0, 2, alice, bob), entry(dlr.Failed, 1, 0), entry(dlr.Failed, 2, 1, alice)), 3},
		{says(alice, dlr.Failed, 1, at(0)), 1},
		{store.BatchInfo{BatchID: "batch", Numbers: []string{alice, bob}}, 2},
		{store.Confirmation{BatchID: "batch", Recipients: []string{alice}}, 1},
		{settles(store.OutcomeAccepted, alice, bob), 2},
		{store.Requeue{BatchID: "batch", Recipients: []string{alice}}, 1},
		{store.ReportFetched{BatchID: "batch"}, 0},
		{store.Quarantined{}, 0},
	} {
		a, touched := arrives(0, c.entry), 0
		Touches(a, func(string) { touched++ })
		require.Equal(t, c.want, a.Entry.Names(), "%T", c.entry)
		require.Equal(t, c.want, touched, "%T", c.entry)
	}
}

// BenchmarkPart shows that the cost of a part depends on its own size, not on that of the whole arrival.
func BenchmarkPart(b *testing.B) {
	numbers := make([]string, 200_000)
	for i := range numbers {
		numbers[i] = strconv.Itoa(447700000000 + i)
	}
	a := arrives(0, whole(len(numbers), entry(dlr.Delivered, 0, len(numbers), numbers...)))
	Part(&a, 0, 1)
	for b.Loop() {
		Part(&a, 100_000, 101_000)
	}
}

func TestTouches(t *testing.T) {
	for name, test := range map[string]struct {
		entry store.Entry
		want  []string
	}{
		"recipient report": {says("+"+alice, dlr.Delivered, 0, at(0)), []string{alice}},
		"full report": {
			whole(2, entry(dlr.Delivered, 0, 1, alice), entry(dlr.Failed, 34, 1, "+"+bob)),
			[]string{alice, bob},
		},
		"summary": {whole(2, entry(dlr.Delivered, 0, 2)), nil},
		"confirmation": {
			store.Confirmation{BatchID: "batch", Recipients: []string{"+" + alice, bob}}, []string{alice, bob},
		},
		"settlement": {settles(store.OutcomeAccepted, "+"+alice), []string{alice}},
		"requeue":    {store.Requeue{BatchID: "batch", Recipients: []string{bob}}, []string{bob}},
		"batch info": {batchInfo(true, at(0)), nil},
		"batch info with numbers": {
			store.BatchInfo{BatchID: "batch", Numbers: []string{"+" + alice, bob}}, []string{alice, bob},
		},
		"report fetched": {store.ReportFetched{BatchID: "batch"}, nil},
		"quarantined":    {store.Quarantined{Raw: []byte("{")}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var touched []string
			Touches(arrives(0, test.entry), func(digits string) { touched = append(touched, digits) })
			require.Equal(t, test.want, touched)
		})
	}
}
