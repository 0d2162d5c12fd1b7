package batches

import (
	"time"

	"github.com/dlrloop/dlrloop/simulator/ledger"
	"github.com/dlrloop/dlrloop/simulator/xms"
)

// stage is the progress of a message.
type stage uint8

const (
	queued stage = iota
	dispatched
	final
)

// message is the SMS to one recipient of a batch.
type message struct {
	digits    string
	outcome   Outcome
	at        time.Time // of the last status change
	encoding  string    // as reports show it; "": they do not
	applied   int       // number of times that delivery feedback was applied
	parts     uint16    // as reports show them; 0: they do not
	stage     stage
	unmatched bool // a parameter of its body has no value
	tooLong   bool // it has more parts than the batch allows
}

// status returns the present delivery status and code.
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

// operatorAt returns the operator's time, which only final messages that reached the SMSC have.
func (m *message) operatorAt() (time.Time, bool) {
	return m.at, m.stage == final && m.outcome.reachesSMSC()
}

// scheduleNext schedules the next status change of message i of b. If that would come after the batch's expiry, it
// schedules the expiry of the message instead.
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

// expired returns the outcome of m at the expiry of its batch.
func (m *message) expired() Outcome {
	if m.stage == dispatched {
		return Outcome{Status: statusExpired, Code: codeExpired, Lost: m.outcome.Lost}
	}
	return Outcome{Status: statusAborted, Code: codeInternalExpiry, Lost: m.outcome.Lost}
}

// changeAt returns the time when message i of batch b reaches stage st: one Config.Pace after the stage before,
// varied by ±50 % unless Calm is set.
func (s *Store) changeAt(b *batch, i int, st stage) time.Time {
	at := b.starts
	for step := dispatched; step <= st; step++ {
		pace := s.config.Pace
		if !s.config.Calm {
			pace = time.Duration(float64(pace) * (0.5 + s.config.Random.Float64("pace", b.subject(i, int(step)))))
		}
		at = at.Add(pace)
	}
	return at
}

// advance moves message i of batch b to stage st. It does nothing if the message is already final.
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

// reportDispatched calls back the Dispatched status of message i of b if the batch's report kind includes it. The
// anomaly overtaken delays it until after the final status; skipped omits it.
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

// finish gives message i of b its final status at the given time and schedules the callbacks that follow from it.
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
	if b.open == 0 {
		s.finishBatch(b, at)
	}
}

// finishBatch schedules the one callback of a summary or full batch after its last message has become final.
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
