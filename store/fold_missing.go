package store

import "time"

// longestValidity is how long Sinch tries to deliver a batch at most, and one without expire_at.
const longestValidity = 72 * time.Hour

// maxSilence is how often the silence doubles.
const maxSilence = 5

// expect sets when Sinch is to be asked after the batch, in the light of a.
func (f *folding) expect(a Arrival) {
	b, missing := f.batch, f.policy.Missing
	if missing.Silence <= 0 || !b.lacksReports() {
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
		// The batch may leave, or end, sooner than was known. Facts that are read again never put the check off.
		if due := b.nextCheck(missing, b.Check.Asked, a.At); due.Before(b.Check.Due) {
			b.Check.Due = due
		}
		if n.CheckNow && !b.Facts.SentAt().After(a.At) {
			*b.Check = Check{Due: a.At}
		}
	}
}

// checked sets when Sinch is asked again, or that it is not. Nothing was asked of a check that is not due: the news comes
// again, or a report came meanwhile.
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

// CheckDue reports whether Sinch is to be asked after the batch now. A time further ahead than any silence allows was given
// by a clock that has been set back since.
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

// nextCheck is when to ask after news at a time: when the silence has lasted too long, or when the batch has come to its end
// if that is before.
func (b *Batch) nextCheck(m Missing, asked int, at time.Time) time.Time {
	if sent := b.Facts.SentAt(); sent.After(at) {
		at = sent // nothing is reported of a batch that waits
	}
	due := at.Add(m.Silence << min(asked, maxSilence))
	if end := b.end(m); at.Before(end) && end.Before(due) {
		return end
	}
	return due
}

// end is when the last report of the batch should be there. A batch of which nobody said when it was made or left is taken
// to have left when it was first heard of.
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

// lacksReports reports whether reports of the batch were asked of Sinch and have not all come.
func (b *Batch) lacksReports() bool {
	f := b.Facts
	if f == nil || f.Missing {
		return false
	}
	switch f.ReportKind {
	case "", "none":
		return false
	}
	if b.Total == 0 && (f.Groups > 0 || f.Recipients == 0) {
		return true // nobody knows how many are to come
	}
	return b.settled() < max(f.Recipients-f.Groups, b.Total)
}

// settled is how many messages of the batch are known to be in a final status.
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

// Lacking is how many messages of the batch no report has brought to a final status, as far as their number is known.
func (b *Batch) Lacking() int {
	expected := b.Total
	if f := b.Facts; f != nil && !f.Missing {
		expected = max(expected, f.Recipients-f.Groups)
	}
	return max(expected-b.settled(), 0)
}
