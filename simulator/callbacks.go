package simulator

import (
	"time"

	"github.com/dlrloop/dlrloop/simulator/xms"
)

// Outcome is the state of a callback.
type Outcome string

const (
	Pending      Outcome = "pending"
	Acknowledged Outcome = "acknowledged" // answered 2xx at least once
	GaveUp       Outcome = "gave_up"      // answered with a 4xx other than 429, or all retries failed
	Lost         Outcome = "lost"         // never sent, by an anomaly or a fate
)

// allRecipients, in place of a recipient's index, means the whole batch.
const allRecipients = -1

// callback is one report or inbound message that is sent to the customer. There may be millions, so it stores only
// what cannot be derived.
type callback struct {
	target    *target
	batch     *batch // nil for an inbound message
	ordinal   int
	recipient int32 // index in the batch, or allRecipients
	stage     stage
	plus      bool // write the number with a plus sign
	operator  bool // the report has operator_status_at
	retries   uint8
	outcome   Outcome
	at        time.Time // of the status change
	failed    time.Time // end of the first failed attempt
	attempts  []attempt
	body      []byte // nil for recipient reports, which each attempt encodes anew
	inbound   *inbound
}

// target is a URL that receives callbacks of one plan.
type target struct {
	plan      *plan
	url       string
	waiting   queue[*callback] // due, oldest first
	scheduled bool             // in the plan's ready queue, or throttled with an agenda entry
	throttle  throttle
}

// scheduleReport creates the recipient report on stage st of message i of b and schedules its callback at due. at is
// the time of the status change.
func (s *Simulator) scheduleReport(b *batch, i int, st stage, at, due time.Time) *callback {
	m := &b.recipients[i]
	c := &callback{
		batch: b, recipient: int32(i), stage: st, at: xms.Stamp(at).Time,
		target:   b.plan.target(b.request.OwnCallbackURL()),
		plus:     s.occurs(plus, b, i, st),
		operator: st == final && m.fate.reachesSMSC(),
	}
	isLost := m.fate.Lost || s.occurs(lost, b, i, final) && st == final
	s.addCallback(c, isLost, due)
	return c
}

// scheduleBatchReport creates the batch report of b and schedules its callback at due.
func (s *Simulator) scheduleBatchReport(b *batch, due time.Time) *callback {
	c := &callback{
		batch: b, recipient: allRecipients, stage: final, at: xms.Stamp(due).Time,
		target: b.plan.target(b.request.OwnCallbackURL()),
		body:   xms.Encode(s.summarise(b, b.kind == xms.ReportFull, xms.Filter{})),
	}
	s.addCallback(c, s.occurs(lost, b, allRecipients, final), due)
	return c
}

// addCallback adds c to the ledger and schedules its first attempt, unless it is lost.
func (s *Simulator) addCallback(c *callback, isLost bool, due time.Time) {
	c.ordinal = len(s.callbacks) + 1
	c.outcome = Pending
	s.callbacks = append(s.callbacks, c)
	if isLost {
		c.outcome = Lost
		s.counts.Lost++
		s.emit(c.event(CallbackLost))
		return
	}
	s.unsettled++
	s.schedule(entry{due: due, callback: c})
}

// content returns the body of c: the same bytes for every attempt.
func (s *Simulator) content(c *callback) []byte {
	if c.body != nil {
		return c.body
	}
	r := s.baseReport(c.batch, int(c.recipient), c.stage)
	r.At = xms.Timestamp{Time: c.at}
	if c.plus {
		r.Recipient = "+" + r.Recipient
	}
	if c.operator {
		r.OperatorStatusAt = xms.OperatorTime(c.at)
	}
	return xms.Encode(r)
}

// kind returns the type member of c.
func (c *callback) kind() string {
	switch {
	case c.inbound != nil:
		return c.inbound.Type
	case c.recipient == allRecipients:
		return c.batch.request.ReportType("")
	default:
		return c.batch.request.ReportType("recipient_")
	}
}

// number returns the digits of the phone number that c is about, or "" for a batch report.
func (c *callback) number() string {
	switch {
	case c.inbound != nil:
		return c.inbound.From
	case c.recipient == allRecipients:
		return ""
	default:
		return c.batch.recipients[c.recipient].digits
	}
}

// status returns the status and code of a recipient report, else "" and 0.
func (c *callback) status() (string, int) {
	if c.batch == nil || c.recipient == allRecipients {
		return "", 0
	}
	return c.batch.recipients[c.recipient].statusAt(c.stage)
}

func (c *callback) batchID() string {
	if c.batch == nil {
		return ""
	}
	return c.batch.id
}

// subject returns the dice subject of c.
func (c *callback) subject(turn int) subject {
	if c.inbound != nil {
		return subject{plan: c.target.plan.ID, recipient: c.inbound.ID, turn: turn}
	}
	return c.batch.subject(int(c.recipient), int(c.stage)+int(final+1)*turn)
}

func (c *callback) event(kind EventKind) Event {
	status, code := c.status()
	return Event{
		Kind: kind, Plan: c.target.plan.ID, Batch: c.batchID(), Type: c.kind(), Callback: c.ordinal,
		Recipient: c.number(), Status: status, Code: code,
	}
}
