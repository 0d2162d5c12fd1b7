package store

import "time"

// MissingReports configures when dlrloop fetches reports that did not arrive as callbacks. The zero value means never.
type MissingReports struct {
	// Silence is how long to wait after the last callback before a fetch. The wait doubles after each fetch until the
	// next callback, up to 32 times Silence. Zero disables fetching.
	Silence time.Duration
	// Grace is how long after BatchInfo.ExpireAt the last reports of the batch may arrive. Then the last fetch is due.
	Grace time.Duration
}

// maxDoublings limits how often the wait between two fetches doubles: up to 32 times MissingReports.Silence.
const maxDoublings = 5

// Delay returns how long to wait before the next fetch, after this many attempts (fetches since the last callback):
// Silence, doubled for each attempt, up to 32 times Silence.
func (m MissingReports) Delay(attempts int) time.Duration {
	return m.Silence << min(attempts, maxDoublings)
}

// Horizon returns the latest plausible ReportFetch.Due at the time now, for a batch that is already sent. A later Due
// was set by a clock that was ahead and has since been set back.
func (m MissingReports) Horizon(now time.Time) time.Time {
	return now.Add(m.Delay(maxDoublings) + MaxAhead)
}

// FetchDue reports whether a fetch of the batch's missing reports is due at the time now. m holds the settings of the
// batch's plan. A Fetch.Due after m.Horizon also counts as due, because a wrong clock set it.
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

// Missing returns how many messages of the batch have no final status yet. It returns 0 while the number of messages is
// unknown, because neither a report nor the batch info contains it.
func (b *Batch) Missing() int {
	expected := b.Total
	if f := b.Info; f != nil && !f.Unknown {
		expected = max(expected, f.Recipients-f.Groups)
	}
	return max(expected-b.settled(), 0)
}
