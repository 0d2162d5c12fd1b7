package fold

import (
	"time"

	"github.com/dlrloop/dlrloop/store"
)

// longestValidity is Sinch's default and maximum for how long it tries to deliver a batch.
const longestValidity = 72 * time.Hour

// scheduleFetch updates Batch.Fetch, the time of the next fetch of missing reports, after the arrival a is applied. It
// clears Batch.Fetch if no report is missing or the policy disables fetching.
func (f *folding) scheduleFetch(a store.Arrival) {
	b, missing := f.batch, f.policy.MissingReports
	if missing.Silence <= 0 || !reportsMissing(b) {
		b.Fetch = nil
		return
	}
	if b.Fetch == nil {
		b.Fetch = &store.ReportFetch{Due: nextFetch(b, missing, 0, a.At)}
	}
	if n, ok := reportOf(a.Entry); ok && n.Source == store.FromCallback {
		*b.Fetch = store.ReportFetch{Due: nextFetch(b, missing, 0, a.At)}
	}
	switch n := a.Entry.(type) {
	case store.ReportFetched:
		f.reportFetched(n, a.At)
	case store.BatchInfo:
		f.advanceFetch(a.At)
	case store.FetchNow:
		f.advanceFetch(a.At)
		if !b.Info.SentAt().After(a.At) {
			*b.Fetch = store.ReportFetch{Due: a.At}
		}
	}
}

// advanceFetch makes the next fetch due earlier if the times in new batch info say so. It never postpones a fetch.
func (f *folding) advanceFetch(at time.Time) {
	b := f.batch
	if due := nextFetch(b, f.policy.MissingReports, b.Fetch.Attempts, at); due.Before(b.Fetch.Due) {
		b.Fetch.Due = due
	}
}

// reportFetched schedules the next fetch of missing reports after the fetch n, or none if no more reports can come. It
// does nothing if no fetch is due: then n was applied before, or a report has arrived since the fetch.
func (f *folding) reportFetched(n store.ReportFetched, at time.Time) {
	b, c, missing := f.batch, f.batch.Fetch, f.policy.MissingReports
	if !b.FetchDue(missing, at) {
		return
	}
	c.Attempts++
	neverLeft := b.Info.Canceled && len(b.Reported) == 0
	if n.Refused != "" || neverLeft || !at.Before(endOf(b, missing)) {
		c.Due = time.Time{}
		return
	}
	c.Due = nextFetch(b, missing, c.Attempts, at)
}

// nextFetch returns the time of the next fetch of missing reports: m.Delay(attempts) after at, or after the batch is
// sent if that is later. If endOf(b, m) is sooner and not yet over, nextFetch returns endOf(b, m).
func nextFetch(b *store.Batch, m store.MissingReports, attempts int, at time.Time) time.Time {
	if sent := b.Info.SentAt(); sent.After(at) {
		at = sent // no reports are expected before the batch is sent
	}
	due := at.Add(m.Delay(attempts))
	if end := endOf(b, m); at.Before(end) && end.Before(due) {
		return end
	}
	return due
}

// endOf returns when the last report of the batch should have arrived: m.Grace after the batch's validity ends. If the
// time of sending is unknown, the validity starts at Batch.FirstAt.
func endOf(b *store.Batch, m store.MissingReports) time.Time {
	sent := b.Info.SentAt()
	if sent.IsZero() {
		sent = b.FirstAt
	}
	end := sent.Add(longestValidity)
	if expires := b.Info.ExpireAt; !expires.IsZero() && expires.Before(end) {
		end = expires
	}
	return end.Add(m.Grace)
}

// reportsMissing reports whether the batch was sent with a request for delivery reports and some have not arrived.
func reportsMissing(b *store.Batch) bool {
	f := b.Info
	if f == nil || f.Unknown {
		return false
	}
	switch f.ReportKind {
	case "", "none":
		return false
	}
	if b.Total == 0 && (f.Groups > 0 || f.Recipients == 0) {
		return true // the number of recipients is unknown
	}
	return b.Missing() > 0
}
