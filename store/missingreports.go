package store

import "time"

// MissingReports configures when dlrloop fetches delivery reports that did not arrive as callbacks. The zero value
// means never.
type MissingReports struct {
	// Silence is how long to wait after the last callback before a fetch. The wait doubles after each fetch until the
	// next callback, up to 32 times Silence. Zero disables fetching.
	Silence time.Duration
	// Grace is how long after BatchInfo.ExpireAt the last reports of the batch may arrive. Then the last fetch is due.
	Grace time.Duration
}

// maxDoublings limits how often the wait between two fetches of missing reports doubles: up to 32 times Silence.
const maxDoublings = 5

// Delay returns how long to wait before the next fetch, after this many fetches since the last callback. It is Silence,
// doubled for each of these fetches, but at most 32 times Silence.
func (m MissingReports) Delay(attempts int) time.Duration {
	return m.Silence << min(attempts, maxDoublings)
}

// Horizon returns the latest credible due time of a fetch at the time now, for a batch that is already sent. A later
// ReportFetch.Due comes from a wrong clock.
func (m MissingReports) Horizon(now time.Time) time.Time {
	return now.Add(m.Delay(maxDoublings) + MaxAhead)
}

// FetchDue reports whether a fetch of the batch's missing reports is due at the time now, under the plan's settings m.
// A due time later than MissingReports.Horizon comes from a wrong clock and counts as due.
func (b *Batch) FetchDue(m MissingReports, now time.Time) bool {
	if b.Fetch == nil || b.Fetch.Due.IsZero() {
		return false
	}
	if !b.Fetch.Due.After(now) {
		return true
	}
	if sent := b.Info.SentAt(); sent.After(now) {
		now = sent
	}
	return b.Fetch.Due.After(m.Horizon(now))
}

// settled returns how many messages of the batch have a final status according to the reports.
func (b *Batch) settled() int {
	named, claimed := 0, 0
	for s, n := range b.States {
		if s.Final() {
			named += n
		}
	}
	for _, r := range b.Reported {
		if r.Status.Final() {
			claimed += r.Claimed
		}
	}
	return max(named, claimed)
}

// Complete reports whether every message of the batch has a final status. It returns false while the number of messages
// is unknown.
func (b *Batch) Complete() bool {
	known := b.Total > 0
	if f := b.Info; f != nil && !f.Unknown && f.Groups == 0 {
		known = known || f.Recipients > 0
	}
	return known && b.Missing() == 0
}

// Missing returns how many messages of the batch have no final status yet. It returns 0 while neither a report nor the
// batch info says how many messages there are.
func (b *Batch) Missing() int {
	expected := b.Total
	if f := b.Info; f != nil && !f.Unknown {
		expected = max(expected, f.Recipients-f.Groups)
	}
	return max(expected-b.settled(), 0)
}
