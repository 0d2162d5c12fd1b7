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

// Config configures the messages from phones for all service plans. Sender and Pace are required. A probability of 0,
// including that of Replies, means never.
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

// Plan stands for one service plan that receives messages from phones: it sends a callback about each message to the
// default URL of its account. Create it with NewPlan. All methods are safe for concurrent use.
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

// Receive simulates a message from a phone to the customer. It schedules the callback to be sent at once, or later if
// an anomaly delays it, and returns the id that the message gets. It ignores m.Plan. It returns an error if m is
// invalid.
func (p *Plan) Receive(m Message) (id string, err error) {
	if m, err = m.resolve(); err != nil {
		return "", err
	}
	of := random.Subject{Plan: p.id, Recipient: fmt.Sprintf("inbound %d", p.received.Add(1))}
	return p.send(m, of, "", time.Now()), nil
}

// send schedules the callback about message m and returns the id that m gets. The parameter at is when Sinch receives
// m. subject identifies m for random decisions; its Turn must be 0, since each attempt to send the callback sets its
// own Turn. answers is the id of the batch that m replies to, or "".
func (p *Plan) send(m Message, subject random.Subject, answers string, at time.Time) (id string) {
	occurs := func(anomaly string, share float64) bool {
		return p.config.Random.Float64("inbound "+anomaly, subject) < share
	}
	from := m.From
	if occurs("plus", p.config.Plus) {
		from = "+" + from
	}
	id = p.config.Random.ID("inbound", at, subject)
	c := &callback{
		record: ledger.Inbound{ID: id, To: m.To, Text: m.text(), Answers: answers, ReceivedAt: xms.Stamp(at).Time},
		kind:   m.Type, from: m.From, body: m.encode(id, from, at), subject: subject,
		sentAgain: occurs("repeated", p.config.Repeated),
	}
	lost, late := occurs("lost", p.config.Lost), ledger.EntryKind("")
	if occurs("late", p.config.Late) {
		at, late = at.Add(p.config.LateBy), ledger.CallbackLate
	}
	p.config.Sender.Send(p.account, "", c, at, lost, late)
	return id
}
