package simulator

import (
	"time"

	"github.com/dlrloop/dlrloop/simulator/xms"
)

// scheduleDispatch dispatches batch b if its start time has come. Otherwise it schedules the dispatch and invalidates
// the ones scheduled before.
func (s *Simulator) scheduleDispatch(b *batch, now time.Time) {
	b.dispatchVersion++
	if !b.starts.After(now) {
		s.dispatch(b)
		return
	}
	if !b.waits {
		b.waits = true
		s.unsettled++
	}
	s.schedule(entry{due: b.starts, batch: b, dispatchVersion: b.dispatchVersion})
}

// dispatchIfDue dispatches b if its start time has come but Run has not executed the entry yet.
func (s *Simulator) dispatchIfDue(b *batch, now time.Time) {
	if b.waits && !b.starts.After(now) {
		s.dispatch(b)
	}
}

// cancelDispatch invalidates the scheduled dispatch of b, if there is one.
func (s *Simulator) cancelDispatch(b *batch) {
	b.dispatchVersion++
	if b.waits {
		b.waits = false
		s.unsettled--
	}
}

// dispatch expands the groups of b to their present members and schedules the first status change of every message.
func (s *Simulator) dispatch(b *batch) {
	if b.waits && b.grouped {
		now := b.plan.expandRecipients(b.request.To)
		now.copyFeedback(b.recipientList)
		s.counts.Recipients += len(now.recipients) - len(b.recipients)
		b.recipientList = now
	}
	s.cancelDispatch(b)
	b.open = len(b.recipients)
	s.chooseCertain(b)
	s.renderMessages(b)
	for i := range b.recipients {
		b.recipients[i].at = b.starts
		b.recipients[i].fate = s.fate(b, i)
		s.unsettled++
		s.scheduleNext(b, i)
		if b.kind == xms.ReportPerRecipient && s.occurs(queuedToo, b, i, queued) {
			s.scheduleReport(b, i, queued, b.starts, b.starts)
		}
	}
	if b.open == 0 {
		s.finishBatch(b, b.starts)
	}
}
