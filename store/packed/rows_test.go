package packed

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/storetest"
)

func anyState() *rapid.Generator[dlr.State] {
	return rapid.Custom(func(t *rapid.T) dlr.State {
		return dlr.State{
			Status: storetest.AnyStatus().Draw(t, "status"), Code: rapid.IntRange(dlr.NoCode, 1<<31-1).Draw(t, "code"),
			At: storetest.AnyTime().Draw(t, "at"), OperatorAt: storetest.AnyTime().Draw(t, "operator at"),
		}
	})
}

func anyRecipientReport() *rapid.Generator[store.RecipientReport] {
	return rapid.Custom(func(t *rapid.T) store.RecipientReport {
		return store.RecipientReport{
			State: anyState().Draw(t, "state"), ReceivedAt: storetest.AnyTime().Draw(t, "received"),
			Source: storetest.AnySource().Draw(t, "source"), Repeats: storetest.AnyCount().Draw(t, "repeats"),
			Ref: anyRef().Draw(t, "ref"),
		}
	})
}

// anyFeedback draws a feedback state.
func anyFeedback() *rapid.Generator[store.FeedbackState] {
	return rapid.SampledFrom([]store.FeedbackState{
		store.FeedbackNone, store.FeedbackOwed, store.FeedbackSent, store.FeedbackDead,
	})
}

// anyNumber draws a recipient as Sinch, a group or an attacker might write it.
func anyNumber() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.StringMatching(`\+?[1-9][0-9]{5,14}`),
		rapid.StringMatching(`00[1-9][0-9 ()./-]{5,14}[0-9]`),
		rapid.StringMatching(`[0-9]{60,70}`),
		storetest.AnyText(),
	)
}

func TestRecipientRowRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := store.Recipient{
			Number: anyNumber().Draw(t, "number"), Reports: rapid.SliceOfN(anyRecipientReport(), 0, 5).Draw(t, "reports"),
			Feedback:   anyFeedback().Draw(t, "feedback"),
			FeedbackAt: storetest.AnyTime().Draw(t, "feedback at"),
		}
		digits := dlr.Digits(r.Number)
		row := EncodeRecipient(&r, digits)

		read, err := DecodeRecipient(row, digits)
		require.NoError(t, err)
		require.Equal(t, r.Reports, read.Reports)
		require.Equal(t, r, read)

		// Some keys do not hold the digits.
		row = EncodeRecipient(&r, "")
		read, err = DecodeRecipient(row, "something")
		require.NoError(t, err)
		require.Equal(t, r, read)

		storetest.Cuts(t, row, func(row []byte) error { _, err := DecodeRecipient(row, digits); return err })
	})
}

func TestBatchRowRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := anyBatch().Draw(t, "batch")
		row := EncodeBatch(b)
		read, err := DecodeBatch(row)
		require.NoError(t, err)
		require.Equal(t, b, read)
		require.Equal(t, row, EncodeBatch(read))
		storetest.Cuts(t, row, func(row []byte) error { _, err := DecodeBatch(row); return err })
	})
}

func anyBatch() *rapid.Generator[*store.Batch] {
	return rapid.Custom(func(t *rapid.T) *store.Batch {
		b := &store.Batch{
			Plan: storetest.AnyText().Draw(t, "plan"), ID: storetest.AnyText().Draw(t, "id"),
			FirstAt: storetest.AnyTime().Draw(t, "first"), LastAt: storetest.AnyTime().Draw(t, "last"),
			ClientReference: storetest.AnyText().Draw(t, "reference"), Total: storetest.AnyCount().Draw(t, "total"),
			Flag: rapid.SampledFrom([]store.Flag{store.FlagUnknown, store.FlagWanted, store.FlagUnwanted}).Draw(t, "flag"),
			Feedback: store.FeedbackCounts{
				Owed: storetest.AnyCount().Draw(t, "owed"), Sent: storetest.AnyCount().Draw(t, "sent"),
				Dead: storetest.AnyCount().Draw(t, "dead"),
			},
			NeedsFullReport: rapid.Bool().Draw(t, "want full"),
			WholeBatch:      anyFeedback().Draw(t, "whole batch"),
		}
		if states := rapid.MapOfN(storetest.AnyStatus(), storetest.AnyCount(), 0, 4).Draw(t, "states"); len(states) > 0 {
			b.States = states
		}
		for range rapid.IntRange(0, 4).Draw(t, "counts") {
			b.Reported = append(b.Reported, store.Reported{
				Status: storetest.AnyStatus().Draw(t, "status"), Code: rapid.IntRange(dlr.NoCode, 1000).Draw(t, "code"),
				Named: storetest.AnyCount().Draw(t, "named"), Claimed: storetest.AnyCount().Draw(t, "claimed"),
			})
		}
		for range rapid.IntRange(0, 3).Draw(t, "reports") {
			b.Reports = append(b.Reports, store.BatchReport{
				Key:        [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "key")),
				Type:       dlr.Type(storetest.AnyText().Draw(t, "type")),
				ReceivedAt: storetest.AnyTime().Draw(t, "received"), Source: storetest.AnySource().Draw(t, "source"),
				Repeats: storetest.AnyCount().Draw(t, "repeats"), Ref: anyRef().Draw(t, "ref"),
				Folded: rapid.SampledFrom([]int{0, 0, 0, 1, 1000, 400_000}).Draw(t, "folded"),
			})
		}
		if rapid.Bool().Draw(t, "has a task") {
			b.Task = &store.Task{
				Due: storetest.AnyTime().Draw(t, "due"), Since: storetest.AnyTime().Draw(t, "since"),
				Attempts: storetest.AnyCount().Draw(t, "attempts"),
				Reason:   store.Reason(storetest.AnyText().Draw(t, "reason")), Detail: storetest.AnyText().Draw(t, "detail"),
				Limit: rapid.IntRange(0, store.MaxRecipients).Draw(t, "limit"),
			}
		}
		if rapid.Bool().Draw(t, "is dead") {
			b.Dead = &store.Dead{
				At: storetest.AnyTime().Draw(t, "dead at"), Reason: store.Reason(storetest.AnyText().Draw(t, "dead reason")),
				Detail: storetest.AnyText().Draw(t, "dead detail"), FullReport: rapid.Bool().Draw(t, "dead full"),
			}
		}
		if rapid.Bool().Draw(t, "has a check") {
			b.Fetch = &store.ReportFetch{
				Due:      storetest.AnyTime().Draw(t, "fetch due"),
				Attempts: storetest.AnyCount().Draw(t, "attempts"),
			}
		}
		if rapid.Bool().Draw(t, "has batch info") {
			b.Info = storetest.AnyFacts(b.ID).Draw(t, "batch info")
		}
		return b
	})
}

func TestRowsOfANewerFormatAreRejected(t *testing.T) {
	row := []byte{batchFormat + 1, 0, 0, 0, 0, 0, 0, 0, 0}
	_, err := DecodeBatch(row)
	require.ErrorContains(t, err, "batch: row has format 5, this version reads 1 to 4")
	row[0] = rowFormat + 1
	_, err = DecodeRecipient(row, "1")
	require.ErrorContains(t, err, "recipient: row has format 2, this version reads 1")
}
