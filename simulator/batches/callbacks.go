package batches

import (
	"time"

	"github.com/dlrloop/dlrloop/simulator/callbacks"
	"github.com/dlrloop/dlrloop/simulator/ledger"
	"github.com/dlrloop/dlrloop/simulator/random"
	"github.com/dlrloop/dlrloop/simulator/xms"
)

// callback is a report sent to the customer; it implements callbacks.Message. There may be millions, so it stores only
// what cannot be derived from the batch. Its methods need no lock: they read only fields of the batch that no longer
// change.
type callback struct {
	store     *Store
	batch     *batch
	recipient int32 // index in the batch, or wholeBatch
	stage     stage
	plus      bool      // write the number with a plus sign
	operator  bool      // the report has operator_status_at
	at        time.Time // of the status change
	body      []byte    // nil for recipient reports, which each attempt encodes anew
}

// sendReport schedules a callback which reports that message i of b reached stage st. The parameter at is when the
// message reached the stage; due is when to send the callback. If an anomaly delays the callback, due is later than at,
// and anomaly names the delay, for example ledger.CallbackLate. Otherwise anomaly is empty. The caller must hold s.mu.
func (s *Store) sendReport(b *batch, i int, st stage, at, due time.Time, anomaly ledger.EntryKind) {
	m := &b.recipients[i]
	c := &callback{
		store: s, batch: b, recipient: int32(i), stage: st, at: xms.Stamp(at).Time,
		plus:     s.occurs(plus, b, i, st),
		operator: st == final && m.outcome.reachesSMSC(),
	}
	isLost := m.outcome.Lost || s.occurs(lost, b, i, final) && st == final
	s.config.Sender.Send(b.plan.Account, b.request.OwnCallbackURL(), c, due, isLost, anomaly)
}

// sendBatchReport schedules the callback about the whole batch b; due is when to send it. The callback has a full
// report if delivery_report of b is full, else a summary. If an anomaly delays the callback, anomaly names the delay,
// for example ledger.CallbackLate; otherwise anomaly is empty. The caller must hold s.mu.
func (s *Store) sendBatchReport(b *batch, due time.Time, anomaly ledger.EntryKind) {
	c := &callback{
		store: s, batch: b, recipient: wholeBatch, stage: final,
		body: xms.Encode(s.summarize(b, b.kind == xms.ReportFull, xms.Filter{})),
	}
	isLost := s.occurs(lost, b, wholeBatch, final)
	s.config.Sender.Send(b.plan.Account, b.request.OwnCallbackURL(), c, due, isLost, anomaly)
}

func (c *callback) Body() []byte {
	if c.body != nil {
		return c.body
	}
	r := c.store.baseReport(c.batch, int(c.recipient), c.stage)
	r.At = xms.Timestamp{Time: c.at}
	if c.plus {
		r.Recipient = "+" + r.Recipient
	}
	if c.operator {
		r.OperatorStatusAt = xms.OperatorTime(c.at)
	}
	return xms.Encode(r)
}

func (c *callback) Describe() callbacks.Description {
	d := callbacks.Description{Batch: c.batch.id}
	if c.recipient == wholeBatch {
		d.Type = c.batch.request.ReportType("")
		return d
	}
	m := &c.batch.recipients[c.recipient]
	d.Type, d.Recipient = c.batch.request.ReportType("recipient_"), m.digits
	d.Status, d.Code = m.statusAt(c.stage)
	return d
}

func (c *callback) Recipients() []string {
	if c.recipient != wholeBatch {
		return []string{c.batch.recipients[c.recipient].digits}
	}
	if c.batch.kind != xms.ReportFull {
		return nil
	}
	var all []string
	for i := range c.batch.recipients {
		all = append(all, c.batch.recipients[i].digits)
	}
	return all
}

func (c *callback) Subject(turn int) random.Subject {
	return c.batch.subject(int(c.recipient), int(c.stage)+int(final+1)*turn)
}

func (c *callback) SentAgain() bool {
	return c.store.occurs(repeated, c.batch, int(c.recipient), c.stage)
}
