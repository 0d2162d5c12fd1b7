package batches

import (
	"time"

	"github.com/dlrloop/dlrloop/simulator/xms"
)

// maxValidity limits the time from send_at to expire_at. If expire_at is later or missing, the batch expires
// maxValidity after send_at. If send_at is missing or past, the time of the request takes its place.
const maxValidity = 72 * time.Hour

// contents is the part of a batch that a send, an update or a replace sets: the checked request, and the recipients and
// times that follow from it.
type contents struct {
	recipientList
	request    xms.Batch // as the customer set them; expire_at may be nil
	kind       xms.ReportKind
	expireAt   xms.Timestamp // real time, as shown in answers
	dispatchAt time.Time     // dispatch time: now, or send_at shortened by Speed
	expires    time.Time     // when messages that are not final expire, shortened by Speed
}

// prepare returns the contents of a batch from a request that xms has checked. created is when the batch was created,
// now when the request came. It returns an *xms.Error if the sender or the callback URL is missing, a group is unknown,
// or expire_at is not after send_at. The caller must hold the store's mutex.
func (p *Plan) prepare(request xms.Batch, created, now time.Time) (contents, error) {
	c := contents{request: request, kind: request.Kind()}
	if request.From == nil && len(p.Originators) == 0 {
		return c, xms.Violation("from is missing, and the plan has no default originator")
	}
	if err := c.setTimes(p.store.config.Speed, created, now); err != nil {
		return c, err
	}
	for _, entry := range request.To {
		if _, ok := xms.Digits(entry); !ok && !p.Groups.Exists(entry) {
			return c, xms.UnknownGroup(entry)
		}
	}
	if c.kind != xms.ReportNone && request.CallbackURL == nil && !p.Account.HasURL() {
		return c, xms.Forbidden("missing_callback_url",
			"A delivery report is wanted, but neither the batch nor the plan has a callback URL")
	}
	c.recipientList = p.expandRecipients(request.To)
	for i := range c.recipients {
		c.recipients[i].at = now
	}
	return c, nil
}

// setTimes sets when c is dispatched and when its messages expire. It divides the wait until send_at by speed, and also
// the time from send_at to expire_at. The wait starts at the creation of the batch (created), so that an update with
// the same send_at does not move the dispatch. setTimes returns an *xms.Error if expire_at is not after send_at.
func (c *contents) setTimes(speed float64, created, now time.Time) error {
	shorten := func(wait time.Duration) time.Duration { return time.Duration(float64(wait) / speed) }
	sent := now
	c.dispatchAt = now
	if at := c.request.SendAt; at != nil && at.After(now) {
		sent = at.Time
		if at := created.Add(shorten(sent.Sub(created))); at.After(now) {
			c.dispatchAt = at
		}
	}
	c.expireAt = xms.Timestamp{Time: sent.Add(maxValidity)}
	if at := c.request.ExpireAt; at != nil && at.Before(c.expireAt.Time) {
		c.expireAt = *at
	}
	if !c.expireAt.After(sent) {
		return xms.Violation("expire_at (%s) must be after send_at", c.expireAt)
	}
	c.expires = c.dispatchAt.Add(shorten(c.expireAt.Sub(sent)))
	return nil
}
