package packed

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

func anyCount() *rapid.Generator[int] { return rapid.IntRange(0, 1<<31) }

func anyState() *rapid.Generator[dlr.State] {
	return rapid.Custom(func(t *rapid.T) dlr.State {
		return dlr.State{
			Status: anyStatus().Draw(t, "status"), Code: rapid.IntRange(dlr.NoCode, 1<<31-1).Draw(t, "code"),
			At: anyTime().Draw(t, "at"), OperatorAt: anyTime().Draw(t, "operator at"),
		}
	})
}

func anySeen() *rapid.Generator[store.Seen] {
	return rapid.Custom(func(t *rapid.T) store.Seen {
		return store.Seen{
			State: anyState().Draw(t, "state"), ReceivedAt: anyTime().Draw(t, "received"),
			Source: anySource().Draw(t, "source"), Repeats: anyCount().Draw(t, "repeats"), Ref: anyRef().Draw(t, "ref"),
		}
	})
}

// anyNumber draws a recipient as Sinch, a group or somebody who means harm would write it.
func anyNumber() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.StringMatching(`\+?[1-9][0-9]{5,14}`),
		rapid.StringMatching(`00[1-9][0-9 ()./-]{5,14}[0-9]`),
		rapid.StringMatching(`[0-9]{60,70}`),
		anyText(),
	)
}

func TestRecipientRowComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := store.Recipient{
			Number: anyNumber().Draw(t, "number"), Seen: rapid.SliceOfN(anySeen(), 0, 5).Draw(t, "seen"),
			Feedback:   rapid.SampledFrom([]store.FeedbackState{store.FeedbackNone, store.FeedbackOwed, store.FeedbackSent, store.FeedbackDead}).Draw(t, "feedback"),
			FeedbackAt: anyTime().Draw(t, "feedback at"),
		}
		digits := dlr.Digits(r.Number)
		row := EncodeRecipient(&r, digits)

		read, err := DecodeRecipient(row, digits)
		require.NoError(t, err)
		require.Equal(t, r.Seen, read.Seen)
		require.Equal(t, r, read)
		require.Equal(t, r.Feedback, FeedbackOf(row))

		// A key may hold something in place of the digits.
		row = EncodeRecipient(&r, "")
		read, err = DecodeRecipient(row, "something")
		require.NoError(t, err)
		require.Equal(t, r, read)

		cuts(t, row, func(row []byte) error { _, err := DecodeRecipient(row, digits); return err })
	})
}

func TestBatchRowComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := anyBatch().Draw(t, "batch")
		row := EncodeBatch(b)
		read, err := DecodeBatch(row)
		require.NoError(t, err)
		require.Equal(t, b, read)
		require.Equal(t, row, EncodeBatch(read))
		cuts(t, row, func(row []byte) error { _, err := DecodeBatch(row); return err })
	})
}

func anyBatch() *rapid.Generator[*store.Batch] {
	return rapid.Custom(func(t *rapid.T) *store.Batch {
		b := &store.Batch{
			Plan: anyText().Draw(t, "plan"), ID: anyText().Draw(t, "id"),
			FirstAt: anyTime().Draw(t, "first"), LastAt: anyTime().Draw(t, "last"),
			ClientReference: anyText().Draw(t, "reference"), Total: anyCount().Draw(t, "total"),
			Flag:     rapid.SampledFrom([]store.Flag{store.FlagUnknown, store.FlagWanted, store.FlagUnwanted}).Draw(t, "flag"),
			Feedback: store.FeedbackCounts{Owed: anyCount().Draw(t, "owed"), Sent: anyCount().Draw(t, "sent"), Dead: anyCount().Draw(t, "dead")},
			WantFull: rapid.Bool().Draw(t, "want full"),
			Everyone: rapid.SampledFrom([]store.FeedbackState{store.FeedbackNone, store.FeedbackOwed, store.FeedbackSent, store.FeedbackDead}).Draw(t, "everyone"),
		}
		if states := rapid.MapOfN(anyStatus(), anyCount(), 0, 4).Draw(t, "states"); len(states) > 0 {
			b.States = states
		}
		for range rapid.IntRange(0, 4).Draw(t, "counts") {
			b.Reported = append(b.Reported, store.Reported{
				Status: anyStatus().Draw(t, "status"), Code: rapid.IntRange(dlr.NoCode, 1000).Draw(t, "code"),
				Named: anyCount().Draw(t, "named"), Claimed: anyCount().Draw(t, "claimed"),
			})
		}
		for range rapid.IntRange(0, 3).Draw(t, "reports") {
			b.Reports = append(b.Reports, store.BatchReport{
				Key: [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "key")), Type: dlr.Type(anyText().Draw(t, "type")),
				ReceivedAt: anyTime().Draw(t, "received"), Source: anySource().Draw(t, "source"),
				Repeats: anyCount().Draw(t, "repeats"), Ref: anyRef().Draw(t, "ref"),
			})
		}
		if rapid.Bool().Draw(t, "has a task") {
			b.Task = &store.Task{
				Due: anyTime().Draw(t, "due"), Since: anyTime().Draw(t, "since"), Attempts: anyCount().Draw(t, "attempts"),
				Reason: store.Reason(anyText().Draw(t, "reason")), Detail: anyText().Draw(t, "detail"),
			}
		}
		if rapid.Bool().Draw(t, "is dead") {
			b.Dead = &store.Dead{
				At: anyTime().Draw(t, "dead at"), Reason: store.Reason(anyText().Draw(t, "dead reason")),
				Detail: anyText().Draw(t, "dead detail"), Full: rapid.Bool().Draw(t, "dead full"),
			}
		}
		if rapid.Bool().Draw(t, "is asked after") {
			b.Check = &store.Check{Due: anyTime().Draw(t, "check due"), Asked: anyCount().Draw(t, "asked")}
		}
		if rapid.Bool().Draw(t, "has facts") {
			b.Facts = anyFacts(b.ID).Draw(t, "facts")
		}
		return b
	})
}

func anyFacts(batchID string) *rapid.Generator[*store.Facts] {
	return rapid.Custom(func(t *rapid.T) *store.Facts {
		return &store.Facts{
			BatchID: batchID, Missing: rapid.Bool().Draw(t, "missing"), FeedbackEnabled: rapid.Bool().Draw(t, "enabled"),
			ReportKind: anyText().Draw(t, "kind"), ClientReference: anyText().Draw(t, "reference"),
			Recipients: anyCount().Draw(t, "recipients"), Groups: anyCount().Draw(t, "groups"), Canceled: rapid.Bool().Draw(t, "canceled"),
			CreatedAt: anyTime().Draw(t, "created"), ModifiedAt: anyTime().Draw(t, "modified"),
			SendAt: anyTime().Draw(t, "send"), ExpireAt: anyTime().Draw(t, "expire"), Source: anySource().Draw(t, "source"),
		}
	})
}

func TestRowsOfANewerFormatAreRefused(t *testing.T) {
	row := []byte{batchFormat + 1, 0, 0, 0, 0, 0, 0, 0, 0}
	_, err := DecodeBatch(row)
	require.ErrorContains(t, err, "batch: row has format 3, this version knows format 2")
	row[0] = rowFormat + 1
	_, err = DecodeRecipient(row, "1")
	require.ErrorContains(t, err, "recipient: row has format 2")
}
