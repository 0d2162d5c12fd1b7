package store

import (
	"time"
)

// defaultValidity is how long Sinch tries to deliver a batch without expire_at, which is also the longest it does.
const defaultValidity = 72 * time.Hour

// maxSilence is how often the silence doubles.
const maxSilence = 5

// expect sets when Sinch is to be asked after the batch, in the light of a.
func (f *folding) expect(a Arrival) {
	b, missing := f.batch, f.policy.Missing
	if missing.Silence <= 0 || !b.lacksReports() {
		b.Check = nil
		return
	}
	c := b.Check
	if c == nil {
		c = &Check{}
	}
	next := *c
	switch n := a.News.(type) {
	case Report:
		if n.Source == FromCallback || b.Check == nil {
			next = Check{Due: b.nextCheck(missing, 0, a.At)}
		}
	case Checked:
		next.Asked++
		next.Due = time.Time{}
		if n.Refused == "" && !b.Facts.Canceled && a.At.Before(b.end(missing)) {
			next.Due = b.nextCheck(missing, next.Asked, a.At)
		}
	default:
		if b.Check == nil {
			next.Due = b.nextCheck(missing, 0, a.At)
		}
	}
	if n, ok := a.News.(Facts); ok && n.CheckNow {
		next = Check{Due: a.At}
	}
	b.Check = &next
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

// end is when the last report of the batch should be there.
func (b *Batch) end(m Missing) time.Time {
	end := b.Facts.ExpireAt
	if end.IsZero() {
		end = b.Facts.SentAt().Add(defaultValidity)
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
	if f.Groups > 0 && b.Total == 0 {
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
