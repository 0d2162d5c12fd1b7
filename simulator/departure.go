package simulator

import "time"

// await lets b leave if its time has come, or makes an appointment; those made before are void.
func (s *Simulator) await(b *batch, now time.Time) {
	b.departure++
	if !b.starts.After(now) {
		s.leave(b)
		return
	}
	if !b.waits {
		b.waits = true
		s.unsettled++
	}
	s.schedule(entry{due: b.starts, batch: b, departure: b.departure})
}

// catchUp lets b leave if its time has come though Run has not come to it yet.
func (s *Simulator) catchUp(b *batch, now time.Time) {
	if b.waits && !b.starts.After(now) {
		s.leave(b)
	}
}

// stopWaiting ends the wait of b, if it waits.
func (s *Simulator) stopWaiting(b *batch) {
	b.departure++
	if b.waits {
		b.waits = false
		s.unsettled--
	}
}

// leave resolves the groups of b as they are now and puts the first status change of every message on the agenda.
func (s *Simulator) leave(b *batch) {
	if b.waits && b.grouped {
		now := b.plan.muster(b.members.To)
		now.inherit(b.roster)
		s.counts.Recipients += len(now.recipients) - len(b.recipients)
		b.roster = now
	}
	s.stopWaiting(b)
	b.left = true
	b.open = len(b.recipients)
	s.ensure(b)
	s.address(b)
	for i := range b.recipients {
		b.recipients[i].at = b.starts
		b.recipients[i].fate = s.fate(b, i)
		s.unsettled++
		s.proceedTo(b, i)
		if b.kind == perRecipient && s.befalls(queuedToo, b, i, queued) {
			s.report(b, i, queued, b.starts, b.starts)
		}
	}
	if b.open == 0 {
		s.complete(b, b.starts)
	}
}
