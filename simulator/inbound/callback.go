package inbound

import (
	"github.com/dlrloop/dlrloop/simulator/callbacks"
	"github.com/dlrloop/dlrloop/simulator/ledger"
	"github.com/dlrloop/dlrloop/simulator/random"
)

// callback is the callback about one message from a phone. It implements callbacks.Message, so that a callbacks.Sender
// can send it.
type callback struct {
	record    ledger.Inbound
	kind      string // JSON field type
	from      string // digits
	body      []byte
	subject   random.Subject
	sentAgain bool
}

func (c *callback) Body() []byte { return c.body }

func (c *callback) Describe() callbacks.Description {
	return callbacks.Description{Type: c.kind, Recipient: c.from, Inbound: &c.record}
}

func (c *callback) Recipients() []string { return []string{c.from} }

func (c *callback) Subject(turn int) random.Subject {
	of := c.subject
	of.Turn = turn
	return of
}

func (c *callback) SentAgain() bool { return c.sentAgain }
