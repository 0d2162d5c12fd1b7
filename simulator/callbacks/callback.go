package callbacks

import (
	"time"

	"github.com/dlrloop/dlrloop/simulator/ledger"
	"github.com/dlrloop/dlrloop/simulator/random"
)

// Message is the content of a callback, which the caller of Sender.Send implements. It must not change after that call,
// since several goroutines read it.
type Message interface {
	// Body returns the JSON of the callback: the same bytes for every attempt.
	Body() []byte
	// Describe returns the callback as observers see it.
	Describe() Description
	// Recipients returns the digits of all numbers that the body names.
	Recipients() []string
	// Subject returns the random.Subject for decisions about an attempt. turn counts the attempts from 0.
	Subject(turn int) random.Subject
	// SentAgain reports whether the callback is sent again after its first acknowledgement.
	SentAgain() bool
}

// Description says what a callback is about, for logs and the list of all callbacks. Fields that do not apply are zero.
type Description struct {
	Batch     string
	Type      string // JSON field type of the body
	Recipient string // digits of the number of a recipient report or the sender of an inbound message
	Status    string // of a recipient report
	Code      int
	Inbound   *ledger.Inbound // nil for a report; must not change later
}

// callback is a callback to send, with its content, its URL and the results of the requests that have sent it so far.
// The mutex of the Sender guards it.
type callback struct {
	target   *target
	message  Message
	ordinal  int
	retries  uint8 // small, since there may be millions of callbacks
	result   ledger.Result
	failed   time.Time // end of the first failed attempt
	attempts []attempt
}

// entry returns the ledger entry which tells observers what happened to callback c; kind says what. The time of the
// entry is zero until Feed.Add sets it.
func (c *callback) entry(kind ledger.EntryKind) ledger.Entry {
	d := c.message.Describe()
	return ledger.Entry{
		Kind: kind, Plan: c.target.account.config.ID, Batch: d.Batch, Type: d.Type, Callback: c.ordinal,
		Recipient: d.Recipient, Status: d.Status, Code: d.Code,
	}
}

func (c *callback) ledger() ledger.Callback {
	d := c.message.Describe()
	l := ledger.Callback{
		Ordinal: c.ordinal, Plan: c.target.account.config.ID, Batch: d.Batch, Type: d.Type,
		Recipients: c.message.Recipients(), Status: d.Status, Code: d.Code, Inbound: d.Inbound, Result: c.result,
		Attempts: make([]ledger.Attempt, len(c.attempts)),
	}
	for i, a := range c.attempts {
		l.Attempts[i] = ledger.Attempt{At: time.UnixMilli(a.at).UTC(), Status: int(a.status), Failure: a.failure.String()}
	}
	return l
}
