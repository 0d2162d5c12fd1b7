package fold

import (
	"time"

	"github.com/dlrloop/dlrloop/store"
)

// longestValidity is Sinch's longest and default validity of a batch.
const longestValidity = 72 * time.Hour

// scheduleCheck sets or clears the batch's Check after arrival a.
func (f *folding) scheduleCheck(a store.Arrival) {
	b, missing := f.batch, f.policy.Missing
	if missing.Silence <= 0 || !reportsMissing(b) {
		b.Check = nil
		return
	}
	if b.Check == nil {
		b.Check = &store.Check{Due: nextCheck(b, missing, 0, a.At)}
	}
	if n, ok := reportOf(a.News); ok && n.Source == store.FromCallback {
		*b.Check = store.Check{Due: nextCheck(b, missing, 0, a.At)}
	}
	switch n := a.News.(type) {
	case store.Checked:
		f.checked(n, a.At)
	case store.Facts:
		f.advanceCheck(a.At)
	case store.CheckNow:
		f.advanceCheck(a.At)
		if !b.Facts.SentAt().After(a.At) {
			*b.Check = store.Check{Due: a.At}
		}
	}
}

// advanceCheck brings the check forward if new batch info has earlier times. Batch info never postpones it.
func (f *folding) advanceCheck(at time.Time) {
	b := f.batch
	if due := nextCheck(b, f.policy.Missing, b.Check.Asked, at); due.Before(b.Check.Due) {
		b.Check.Due = due
	}
}

// checked schedules the next fetch, or none. It ignores a Checked when the check is not due: then the Checked is a
// repeat, or a report has arrived since.
func (f *folding) checked(n store.Checked, at time.Time) {
	b, c, missing := f.batch, f.batch.Check, f.policy.Missing
	if !b.CheckDue(missing, at) {
		return
	}
	c.Asked++
	neverLeft := b.Facts.Canceled && len(b.Reported) == 0
	if n.Refused != "" || neverLeft || !at.Before(endOf(b, missing)) {
		c.Due = time.Time{}
		return
	}
	c.Due = nextCheck(b, missing, c.Asked, at)
}

// nextCheck returns when to fetch next after an arrival at time at and after asked fetches, but no later than the
// batch's end.
func nextCheck(b *store.Batch, m store.Missing, asked int, at time.Time) time.Time {
	if sent := b.Facts.SentAt(); sent.After(at) {
		at = sent // no reports are expected before the batch is sent
	}
	due := at.Add(m.Delay(asked))
	if end := endOf(b, m); at.Before(end) && end.Before(due) {
		return end
	}
	return due
}

// endOf returns when the last report of the batch should have arrived. If the batch's times are unknown, FirstAt counts
// as the time of sending.
func endOf(b *store.Batch, m store.Missing) time.Time {
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
func reportsMissing(b *store.Batch) bool {
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
	return b.Lacking() > 0
}
