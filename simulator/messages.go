package simulator

import "time"

// stage is how far a message has come.
type stage uint8

const (
	queued stage = iota
	dispatched
	final
)

// message is the SMS to one recipient of a batch.
type message struct {
	digits  string
	fate    Fate
	at      time.Time // of the last status change
	stage   stage
	applied int // times that delivery feedback was applied
}

// status is the message's delivery status and code now.
func (m *message) status() (string, int) { return m.statusAt(m.stage) }

func (m *message) statusAt(st stage) (string, int) {
	switch st {
	case queued:
		return statusQueued, codeQueued
	case dispatched:
		return statusDispatched, codeDispatched
	default:
		return m.fate.Status, m.fate.Code
	}
}

// operatorAt is the time in the carrier's receipt; there is none before the end, nor for what never reached an SMSC.
func (m *message) operatorAt() (time.Time, bool) {
	return m.at, m.stage == final && m.fate.reachesSMSC()
}

// begin puts the first status change of every message of b on the agenda.
func (s *Simulator) begin(b *batch) {
	s.ensure(b)
	b.open = len(b.recipients)
	for i := range b.recipients {
		m := &b.recipients[i]
		m.at = b.starts
		m.fate = s.fate(b, i)
		s.unsettled++
		next := final
		if m.fate.dispatches() {
			next = dispatched
		}
		s.schedule(entry{due: s.changeAt(b, i, next), batch: b, recipient: int32(i), stage: next})
		if b.kind == perRecipient && s.befalls(queuedToo, b, i, queued) {
			s.report(b, i, queued, b.starts, b.starts)
		}
	}
	if b.open == 0 {
		s.complete(b, b.starts)
	}
}

// changeAt is when message i of b comes to stage st: a pace, give or take a half on bad days, after the stage before.
func (s *Simulator) changeAt(b *batch, i int, st stage) time.Time {
	at := b.starts
	for step := dispatched; step <= st; step++ {
		pace := s.config.Pace
		if !s.config.Calm {
			pace = time.Duration(float64(pace) * (0.5 + s.dice.share("pace", b.subject(i, int(step)))))
		}
		at = at.Add(pace)
	}
	return at
}

// change brings message i of b to stage st.
func (s *Simulator) change(b *batch, i int, st stage, at time.Time) {
	m := &b.recipients[i]
	m.stage, m.at = st, stamp(at).Time
	overtakes := b.kind == perRecipient && m.fate.dispatches() && s.befalls(overtaken, b, i, dispatched)
	if st == dispatched {
		finalAt := s.changeAt(b, i, final)
		s.schedule(entry{due: finalAt, batch: b, recipient: int32(i), stage: final})
		if b.kind != perRecipient || !overtakes && s.befalls(skipped, b, i, dispatched) {
			return
		}
		due := at
		if overtakes {
			due = finalAt.Add(s.config.Pace)
		}
		if c := s.report(b, i, dispatched, at, due); overtakes && c.outcome == Pending {
			s.tell(c.happening(CallbackOvertaken))
		}
		return
	}
	s.unsettled--
	b.open--
	if b.kind == perRecipient || b.kind == perRecipientFinal {
		due := at
		if !overtakes && s.befalls(late, b, i, final) {
			due = at.Add(s.config.BadDays.LateBy)
		}
		if c := s.report(b, i, final, at, due); due != at && c.outcome == Pending {
			s.tell(c.happening(CallbackLate))
		}
	}
	if b.open == 0 {
		s.complete(b, at)
	}
}

// complete calls back the one report of a summary or full batch, all of whose messages are final.
func (s *Simulator) complete(b *batch, at time.Time) {
	if b.kind != summary && b.kind != full {
		return
	}
	due := at
	if s.befalls(late, b, allRecipients, final) {
		due = at.Add(s.config.BadDays.LateBy)
	}
	if c := s.batchReport(b, due); due != at && c.outcome == Pending {
		s.tell(c.happening(CallbackLate))
	}
}
