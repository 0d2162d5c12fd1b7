package store

import "time"

// longestValidity is Sinch's longest and default validity of a batch.
const longestValidity = 72 * time.Hour

// maxDoublings is how many times Missing.Silence doubles at most.
const maxDoublings = 5

// scheduleCheck sets or clears the batch's Check after arrival a.
func (f *folding) scheduleCheck(a Arrival) {
	b, missing := f.batch, f.policy.Missing
	if missing.Silence <= 0 || !b.reportsMissing() {
		b.Check = nil
		return
	}
	if b.Check == nil {
		b.Check = &Check{Due: b.nextCheck(missing, 0, a.At)}
	}
	switch n := a.News.(type) {
	case Report:
		if n.Source == FromCallback {
			*b.Check = Check{Due: b.nextCheck(missing, 0, a.At)}
		}
	case Checked:
		f.checked(n, a.At)
	case Facts:
		// Earlier times in new batch info bring the check forward. Batch info never postpones it.
		if due := b.nextCheck(missing, b.Check.Asked, a.At); due.Before(b.Check.Due) {
			b.Check.Due = due
		}
		if n.CheckNow && !b.Facts.SentAt().After(a.At) {
			*b.Check = Check{Due: a.At}
		}
	}
}

// checked schedules the next fetch, or none. It ignores a Checked when the check is not due: then the Checked is a
// repeat, or a report has arrived since.
func (f *folding) checked(n Checked, at time.Time) {
	b, c, missing := f.batch, f.batch.Check, f.policy.Missing
	if !b.CheckDue(missing, at) {
		return
	}
	c.Asked++
	neverLeft := b.Facts.Canceled && len(b.Reported) == 0
	if n.Refused != "" || neverLeft || !at.Before(b.end(missing)) {
		c.Due = time.Time{}
		return
	}
	c.Due = b.nextCheck(missing, c.Asked, at)
}

// CheckDue reports whether missing reports must be fetched now. A check later than m.Horizon(now) is also due,
// because its time came from a clock that has since been set back.
func (b *Batch) CheckDue(m Missing, now time.Time) bool {
	if b.Check == nil || b.Check.Due.IsZero() {
		return false
	}
	if !b.Check.Due.After(now) {
		return true
	}
	if sent := b.Facts.SentAt(); sent.After(now) {
		now = sent
	}
	return b.Check.Due.After(m.Horizon(now))
}

// nextCheck returns when to fetch next after an arrival at time at: after Silence, doubled asked times, but no later
// than the batch's end.
func (b *Batch) nextCheck(m Missing, asked int, at time.Time) time.Time {
	if sent := b.Facts.SentAt(); sent.After(at) {
		at = sent // no reports are expected before the batch is sent
	}
	due := at.Add(m.Silence << min(asked, maxDoublings))
	if end := b.end(m); at.Before(end) && end.Before(due) {
		return end
	}
	return due
}

// end returns when the last report of the batch should have arrived. If the batch's times are unknown, FirstAt counts
// as the time of sending.
func (b *Batch) end(m Missing) time.Time {
	sent := b.Facts.SentAt()
	if sent.IsZero() {
		sent = b.FirstAt
	}
	end := sent.Add(longestValidity)
	if expires := b.Facts.ExpireAt; !expires.IsZero() && expires.Before(end) {
		end = expires
	}
	return end.Add(m.Grace)
}

// reportsMissing reports whether the batch requested delivery reports and some have not arrived.
func (b *Batch) reportsMissing() bool {
	f := b.Facts
	if f == nil || f.Missing {
		return false
	}
	switch f.ReportKind {
	case "", "none":
		return false
	}
	if b.Total == 0 && (f.Groups > 0 || f.Recipients == 0) {
		return true // the number of recipients is unknown
	}
	return b.settled() < max(f.Recipients-f.Groups, b.Total)
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

// Lacking returns how many messages of the batch have no final status yet. It is 0 if their number is unknown.
func (b *Batch) Lacking() int {
	expected := b.Total
	if f := b.Facts; f != nil && !f.Missing {
		expected = max(expected, f.Recipients-f.Groups)
	}
	return max(expected-b.settled(), 0)
}
