package inbound

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/dlrloop/dlrloop/simulator/callbacks"
	"github.com/dlrloop/dlrloop/simulator/ledger"
	"github.com/dlrloop/dlrloop/simulator/random"
	"github.com/dlrloop/dlrloop/simulator/xms"
)

// Config configures the messages from phones for all service plans. Sender and Pace are required. Where a probability
// is 0, phones do not reply or the anomaly does not occur.
type Config struct {
	Random  random.Source
	Sender  *callbacks.Sender
	Pace    time.Duration // a reply comes one to three Paces after the delivery, exactly two if Calm is set
	Calm    bool
	Replies float64 // probability that the recipient of a delivered message replies

	// Probabilities of anomalies (irregularities of a real network) per message; 0 means never.
	Repeated float64 // the callback is sent again after its acknowledgement
	Late     float64 // the callback is delayed by LateBy
	Lost     float64 // the callback is never sent
	Plus     float64 // the sender's number is written with a plus sign
	LateBy   time.Duration
}

// Plan sends the callbacks about messages from phones to one service plan. Create it with NewPlan. All methods are safe
// for concurrent use.
type Plan struct {
	config   Config
	id       string
	account  *callbacks.Account
	received atomic.Int64 // number of calls of Receive that returned no error
}

// NewPlan returns a Plan for the service plan with this id. It sends its callbacks to the default URL of account.
func NewPlan(c Config, id string, account *callbacks.Account) *Plan {
	return &Plan{config: c, id: id, account: account}
}

// Receive simulates a message from a phone to the customer: it schedules the callback for now and returns the id that
// the message gets. It ignores m.Plan. It returns an error if m is invalid.
func (p *Plan) Receive(m Message) (id string, err error) {
	if m, err = m.resolve(); err != nil {
		return "", err
	}
	of := random.Subject{Plan: p.id, Recipient: fmt.Sprintf("inbound %d", p.received.Add(1))}
	return p.send(m, of, "", time.Now()), nil
}

// send schedules the callback about message m, which Sinch receives at the given time, and returns the id of m. of
// identifies m for random decisions; its Turn must be 0, since Turn counts the attempts. answers is the id of the batch
// that m replies to, or "".
func (p *Plan) send(m Message, of random.Subject, answers string, at time.Time) (id string) {
	occurs := func(anomaly string, share float64) bool {
		return p.config.Random.Float64("inbound "+anomaly, of) < share
	}
	from := m.From
	if occurs("plus", p.config.Plus) {
		from = "+" + from
	}
	id = p.config.Random.ID("inbound", at, of)
	c := &callback{
		record: ledger.Inbound{ID: id, To: m.To, Text: m.text(), Answers: answers, ReceivedAt: xms.Stamp(at).Time},
		kind:   m.Type, from: m.From, body: m.encode(id, from, at), subject: of,
		sentAgain: occurs("repeated", p.config.Repeated),
	}
	lost, late := occurs("lost", p.config.Lost), ledger.EntryKind("")
	if occurs("late", p.config.Late) {
		at, late = at.Add(p.config.LateBy), ledger.CallbackLate
	}
	p.config.Sender.Send(p.account, "", c, at, lost, late)
	return id
}
