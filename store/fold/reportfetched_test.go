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

func TestReportFetchedCountsOnce(t *testing.T) {
	l := missingReports(t, fetching)
	for range 3 {
		l.fetches(60)
		require.Equal(t, &store.ReportFetch{Due: at(180), Attempts: 1}, l.batch.Fetch, "recording it again changes nothing")
	}
	l.fetches(179)
	require.Equal(t, &store.ReportFetch{Due: at(180), Attempts: 1}, l.batch.Fetch)
}

func TestReportFetchedIsIgnoredAfterANewerReport(t *testing.T) {
	l := missingReports(t, fetching)
	l.fold(
		arrives(61, says(alice, dlr.Delivered, 0, at(1))),
		arrives(62, store.ReportFetched{BatchID: "batch", Refused: "404 not_found"}),
	)
	require.Equal(t, &store.ReportFetch{Due: at(121)}, l.batch.Fetch)
}

func TestRefusedEndsTheChecks(t *testing.T) {
	l := missingReports(t, fetching)
	l.fold(arrives(60, store.ReportFetched{BatchID: "batch", Refused: "404 not_found"}))
	require.Equal(t, &store.ReportFetch{Attempts: 1}, l.batch.Fetch)
	l.fetches(61)
	l.fold(
		arrives(
			62,
			sends(2),
		),
		arrives(63, polled(says(alice, dlr.Delivered, 0, at(1)))),
		arrives(64, settles(store.OutcomeRetry)),
	)
	require.Equal(
		t,
		&store.ReportFetch{Attempts: 1},
		l.batch.Fetch,
		"fetched reports and batch info do not restart the fetches",
	)
	l.fold(arrives(70, says(alice, dlr.Dispatched, 401, at(1))))
	require.Equal(t, &store.ReportFetch{Due: at(130)}, l.batch.Fetch, "a callback restarts the fetches")
}

func TestCanceledBatch(t *testing.T) {
	canceled := sends(2)
	canceled.Canceled, canceled.ModifiedAt = true, at(1)
	t.Run("before it was sent", func(t *testing.T) {
		l := newLedger(t, fetching)
		l.fold(arrives(1, canceled), arrives(60, polled(whole(0))), arrives(61, store.ReportFetched{BatchID: "batch"}))
		require.Equal(t, &store.ReportFetch{Attempts: 1}, l.batch.Fetch, "no reports will come")
	})
	t.Run("while it was being sent", func(t *testing.T) {
		l := newLedger(t, fetching)
		l.fold(
			arrives(1, canceled),
			arrives(60, polled(whole(2, entry(dlr.Cancelled, 407, 1, alice), entry(dlr.Dispatched, 401, 1, bob)))),
			arrives(61, store.ReportFetched{BatchID: "batch"}),
		)
		require.Equal(t, &store.ReportFetch{Due: at(181), Attempts: 1}, l.batch.Fetch, "one message is not final yet")
		l.fold(arrives(181, polled(whole(2, entry(dlr.Cancelled, 407, 1, alice), entry(dlr.Delivered, 0, 1, bob)))))
		require.Nil(t, l.batch.Fetch)
	})
}

// TestEveryCheckEnds does what a reconciler does after any arrivals for a batch with missing reports: the batch is
// checked neither too often nor forever, and never without an end. The silence lasts minutes or hours, because the
// validity lasts days: with a silence of seconds there would be a thousand checks.
func TestEveryCheckEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPolicy(t)
		p.MissingReports.Silence = time.Duration(rapid.IntRange(10, 300).Draw(t, "minutes")) * time.Minute
		entries := rapid.SliceOfN(rapid.Custom(drawEntry), 0, 15).Draw(t, "entries")
		l, second := newLedger(t, p), 0
		known := rapid.IntRange(0, len(entries)).Draw(t, "known after")
		for _, n := range slices.Insert(entries, known, store.Entry(drawMissing(t))) {
			second += rapid.IntRange(0, 7200).Draw(t, "seconds")
			l.fold(arrives(second, n))
		}
		if l.batch.Fetch == nil {
			return // Sinch does not know the batch
		}
		now, end := at(second), endOf(l.batch, p.MissingReports)
		latest := end
		for _, t := range []time.Time{now, l.batch.Info.SentAt()} {
			if t.Add(p.MissingReports.Delay(5)).After(latest) {
				latest = t.Add(p.MissingReports.Delay(5))
			}
		}
		attempts := l.batch.Fetch.Attempts
		for c := l.batch.Fetch; !c.Due.IsZero(); c = l.batch.Fetch {
			require.False(t, c.Due.After(latest), "due at %s, long after %s", c.Due, latest)
			if c.Due.After(now) {
				now = c.Due
			}
			last := now
			l.fold(store.Arrival{Plan: "plan", At: now, Entry: store.ReportFetched{BatchID: "batch"}})
			c = l.batch.Fetch
			require.Equal(t, attempts+1, c.Attempts)
			attempts = c.Attempts
			if c.Due.IsZero() {
				break
			}
			require.True(t, last.Before(end), "fetched again after the end")
			silent := c.Due.Sub(last) >= p.MissingReports.Delay(attempts)
			require.True(t, silent || c.Due.Equal(end), "fetched again too soon")
		}
	})
}

// drawMissing draws the info of a batch that has more recipients than the arrivals name. It is newer than
// all others, and the batch is valid for hours or days.
func drawMissing(t *rapid.T) store.BatchInfo {
	f := drawBatchInfo(t)
	f.Unknown, f.ReportKind, f.Recipients, f.Groups, f.ModifiedAt = false, "full", 1000, 0, at(4)
	moment := rapid.SampledFrom([]time.Time{{}, at(-3600), at(6 * 3600), at(30 * 3600), at(80 * 3600)})
	f.CreatedAt, f.SendAt, f.ExpireAt = moment.Draw(t, "created"), moment.Draw(t, "sent"), moment.Draw(t, "expires")
	return f
}
