package simulator

import "time"

// maxValidity is the longest and the default time from dispatch to expiry of a batch.
const maxValidity = 72 * time.Hour

// draft is the result of a send, update or replace: checked members, expanded recipients and resolved times.
type draft struct {
	recipientList
	members  members // as the customer set them; expire_at may be nil
	kind     reportKind
	expireAt timestamp // real time, as shown in answers
	starts   time.Time // dispatch time: now, or send_at shortened by Speed
	expires  time.Time // when messages that are not final expire, shortened by Speed
}

// draft makes a draft of a batch of plan p from checked members. created is when the batch was created. It returns an
// *apiError if p does not permit the members: no sender, an unknown group, no callback URL, or expire_at before
// send_at.
func (s *Simulator) draft(p *plan, m members, created, now time.Time) (draft, error) {
	d := draft{members: m, kind: reportKind(*m.DeliveryReport)}
	if m.From == nil && len(p.originators) == 0 {
		return d, violation("from is missing, and the plan has no default originator")
	}
	if err := s.time(&d, created, now); err != nil {
		return d, err
	}
	for _, entry := range m.To {
		if _, ok := digits(entry); !ok && p.groups.find(entry) == nil {
			return d, unknownGroup(entry)
		}
	}
	if d.kind != none && m.CallbackURL == nil && p.home.url == "" {
		return d, forbidden("missing_callback_url",
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
	if at := d.members.SendAt; at != nil && at.After(now) {
		sent = at.Time
		if starts := created.Add(s.config.shorten(sent.Sub(created))); starts.After(now) {
			d.starts = starts
		}
	}
	d.expireAt = timestamp{sent.Add(maxValidity)}
	if at := d.members.ExpireAt; at != nil && at.Before(d.expireAt.Time) {
		d.expireAt = *at
	}
	if !d.expireAt.After(sent) {
		return violation("expire_at (%s) must be after send_at", d.expireAt.Format(milliseconds))
	}
	d.expires = d.starts.Add(s.config.shorten(d.expireAt.Sub(sent)))
	return nil
}
