package simulator

import "time"

// maxValidity is how long after its start a batch ends at the latest, and by default.
const maxValidity = 72 * time.Hour

// draft is what a request makes of a batch: checked, and settled in time.
type draft struct {
	roster
	members  members // as the customer set them: expire_at is nil by default
	kind     reportKind
	expireAt timestamp // as answers show it
	starts   time.Time // when the messages go their way: at once, or at send_at by the simulator's speed
	expires  time.Time // when what is still under way ends, by the same
}

// draft makes a draft of checked members, at now, of a batch created at created. It refuses what depends on the plan.
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
		return d, forbidden("missing_callback_url", "A delivery report is wanted, but neither the batch nor the plan has a callback URL")
	}
	d.roster = p.muster(m.To)
	for i := range d.recipients {
		d.recipients[i].at = now
	}
	return d, nil
}

// time settles when d starts and expires. Its clock runs Config.Speed times as fast as ours from the batch's creation on, so
// that a change of the batch that keeps send_at keeps the moment too.
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
