package fold

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// The generators draw from few numbers, statuses and times, so that reports collide.

func drawNumber(t *rapid.T) string {
	return rapid.SampledFrom([]string{alice, "+" + alice, bob, "00" + bob, carol, "447700900004"}).Draw(t, "number")
}

func drawState(t *rapid.T) dlr.State {
	return dlr.State{
		Status: rapid.SampledFrom([]dlr.Status{
			dlr.Queued, dlr.Dispatched, dlr.Delivered, dlr.Delivered, dlr.Failed, dlr.Expired, "Teleported",
		}).Draw(t, "status"),
		Code:       rapid.SampledFrom([]int{0, 34}).Draw(t, "code"),
		At:         drawTime(t, "at"),
		OperatorAt: drawTime(t, "operator_at"),
	}
}

func drawTime(t *rapid.T, label string) time.Time {
	return rapid.SampledFrom([]time.Time{{}, at(1), at(2), at(3)}).Draw(t, label)
}

func drawReport(t *rapid.T) store.Report {
	if rapid.Bool().Draw(t, "of one recipient") {
		s := drawState(t)
		return operatorAt(says(drawNumber(t), s.Status, s.Code, s.At), s.OperatorAt)
	}
	entries := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) dlr.Entry {
		s := drawState(t)
		numbers := rapid.SliceOfN(rapid.Custom(drawNumber), 0, 3).Draw(t, "numbers")
		return entry(s.Status, s.Code, rapid.IntRange(0, 4).Draw(t, "count"), numbers...)
	}), 0, 3).Draw(t, "entries")
	return whole(rapid.IntRange(0, 5).Draw(t, "total"), entries...)
}

// ons lists all values of feedback.on.
var ons = []store.On{"", store.OnDelivered, store.OnConfirmed, store.OnBoth, store.OnOff}

func drawPolicy(t *rapid.T) store.Policy {
	return store.Policy{
		On:       rapid.SampledFrom(ons).Draw(t, "on"),
		Coalesce: time.Duration(rapid.IntRange(0, 3).Draw(t, "coalesce")) * time.Second,
		MissingReports: store.MissingReports{
			Silence: time.Duration(rapid.IntRange(0, 3).Draw(t, "silence")) * 10 * time.Second,
			Grace:   time.Duration(rapid.IntRange(0, 20).Draw(t, "grace")) * time.Second,
		},
		Events: rapid.Bool().Draw(t, "events"), KeepCallbacks: rapid.Bool().Draw(t, "callbacks"),
	}
}

// drawGroups splits arrivals into groups and keeps their order.
func drawGroups(t *rapid.T, arrivals []store.Arrival) [][]store.Arrival {
	var groups [][]store.Arrival
	for len(arrivals) > 0 {
		n := rapid.IntRange(1, len(arrivals)).Draw(t, "group")
		groups = append(groups, arrivals[:n])
		arrivals = arrivals[n:]
	}
	return groups
}

// outcome is the result that must not depend on the order, repetition and grouping of reports.
type outcome struct {
	States   map[dlr.Status]int
	Messages map[kind]int
	Totals   []store.StatusTotal
	Total    int
	WantFull bool
	Held     map[string]dlr.State
	Seen     map[string][]dlr.State
	Owed     []string
	Reports  []string
}

func (l *ledger) outcome() outcome {
	o := outcome{
		States: l.batch.States, Messages: l.messages(), Totals: l.stats.Messages,
		Total: l.batch.Total, WantFull: l.batch.NeedsFullReport,
		Held: map[string]dlr.State{}, Seen: map[string][]dlr.State{}, Owed: l.in(store.FeedbackOwed), Reports: []string{},
	}
	for digits, r := range l.recipients {
		o.Held[digits], _ = r.State()
		for _, s := range r.Reports {
			o.Seen[digits] = append(o.Seen[digits], s.State)
		}
		slices.SortFunc(o.Seen[digits], dlr.State.Compare)
	}
	for _, r := range l.batch.Reports {
		o.Reports = append(o.Reports, string(r.Key[:]))
	}
	slices.Sort(o.Reports)
	return o
}

func TestOrderRepetitionAndGroupingDoNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policy := drawPolicy(t)
		reports := rapid.SliceOfN(rapid.Custom(drawReport), 1, 12).Draw(t, "reports")
		once := newLedger(t, policy)
		for i, r := range reports {
			once.fold(arrives(i, r))
		}

		repeated := append(slices.Clone(reports), rapid.SliceOfN(rapid.SampledFrom(reports), 0, 8).Draw(t, "repeats")...)
		var arrivals []store.Arrival
		for i, r := range rapid.Permutation(repeated).Draw(t, "order") {
			arrivals = append(arrivals, arrives(i, r))
		}
		again := newLedger(t, policy)
		for _, group := range drawGroups(t, arrivals) {
			again.fold(group...)
		}
		require.Equal(t, once.outcome(), again.outcome())
	})
}

func TestGroupingDoesNotMatterToChanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policy := drawPolicy(t)
		var arrivals []store.Arrival
		for i, n := range rapid.SliceOfN(rapid.Custom(drawEntry), 1, 20).Draw(t, "entries") {
			arrivals = append(arrivals, arrives(i*20, n))
		}
		one, many := newLedger(t, policy), newLedger(t, policy)
		one.fold(arrivals...)
		for _, group := range drawGroups(t, arrivals) {
			many.fold(group...)
		}
		require.Equal(t, one.sums(), many.sums())
		require.Equal(t, one.stats, many.stats)
		require.Equal(t, one.minutes, many.minutes)
		require.Equal(t, one.outcome(), many.outcome())
		require.Equal(t, one.batch.Task, many.batch.Task)
		require.Equal(t, one.batch.Dead, many.batch.Dead)
		require.Equal(t, one.batch.Fetch, many.batch.Fetch)
		require.Equal(t, one.batch.WholeBatch, many.batch.WholeBatch)
		require.Equal(t, one.log, many.log)
	})
}

// sums returns the sum of all changes.
func (l *ledger) sums() store.Changes {
	sum := store.Changes{Plan: "plan", BatchID: "batch", Applied: []store.Applied{}}
	for i, c := range l.changes {
		require.Equal(l.t, i == 0, c.NewBatch)
		sum.NewRecipients += c.NewRecipients
		sum.Duplicates += c.Duplicates
		sum.Polled += c.Polled
		sum.Earned += c.Earned
		sum.Accepted += c.Accepted
		sum.Dead += c.Dead
		sum.Requeued += c.Requeued
		sum.Applied = append(sum.Applied, c.Applied...)
		sum.After.Add(c.After)
		sum.After.Sub(c.Before)
	}
	return sum
}

func drawEntry(t *rapid.T) store.Entry {
	numbers := rapid.SliceOfN(rapid.Custom(drawNumber), 1, 3)
	switch rapid.IntRange(0, 8).Draw(t, "entry") {
	default:
		r := drawReport(t)
		r.Source = rapid.SampledFrom([]store.Source{store.FromCallback, store.FromPoll}).Draw(t, "source")
		return r
	case 3:
		if rapid.Bool().Draw(t, "fetch now") {
			return store.FetchNow{BatchInfo: drawBatchInfo(t)}
		}
		return drawBatchInfo(t)
	case 4:
		c := store.Confirmation{BatchID: "batch", Recipients: numbers.Draw(t, "confirmed")}
		c.WholeBatch = rapid.Bool().Draw(t, "whole batch")
		return c
	case 5, 6:
		outcome := rapid.SampledFrom([]store.Outcome{
			store.OutcomeProgress,
			store.OutcomeAccepted,
			store.OutcomeRetry,
			store.OutcomeDead,
			store.OutcomeDead,
			store.OutcomeReleased,
		})
		s := settles(outcome.Draw(t, "outcome"), numbers.Draw(t, "settled")...)
		s.FullReportFetched, s.Due = rapid.Bool().Draw(t, "full read"), at(500)
		s.WholeBatch = rapid.Bool().Draw(t, "whole batch")
		return s
	case 7:
		return store.Requeue{
			BatchID: "batch", Recipients: numbers.Draw(t, "requeued"), WholeBatch: rapid.Bool().Draw(t, "whole batch"),
		}
	case 8:
		refused := rapid.SampledFrom([]string{"", "", "", "404 not_found"})
		return store.ReportFetched{BatchID: "batch", Refused: refused.Draw(t, "refused")}
	}
}

func drawBatchInfo(t *rapid.T) store.BatchInfo {
	f := batchInfo(rapid.Bool().Draw(t, "wanted"), drawTime(t, "modified"))
	f.Unknown = rapid.IntRange(0, 3).Draw(t, "missing") == 0
	f.ReportKind = rapid.SampledFrom([]string{"", "none", "summary", "per_recipient"}).Draw(t, "kind")
	f.Recipients = rapid.IntRange(0, 4).Draw(t, "recipients")
	f.Groups = rapid.IntRange(0, f.Recipients).Draw(t, "groups")
	f.Numbers = rapid.SliceOfN(rapid.Custom(drawNumber), 0, 3).Draw(t, "named")
	f.Canceled = rapid.Bool().Draw(t, "canceled")
	f.CreatedAt, f.SendAt, f.ExpireAt = drawMoment(t, "created"), drawMoment(t, "send"), drawMoment(t, "expire")
	return f
}

// drawMoment draws a time before, during or after the arrivals, or the zero time.
func drawMoment(t *rapid.T, label string) time.Time {
	return rapid.SampledFrom([]time.Time{{}, at(-60), at(60), at(300), at(1000)}).Draw(t, label)
}

// TestInvariantsHoldForAnyArrivals relies on the ledger, which checks the invariants after every fold.
func TestInvariantsHoldForAnyArrivals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLedger(t, drawPolicy(t))
		second := 0
		for range rapid.IntRange(1, 30).Draw(t, "folds") {
			var group []store.Arrival
			for range rapid.IntRange(1, 3).Draw(t, "arrivals") {
				second += rapid.IntRange(-1, 20).Draw(t, "seconds")
				group = append(group, arrives(second, drawEntry(t)))
			}
			l.fold(group...)
		}
	})
}

func TestOlderBatchInfoInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		versions := make([]store.BatchInfo, rapid.IntRange(1, 5).Draw(t, "versions"))
		for i := range versions {
			versions[i] = batchInfo(rapid.Bool().Draw(t, "wanted"), at(i))
		}
		newest := versions[len(versions)-1]
		l := newLedger(t, store.Policy{})
		for i, f := range rapid.Permutation(versions).Draw(t, "order") {
			l.fold(arrives(i, f))
		}
		require.Equal(t, &newest, l.batch.Info)
		require.Equal(t, newest.FeedbackEnabled, l.batch.Flag == store.FlagWanted)
	})
}
