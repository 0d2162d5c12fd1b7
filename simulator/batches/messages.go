package batches

import (
	"strings"
	"time"

	"github.com/dlrloop/dlrloop/simulator/inbound"
	"github.com/dlrloop/dlrloop/simulator/ledger"
	"github.com/dlrloop/dlrloop/simulator/xms"
)

// stage is the progress of a message: queued, dispatched or final. A later stage is a greater number.
type stage uint8

const (
	queued stage = iota
	dispatched
	final
)

// message is the SMS to one recipient of a batch, with its planned outcome and its present stage. The mutex of the
// Store guards it.
type message struct {
	digits    string
	outcome   Outcome
	at        time.Time // of the last status change
	encoding  string    // shown in reports; empty: not shown
	applied   int       // number of times that delivery feedback was applied
	parts     uint16    // shown in reports; 0: not shown
	stage     stage
	unmatched bool // a parameter of its body has no value
	tooLong   bool // it has more parts than the batch allows
}

// status returns the present delivery status and its code, for example Delivered and 0.
func (m *message) status() (string, int) { return m.statusAt(m.stage) }

func (m *message) statusAt(st stage) (string, int) {
	switch st {
	case queued:
		return statusQueued, codeQueued
	case dispatched:
		return statusDispatched, codeDispatched
	default:
		return m.outcome.Status, m.outcome.Code
	}
}

// operatorAt returns the time for the JSON field operator_status_at of the report on m. It returns false if the report
// has no such field, because m is not final or never reached the SMSC (the operator's message center).
func (m *message) operatorAt() (time.Time, bool) {
	return m.at, m.stage == final && m.outcome.reachesSMSC()
}

// scheduleNext schedules the next status change of message i of b. If b expires before that change, it schedules the
// expiry of the message instead. The caller must hold s.mu.
func (s *Store) scheduleNext(b *batch, i int) {
	m := &b.recipients[i]
	next := final
	if m.stage == queued && m.outcome.dispatches() {
		next = dispatched
	}
	due := s.changeAt(b, i, next)
	if due.After(b.expires) {
		due, next = b.expires, final
		m.outcome = m.expired()
	}
	s.schedule.Add(due, work{batch: b, recipient: int32(i), stage: next})
}

// expired returns the outcome that m gets when its batch expires: Expired if m was dispatched, else Aborted.
func (m *message) expired() Outcome {
	if m.stage == dispatched {
		return Outcome{Status: statusExpired, Code: codeExpired, Lost: m.outcome.Lost}
	}
	return Outcome{Status: statusAborted, Code: codeInternalExpiry, Lost: m.outcome.Lost}
}

// changeAt returns when message i of b reaches stage st. Each stage takes Config.Pace, varied at random by up to 50 %
// unless Calm is set. The same arguments give the same time.
func (s *Store) changeAt(b *batch, i int, st stage) time.Time {
	at := b.dispatchAt
	for step := dispatched; step <= st; step++ {
		pace := s.config.Pace
		if !s.config.Calm {
			pace = time.Duration(float64(pace) * (0.5 + s.config.Random.Float64("pace", b.subject(i, int(step)))))
		}
		at = at.Add(pace)
	}
	return at
}

// advance moves message i of b to stage st; the given time is when the message reached the stage. advance schedules the
// callback about the stage and, unless the stage is final, the next status change. If the message is already final,
// advance does nothing. The caller must hold s.mu.
func (s *Store) advance(b *batch, i int, st stage, at time.Time) {
	m := &b.recipients[i]
	switch {
	case m.stage == final:
	case st == final:
		s.finish(b, i, at)
	default:
		m.stage, m.at = st, xms.Stamp(at).Time
		s.scheduleNext(b, i)
		s.reportDispatched(b, i, at)
	}
}

// reportDispatched schedules the callback which reports that message i of b was dispatched at the given time. It does
// nothing unless delivery_report of b is per_recipient. The anomaly "skipped" omits the callback; the anomaly
// "overtaken" delays it until after the callback with the final status. The caller must hold s.mu.
func (s *Store) reportDispatched(b *batch, i int, at time.Time) {
	overtaken := s.isOvertaken(b, i)
	if b.kind != xms.ReportPerRecipient || !overtaken && s.occurs(skipped, b, i, dispatched) {
		return
	}
	if overtaken {
		s.sendReport(b, i, dispatched, at, s.changeAt(b, i, final).Add(s.config.Pace), ledger.CallbackOvertaken)
		return
	}
	s.sendReport(b, i, dispatched, at, at, "")
}

func (s *Store) isOvertaken(b *batch, i int) bool {
	return b.kind == xms.ReportPerRecipient && b.recipients[i].outcome.dispatches() &&
		s.occurs(overtaken, b, i, dispatched)
}

// finish makes message i of b final at the given time. If delivery_report of b asks for callbacks for each recipient,
// finish schedules the callback with the final status. If the message was delivered, its recipient may reply. After the
// last message of b, finish calls finishBatch. The caller must hold s.mu.
func (s *Store) finish(b *batch, i int, at time.Time) {
	m := &b.recipients[i]
	m.stage, m.at = final, xms.Stamp(at).Time
	s.unsettled--
	b.open--
	if b.kind == xms.ReportPerRecipient || b.kind == xms.ReportPerRecipientFinal {
		if !s.isOvertaken(b, i) && s.occurs(late, b, i, final) {
			s.sendReport(b, i, final, at, at.Add(s.config.Anomalies.LateBy), ledger.CallbackLate)
		} else {
			s.sendReport(b, i, final, at, at, "")
		}
	}
	if strings.EqualFold(m.outcome.Status, statusDelivered) {
		b.plan.Inbound.Reply(inbound.Delivered{
			Batch: b.id, Sender: s.sender(b, i), Recipient: m.digits, ClientReference: b.clientReference(), At: at,
			Subject: b.subject(i, 0),
		})
	}
	if b.open == 0 {
		s.finishBatch(b, at)
	}
}

// finishBatch schedules the callback about the whole batch b if delivery_report of b is summary or full. The callback
// is sent at the given time, or later if the anomaly "late" affects it. All messages of b must be final. The caller
// must hold s.mu.
func (s *Store) finishBatch(b *batch, at time.Time) {
	if b.kind != xms.ReportSummary && b.kind != xms.ReportFull {
		return
	}
	if s.occurs(late, b, wholeBatch, final) {
		s.sendBatchReport(b, at.Add(s.config.Anomalies.LateBy), ledger.CallbackLate)
		return
	}
	s.sendBatchReport(b, at, "")
}
