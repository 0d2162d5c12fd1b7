package simulator

import (
	"encoding/json"
	"fmt"
	"time"
)

// Outcome is what became of a callback.
type Outcome string

const (
	Pending      Outcome = "pending"
	Acknowledged Outcome = "acknowledged" // answered 2xx at least once
	GaveUp       Outcome = "gave_up"      // answered a 4xx other than 429, or failed for longer than retries last
	Lost         Outcome = "lost"         // a bad day: never sent
)

// allRecipients in place of a recipient's index means the batch as a whole.
const allRecipients = -1

// callback is one report or inbound message on its way to the customer. There may be very many, so it keeps only what the
// attempts cannot derive.
type callback struct {
	target    *target
	batch     *batch // nil for an inbound message
	ordinal   int
	recipient int32 // index in the batch, or allRecipients
	stage     stage
	plus      bool // the number is written with a plus sign
	operator  bool // the carrier's receipt brought a time
	retries   uint8
	outcome   Outcome
	at        time.Time // of the status change
	failed    time.Time // end of the first failed attempt
	attempts  []attempt
	body      []byte // of batch reports and inbound messages; recipient reports are written at each attempt
	inbound   *inbound
}

// target is an URL that callbacks of one plan go to.
type target struct {
	plan     *plan
	url      string
	waiting  queue[*callback] // due, oldest first
	listed   bool             // among the plan's ready targets, or asleep until its throttle has a place
	throttle throttle
}

// report calls back stage st of message i of b, not before due.
func (s *Simulator) report(b *batch, i int, st stage, at, due time.Time) *callback {
	m := &b.recipients[i]
	c := &callback{
		batch: b, recipient: int32(i), stage: st, at: stamp(at).Time,
		target:   b.plan.target(b.callbackURL()),
		plus:     s.befalls(plus, b, i, st),
		operator: st == final && m.fate.reachesSMSC(),
	}
	isLost := m.fate.Lost || s.befalls(lost, b, i, final) && st == final
	s.file(c, isLost, due)
	return c
}

// batchReport calls back the end of b, not before due.
func (s *Simulator) batchReport(b *batch, due time.Time) *callback {
	c := &callback{
		batch: b, recipient: allRecipients, stage: final, at: stamp(due).Time,
		target: b.plan.target(b.callbackURL()),
		body:   encode(s.summarise(b, b.kind == full, nil)),
	}
	s.file(c, s.befalls(lost, b, allRecipients, final), due)
	return c
}

// file enters c in the ledger and, unless it gets lost, on the agenda.
func (s *Simulator) file(c *callback, isLost bool, due time.Time) {
	c.ordinal = len(s.callbacks) + 1
	c.outcome = Pending
	s.callbacks = append(s.callbacks, c)
	if isLost {
		c.outcome = Lost
		s.counts.Lost++
		s.tell(c.happening(CallbackLost))
		return
	}
	s.unsettled++
	s.schedule(entry{due: due, callback: c})
}

// content is the body of c: the same bytes at every attempt.
func (s *Simulator) content(c *callback) []byte {
	if c.body != nil {
		return c.body
	}
	r := s.about(c.batch, int(c.recipient), c.stage)
	r.At = timestamp{c.at}
	if c.plus {
		r.Recipient = "+" + r.Recipient
	}
	if c.operator {
		r.OperatorStatusAt = c.at.Format(operatorTime)
	}
	return encode(r)
}

// kind is the type member of c.
func (c *callback) kind() string {
	switch {
	case c.inbound != nil:
		return c.inbound.Type
	case c.recipient == allRecipients:
		return c.batch.reportType("")
	default:
		return c.batch.reportType("recipient_")
	}
}

// number is the digits of the recipient that c is about; a batch report has none.
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

// status is what a recipient report brings.
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

// subject is what rolls about c are about.
func (c *callback) subject(turn int) subject {
	if c.inbound != nil {
		return subject{plan: c.target.plan.ID, recipient: c.inbound.ID, turn: turn}
	}
	return c.batch.subject(int(c.recipient), int(c.stage)+int(final+1)*turn)
}

func (c *callback) happening(kind EventKind) Event {
	status, code := c.status()
	return Event{
		Kind: kind, Plan: c.target.plan.ID, Batch: c.batchID(), Type: c.kind(), Callback: c.ordinal,
		Recipient: c.number(), Status: status, Code: code,
	}
}

// encode writes what this package has built itself.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("simulator: encode %T: %v", v, err))
	}
	return b
}
