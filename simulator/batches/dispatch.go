package batches

import (
	"time"

	"github.com/dlrloop/dlrloop/simulator/xms"
)

// scheduleDispatch dispatches b at once if b.dispatchAt has come. Otherwise it schedules the dispatch for that time. In
// both cases, Run ignores any dispatch of b that was scheduled before. The caller must hold s.mu.
func (s *Store) scheduleDispatch(b *batch, now time.Time) {
	b.dispatchVersion++
	if !b.dispatchAt.After(now) {
		s.dispatch(b)
		return
	}
	if !b.waits {
		b.waits = true
		s.unsettled++
	}
	s.schedule.Add(b.dispatchAt, work{batch: b, dispatchVersion: b.dispatchVersion})
}

// dispatchIfDue dispatches b if b waits for its dispatch although b.dispatchAt has come. The caller must hold s.mu.
func (s *Store) dispatchIfDue(b *batch, now time.Time) {
	if b.waits && !b.dispatchAt.After(now) {
		s.dispatch(b)
	}
}

// cancelDispatch makes Run ignore the scheduled dispatch of b, if there is one. The caller must hold s.mu.
func (s *Store) cancelDispatch(b *batch) {
	b.dispatchVersion++
	if b.waits {
		b.waits = false
		s.unsettled--
	}
}

// dispatch begins to send the messages of b: it expands groups to their present members, decides the outcomes and
// schedules the first status changes. The caller must hold s.mu.
func (s *Store) dispatch(b *batch) {
	if b.waits && b.grouped {
		now := b.plan.expandRecipients(b.request.To)
		now.copyFeedback(b.recipientList)
		s.recipients += len(now.recipients) - len(b.recipients)
		b.recipientList = now
	}
	s.cancelDispatch(b)
	b.open = len(b.recipients)
	s.chooseGuaranteed(b)
	s.renderMessages(b)
	for i := range b.recipients {
		b.recipients[i].at = b.dispatchAt
		b.recipients[i].outcome = s.plannedOutcome(b, i)
		s.unsettled++
		s.scheduleNext(b, i)
		if b.kind == xms.ReportPerRecipient && s.occurs(queuedToo, b, i, queued) {
			s.sendReport(b, i, queued, b.dispatchAt, b.dispatchAt, "")
		}
	}
	if b.open == 0 {
		s.finishBatch(b, b.dispatchAt)
	}
}
