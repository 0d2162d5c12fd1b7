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
	digits    string
	fate      Fate
	at        time.Time // of the last status change
	encoding  string    // as reports show it, if they do
	applied   int       // times that delivery feedback was applied
	parts     uint16    // as reports show them; 0: they do not
	stage     stage
	unmatched bool // a parameter of its body has no value
	tooLong   bool // it has more parts than the batch allows
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

// proceedTo puts the next status change of message i of b on the agenda: at the batch's expiry the last one, if it came later.
func (s *Simulator) proceedTo(b *batch, i int) {
	m := &b.recipients[i]
	next := final
	if m.stage == queued && m.fate.dispatches() {
		next = dispatched
	}
	due := s.changeAt(b, i, next)
	if due.After(b.expires) {
		due, next = b.expires, final
		m.fate = m.expired()
	}
	s.schedule(entry{due: due, batch: b, recipient: int32(i), stage: next})
}

// expired is how m ends when its batch expires.
func (m *message) expired() Fate {
	if m.stage == dispatched {
		return Fate{Status: statusExpired, Code: codeExpired, Lost: m.fate.Lost}
	}
	return Fate{Status: statusAborted, Code: codeInternalExpiry, Lost: m.fate.Lost}
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

// change brings message i of b to stage st, unless it was cancelled before.
func (s *Simulator) change(b *batch, i int, st stage, at time.Time) {
	m := &b.recipients[i]
	switch {
	case m.stage == final:
	case st == final:
		s.end(b, i, at)
	default:
		m.stage, m.at = st, stamp(at).Time
		s.proceedTo(b, i)
		s.reportDispatched(b, i, at)
	}
}

// reportDispatched calls back that message i of b is at the SMSC, if its batch wants to know, after its end on some bad days.
func (s *Simulator) reportDispatched(b *batch, i int, at time.Time) {
	overtaken := s.isOvertaken(b, i)
	if b.kind != perRecipient || !overtaken && s.befalls(skipped, b, i, dispatched) {
		return
	}
	due := at
	if overtaken {
		due = s.changeAt(b, i, final).Add(s.config.Pace)
	}
	if c := s.report(b, i, dispatched, at, due); overtaken && c.outcome == Pending {
		s.tell(c.happening(CallbackOvertaken))
	}
}

func (s *Simulator) isOvertaken(b *batch, i int) bool {
	return b.kind == perRecipient && b.recipients[i].fate.dispatches() && s.befalls(overtaken, b, i, dispatched)
}

// end brings message i of b to its end.
func (s *Simulator) end(b *batch, i int, at time.Time) {
	m := &b.recipients[i]
	m.stage, m.at = final, stamp(at).Time
	s.unsettled--
	b.open--
	if b.kind == perRecipient || b.kind == perRecipientFinal {
		due := at
		if !s.isOvertaken(b, i) && s.befalls(late, b, i, final) {
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
