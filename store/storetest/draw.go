package storetest

import (
	"time"

	"pgregory.net/rapid"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// AnyTime draws a time that every store can hold: in UTC and whole milliseconds, from 1970 to the year 9999, or zero.
func AnyTime() *rapid.Generator[time.Time] {
	return rapid.Custom(func(t *rapid.T) time.Time {
		ms := rapid.Int64Range(0, 253402300799999).Draw(t, "milliseconds")
		if ms == 0 {
			return time.Time{}
		}
		return time.UnixMilli(ms).UTC()
	})
}

// AnyText draws arbitrary bytes, including bytes that have a meaning in the keys of stores.
func AnyText() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.StringN(0, 20, -1),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 100), func(b []byte) string { return string(b) }),
		rapid.SampledFrom([]string{"", "\x00", "a\x00b", "\xff", "\xffdeadbeef", "447700900001"}),
	)
}

// AnyStatus draws a documented status or arbitrary text.
func AnyStatus() *rapid.Generator[dlr.Status] {
	return rapid.OneOf(
		rapid.SampledFrom(dlr.Statuses()),
		rapid.Map(AnyText(), func(s string) dlr.Status { return dlr.Status(s) }),
	)
}

// AnyOutcome draws any store.Outcome.
func AnyOutcome() *rapid.Generator[store.Outcome] {
	return rapid.SampledFrom([]store.Outcome{
		store.OutcomeProgress,
		store.OutcomeAccepted,
		store.OutcomeRetry,
		store.OutcomeDead,
		store.OutcomeReleased,
		store.OutcomeSplit,
	})
}

// AnySource draws any store.Source.
func AnySource() *rapid.Generator[store.Source] {
	return rapid.SampledFrom([]store.Source{store.FromCallback, store.FromPoll, store.FromGateway, store.FromRegistration})
}

// AnyCount draws a count from 0 to 2^31.
func AnyCount() *rapid.Generator[int] { return rapid.IntRange(0, 1<<31) }

// AnyFacts draws batch info for batchID, with random values in all other fields that a batch row stores.
func AnyFacts(batchID string) *rapid.Generator[*store.BatchInfo] {
	return rapid.Custom(func(t *rapid.T) *store.BatchInfo {
		return &store.BatchInfo{
			BatchID: batchID, Unknown: rapid.Bool().Draw(t, "missing"), FeedbackEnabled: rapid.Bool().Draw(t, "enabled"),
			ReportKind: AnyText().Draw(t, "kind"), ClientReference: AnyText().Draw(t, "reference"),
			Recipients: AnyCount().Draw(t, "recipients"), Groups: AnyCount().Draw(t, "groups"),
			Canceled:  rapid.Bool().Draw(t, "canceled"),
			CreatedAt: AnyTime().Draw(t, "created"), ModifiedAt: AnyTime().Draw(t, "modified"),
			SendAt: AnyTime().Draw(t, "send"), ExpireAt: AnyTime().Draw(t, "expire"), Source: AnySource().Draw(t, "source"),
		}
	})
}
