package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/fold"
)

// asFolded tests that a store saves every field: it records arrivals with random fields and compares every row of the
// store with the result of fold.Fold in memory.
func asFolded(t *testing.T, place Place) {
	policy := store.Policy{
		Coalesce:       1500 * time.Millisecond,
		MissingReports: store.MissingReports{Silence: 1250 * time.Millisecond, Grace: 500 * time.Millisecond},
	}
	o, runs := open(t, place, Config{Policies: func(string) store.Policy { return policy }}), 0
	rapid.Check(t, func(t *rapid.T) {
		runs++
		o.t = t
		id := fmt.Sprint("batch ", runs)
		rows := &fold.Rows{Batch: &store.Batch{Plan: plan, ID: id}, Recipients: map[string]*fold.Row{}}
		var arrivals []store.Arrival
		entries := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) store.Entry { return drawEntry(t, id) }), 1, 10)
		for i, n := range entries.Draw(t, "entries") {
			arrivals = append(arrivals, at(sec(i).Add(time.Duration(i)*time.Millisecond), plan, n))
		}
		reopened := rapid.IntRange(-10, len(arrivals)-1).Draw(t, "reopened")
		for i, a := range arrivals {
			o.record(a)
			if i == reopened {
				o.reopen()
			}
		}
		fold.Fold(rows, arrivals, policy)

		require.Equal(t, withoutRefs(rows.Batch), withoutRefs(o.batch(rows.Batch.Key())))
		c := rows.Batch.Fetch
		fetched := slices.Contains(ids(o.missingReports(plan, sec(1e7), 1e6)), id)
		require.Equal(t, c != nil && !c.Due.IsZero(), fetched, "MissingReports must agree with the batch's row: %+v", c)
		listed := o.recipients(rows.Batch.Key(), store.RecipientQuery{})
		require.Len(t, listed, len(rows.Recipients))
		for _, r := range listed {
			want := rows.Recipients[dlr.Digits(r.Number)]
			require.NotNil(t, want)
			for i := range r.Reports {
				r.Reports[i].Ref, want.Reports[i].Ref = store.Ref{}, store.Ref{}
			}
			require.Equal(t, &want.Recipient, r)
		}
		logged := o.reports(rows.Batch.Key())
		require.Len(t, logged, len(rows.Log))
		for i, l := range logged {
			require.Equal(t, rows.Log[i], l)
		}
	})
	o.t = t
}

func withoutRefs(b *store.Batch) *store.Batch {
	c := *b
	c.Reports = nil
	for _, r := range b.Reports {
		r.Ref = store.Ref{}
		c.Reports = append(c.Reports, r)
	}
	if len(c.States) == 0 {
		c.States = nil
	}
	return &c
}

func drawEntry(t *rapid.T, id string) store.Entry {
	numbers := rapid.SliceOfN(rapid.Custom(drawNumber), 1, 3)
	whole := rapid.Bool()
	switch rapid.IntRange(0, 9).Draw(t, "kind") {
	case 0, 1:
		return drawRecipientReport(t, id)
	case 2, 3:
		return drawBatchReport(t, id)
	case 4, 5:
		if rapid.Bool().Draw(t, "fetch now") {
			return store.FetchNow{BatchInfo: drawBatchInfo(t, id)}
		}
		return drawBatchInfo(t, id)
	case 6:
		c := confirms(id, numbers.Draw(t, "confirmed")...)
		c.WholeBatch = whole.Draw(t, "whole batch")
		return c
	case 7:
		return store.Requeue{BatchID: id, Recipients: numbers.Draw(t, "requeued"), WholeBatch: whole.Draw(t, "whole batch")}
	case 8:
		return store.ReportFetched{
			BatchID: id,
			Refused: rapid.SampledFrom([]string{"", "", "404 not_found"}).Draw(t, "refused"),
		}
	}
	return store.Settlement{
		BatchID: id, Lease: "nobody's", Recipients: numbers.Draw(t, "settled"), WholeBatch: whole.Draw(t, "whole batch"),
		Outcome: AnyOutcome().Draw(t, "outcome"),
		Reason:  rapid.SampledFrom(store.FeedbackReasons()).Draw(t, "reason"), Detail: drawText(t, "detail"),
		Due: drawTime(t, "due"), FullReportFetched: rapid.Bool().Draw(t, "full read"),
	}
}

func drawState(t *rapid.T) (dlr.Status, int) {
	known := rapid.SampledFrom(append(dlr.Statuses(), "Teleported", "ünknown", dlr.Delivered, dlr.Delivered))
	return known.Draw(t, "status"), rapid.SampledFrom([]int{-1, 0, 34, 401, 2599, 1<<31 - 1}).Draw(t, "code")
}

func drawTime(t *rapid.T, label string) time.Time {
	if rapid.IntRange(0, 3).Draw(t, "no "+label) == 0 {
		return time.Time{}
	}
	return epoch.Add(time.Duration(rapid.IntRange(-1e9, 1e9).Draw(t, label)) * time.Millisecond)
}

func drawText(t *rapid.T, label string) string {
	texts := []string{"", "a", "order 7", "é💥", "with \"quotes\" and \\", "long " + fmt.Sprint(make([]byte, 200))}
	return rapid.SampledFrom(texts).Draw(t, label)
}

func drawSource(t *rapid.T) store.Source {
	return rapid.SampledFrom([]store.Source{store.FromCallback, store.FromPoll}).Draw(t, "source")
}

func drawRecipientReport(t *rapid.T, id string) store.Report {
	status, code := drawState(t)
	body := map[string]any{
		"type": rapid.SampledFrom([]dlr.Type{dlr.RecipientSMS, dlr.RecipientMMS}).Draw(t, "type"), "batch_id": id,
		"recipient": drawNumber(t), "status": status, "client_reference": drawText(t, "reference"),
	}
	if code >= 0 {
		body["code"] = code
	}
	for _, member := range []string{"at", "operator_status_at"} {
		if when := drawTime(t, member); !when.IsZero() {
			body[member] = when
		}
	}
	r := parsed(body)
	r.Source = drawSource(t)
	return r
}

func drawBatchReport(t *rapid.T, id string) store.Report {
	entries := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) entry {
		status, code := drawState(t)
		return entry{
			Status: status, Code: max(code, 0), Count: rapid.IntRange(0, 5).Draw(t, "count"),
			Recipients: rapid.SliceOfN(rapid.Custom(drawNumber), 0, 3).Draw(t, "numbers"),
		}
	}), 0, 4).Draw(t, "entries")
	r := withReference(whole(id, entries...), drawText(t, "reference"))
	r.Source = drawSource(t)
	return r
}

func drawBatchInfo(t *rapid.T, id string) store.BatchInfo {
	if rapid.IntRange(0, 4).Draw(t, "missing") == 0 {
		return store.BatchInfo{BatchID: id, Unknown: true, Source: store.FromPoll}
	}
	recipients := rapid.SampledFrom([]int{0, 1, 2, 3, 1000}).Draw(t, "recipients")
	kinds := []string{"", "none", "summary", "full", "per_recipient", "per_recipient_final"}
	return store.BatchInfo{
		BatchID: id, FeedbackEnabled: rapid.Bool().Draw(t, "wanted"), Canceled: rapid.Bool().Draw(t, "canceled"),
		Recipients: recipients, Groups: rapid.IntRange(0, recipients).Draw(t, "groups"),
		Numbers:         rapid.SliceOfN(rapid.Custom(drawNumber), 0, 3).Draw(t, "numbers"),
		ReportKind:      rapid.SampledFrom(kinds).Draw(t, "kind"),
		ClientReference: drawText(t, "reference"),
		CreatedAt:       drawTime(t, "created"),
		ModifiedAt:      drawTime(t, "modified"),
		SendAt:          drawTime(t, "send"),
		ExpireAt:        drawTime(t, "expire"),
		Source:          AnySource().Draw(t, "source"),
	}
}
