package store

import "time"

// MissingReports configures when the reports of a batch count as missing. They are then fetched from Sinch.
type MissingReports struct {
	// Silence is how long no report may arrive before a fetch. It doubles after each fetch without a new report, up
	// to 32 times its value. Zero disables fetching.
	Silence time.Duration
	// Grace is how long after the batch's expiry its last reports may arrive.
	Grace time.Duration
}

// maxDoublings is how many times MissingReports.Silence doubles at most.
const maxDoublings = 5

// Delay returns how long to wait for reports after attempts fetches without a new report.
func (m MissingReports) Delay(attempts int) time.Duration {
	return m.Silence << min(attempts, maxDoublings)
}

// Horizon returns a time after every due check that a correct clock can have set for a batch sent before now.
func (m MissingReports) Horizon(now time.Time) time.Time {
	return now.Add(m.Delay(maxDoublings) + MaxAhead)
}

// FetchDue reports whether missing reports must be fetched now. A check later than m.Horizon(now) is also due,
// because its time came from a clock that has since been set back.
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

// settled returns how many messages of the batch are known to be in a final status.
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

// Missing returns how many messages of the batch have no final status yet. It is 0 if their number is unknown.
func (b *Batch) Missing() int {
	expected := b.Total
	if f := b.Info; f != nil && !f.Unknown {
		expected = max(expected, f.Recipients-f.Groups)
	}
	return max(expected-b.settled(), 0)
}
