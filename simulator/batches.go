package simulator

import (
	"net/http"
	"time"
)

// reportKind is the delivery_report member of a batch.
type reportKind string

const (
	none              reportKind = "none"
	summary           reportKind = "summary"
	full              reportKind = "full"
	perRecipient      reportKind = "per_recipient"
	perRecipientFinal reportKind = "per_recipient_final"
)

// retention is how long after its start a batch can be found.
const retention = 14 * 24 * time.Hour

// batch is a batch that was sent, with its messages.
type batch struct {
	draft
	plan      *plan
	id        string
	ordinal   uint64 // in its plan, from 1
	wantsBack uint64 // ordinal among the plan's batches that have had feedback enabled; 0: it never had
	created   time.Time
	modified  time.Time
	waits     bool   // for its send_at
	departure uint64 // counts the appointments to leave: all but the last are void
	left      bool   // its messages have gone their way
	canceled  bool
	updated   int              // times
	replaced  int              // times
	open      int              // messages that are not final
	sure      *[dayKinds]int32 // nil for a small batch
	asked     map[Operation]int
}

// subject is what rolls about recipient i of b, or about all of it, are about.
func (b *batch) subject(i, turn int) subject {
	of := subject{plan: b.plan.ID, batch: b.ordinal, turn: turn}
	if i != allRecipients {
		of.recipient = b.recipients[i].digits
	}
	return of
}

// callbackURL is the batch's own; empty if it uses the plan's.
func (b *batch) callbackURL() string {
	if b.members.CallbackURL == nil {
		return ""
	}
	return *b.members.CallbackURL
}

// wantsFeedback says whether feedback is enabled now.
func (b *batch) wantsFeedback() bool {
	return b.members.FeedbackEnabled != nil && *b.members.FeedbackEnabled
}

// reportType is the type member of the batch's reports.
func (b *batch) reportType(prefix string) string {
	if *b.members.Type == typeMedia {
		return prefix + "delivery_report_mms"
	}
	return prefix + "delivery_report_sms"
}

// enrol makes a batch of d.
func (s *Simulator) enrol(p *plan, d draft, created time.Time) *batch {
	p.sends++
	b := &batch{plan: p, ordinal: p.sends, created: created, asked: map[Operation]int{}}
	b.id = s.dice.id("batch", b.created, b.subject(allRecipients, 0))
	s.batches = append(s.batches, b)
	s.batchByID[batchKey{p.ID, b.id}] = b
	s.tell(Event{Kind: BatchSent, Plan: p.ID, Batch: b.id, Count: len(d.recipients)})
	s.adopt(b, d, created)
	return b
}

// adopt makes d what b is from now on, and lets it leave at once or waits until it may.
func (s *Simulator) adopt(b *batch, d draft, now time.Time) {
	s.counts.Recipients += len(d.recipients) - len(b.recipients)
	d.inherit(b.roster)
	b.draft, b.modified = d, now
	if b.wantsBack == 0 && b.wantsFeedback() {
		b.plan.wantsBack++
		b.wantsBack = b.plan.wantsBack
	}
	s.await(b, now)
}

// batchView is a batch as the API shows it.
type batchView struct {
	ID string `json:"id"`
	members
	Canceled   bool      `json:"canceled"`
	CreatedAt  timestamp `json:"created_at"`
	ModifiedAt timestamp `json:"modified_at"`
}

func (b *batch) view() batchView {
	v := batchView{ID: b.id, members: b.members, Canceled: b.canceled, CreatedAt: timestamp{b.created}, ModifiedAt: timestamp{b.modified}}
	expireAt := b.expireAt // the view outlives the lock
	v.ExpireAt = &expireAt
	return v
}

// find is the batch that c names.
func (s *Simulator) find(c *call) (*batch, error) {
	b := s.batchByID[batchKey{c.plan.ID, c.batchID()}]
	if b == nil || !b.kept(c.started) {
		return nil, bare(http.StatusNotFound)
	}
	return b, nil
}

// kept says whether b can still be found.
func (b *batch) kept(now time.Time) bool { return now.Sub(b.starts) <= retention }

func (s *Simulator) getBatch(c *call) (any, error) {
	s.mu.Lock()
	defer s.unlock()
	b, err := s.find(c)
	if err != nil {
		return nil, err
	}
	return b.view(), nil
}

func (s *Simulator) send(c *call) (any, error) {
	m, err := readMembers(c.body)
	if err != nil {
		return nil, err
	}
	now := stamp(time.Now()).Time
	s.mu.Lock()
	defer s.unlock()
	d, err := s.draft(c.plan, m, now, now)
	if err != nil {
		return nil, err
	}
	return s.enrol(c.plan, d, now).view(), nil
}

// readMembers reads and checks the body of a send, a dry run or a replace.
func readMembers(body []byte) (members, error) {
	var m members
	if err := decode(body, &m); err != nil {
		return m, err
	}
	return m, m.check()
}
