package simulator

import (
	"time"

	"github.com/dlrloop/dlrloop/simulator/xms"
)

// maxValidity is the longest and the default time from dispatch to expiry of a batch.
const maxValidity = 72 * time.Hour

// draft is the result of a send, update or replace: checked members, expanded recipients and resolved times.
type draft struct {
	recipientList
	request  xms.Batch // as the customer set them; expire_at may be nil
	kind     xms.ReportKind
	expireAt xms.Timestamp // real time, as shown in answers
	starts   time.Time     // dispatch time: now, or send_at shortened by Speed
	expires  time.Time     // when messages that are not final expire, shortened by Speed
}

// draft makes a draft of a batch of plan p from checked members. created is when the batch was created. It returns an
// *xms.Error if p does not permit the members: no sender, an unknown group, no callback URL, or expire_at before
// send_at.
func (s *Simulator) draft(p *plan, m xms.Batch, created, now time.Time) (draft, error) {
	d := draft{request: m, kind: m.Kind()}
	if m.From == nil && len(p.originators) == 0 {
		return d, xms.Violation("from is missing, and the plan has no default originator")
	}
	if err := s.time(&d, created, now); err != nil {
		return d, err
	}
	for _, entry := range m.To {
		if _, ok := xms.Digits(entry); !ok && !p.groups.Exists(entry) {
			return d, xms.UnknownGroup(entry)
		}
	}
	if d.kind != xms.ReportNone && m.CallbackURL == nil && p.home.url == "" {
		return d, xms.Forbidden("missing_callback_url",
			"A delivery report is wanted, but neither the batch nor the plan has a callback URL")
	}
	d.recipientList = p.expandRecipients(m.To)
	for i := range d.recipients {
		d.recipients[i].at = now
	}
	return d, nil
}

// time sets when d starts and expires. A batch's clock runs Config.Speed times as fast as real time, starting at
// created, so an update that keeps send_at also keeps the dispatch time.
func (s *Simulator) time(d *draft, created, now time.Time) error {
	sent := now
	d.starts = now
	if at := d.request.SendAt; at != nil && at.After(now) {
		sent = at.Time
		if starts := created.Add(s.config.shorten(sent.Sub(created))); starts.After(now) {
			d.starts = starts
		}
	}
	d.expireAt = xms.Timestamp{Time: sent.Add(maxValidity)}
	if at := d.request.ExpireAt; at != nil && at.Before(d.expireAt.Time) {
		d.expireAt = *at
	}
	if !d.expireAt.After(sent) {
		return xms.Violation("expire_at (%s) must be after send_at", d.expireAt)
	}
	d.expires = d.starts.Add(s.config.shorten(d.expireAt.Sub(sent)))
	return nil
}
