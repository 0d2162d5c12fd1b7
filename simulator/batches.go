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

// batch is a batch that was sent, with its messages.
type batch struct {
	plan       *plan
	id         string
	ordinal    uint64 // in its plan, from 1
	wantsBack  uint64 // ordinal among the plan's batches with feedback enabled; 0: it has not
	kind       reportKind
	members    members
	created    time.Time
	starts     time.Time // creation, or send_at if that is later
	recipients []message
	index      map[string]int32 // by digits
	grouped    bool             // addressed to a group
	open       int              // messages that are not final
	sure       *[dayKinds]int32 // nil for a small batch
	asked      map[Operation]int
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

// reportType is the type member of the batch's reports.
func (b *batch) reportType(prefix string) string {
	if *b.members.Type == typeMedia {
		return prefix + "delivery_report_mms"
	}
	return prefix + "delivery_report_sms"
}

// newBatch makes a batch of checked members. Its to is normalised, groups resolved, and a number named twice counts once.
func (s *Simulator) newBatch(p *plan, m members, now time.Time) (*batch, error) {
	b := &batch{plan: p, kind: reportKind(*m.DeliveryReport), created: stamp(now).Time, index: map[string]int32{}, asked: map[Operation]int{}}
	to := make([]string, 0, len(m.To))
	for _, entry := range m.To {
		if number, ok := digits(entry); ok {
			to = append(to, number)
			b.add(number)
			continue
		}
		members, ok := p.Groups[entry]
		if !ok {
			return nil, forbidden("unknown_group", "Group "+entry+" does not exist")
		}
		to = append(to, entry)
		b.grouped = true
		for _, member := range members {
			number, _ := digits(member) // checked by New
			b.add(number)
		}
	}
	if b.kind != none && m.CallbackURL == nil && p.home.url == "" {
		return nil, forbidden("missing_callback_url", "A delivery report is wanted, but neither the batch nor the plan has a callback URL")
	}
	m.To = to
	b.starts = b.created
	if m.SendAt != nil && m.SendAt.After(b.created) {
		b.starts = m.SendAt.Time
	}
	if err := m.expire(b.starts); err != nil {
		return nil, err
	}
	b.members = m
	return b, nil
}

func (b *batch) add(number string) {
	if _, twice := b.index[number]; twice {
		return
	}
	b.index[number] = int32(len(b.recipients))
	b.recipients = append(b.recipients, message{digits: number})
}

// enrol gives b its ordinals and its id and lets its messages go their way.
func (s *Simulator) enrol(b *batch) {
	p := b.plan
	p.sends++
	b.ordinal = p.sends
	if b.members.FeedbackEnabled != nil && *b.members.FeedbackEnabled {
		p.wantsBack++
		b.wantsBack = p.wantsBack
	}
	b.id = s.dice.id("batch", b.created, b.subject(allRecipients, 0))
	s.batches = append(s.batches, b)
	s.batchByID[batchKey{p.ID, b.id}] = b
	s.counts.Recipients += len(b.recipients)
	s.tell(Event{Kind: BatchSent, Plan: p.ID, Batch: b.id, Count: len(b.recipients)})
	s.begin(b)
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
	return batchView{ID: b.id, members: b.members, CreatedAt: timestamp{b.created}, ModifiedAt: timestamp{b.created}}
}

// find is the batch that c names.
func (s *Simulator) find(c *call) (*batch, error) {
	b := s.batchByID[batchKey{c.plan.ID, c.batchID()}]
	if b == nil {
		return nil, bare(http.StatusNotFound)
	}
	return b, nil
}

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
	var m members
	if err := decode(c.body, &m); err != nil {
		return nil, err
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.unlock()
	b, err := s.newBatch(c.plan, m, time.Now())
	if err != nil {
		return nil, err
	}
	s.enrol(b)
	return b.view(), nil
}
