package simulator

import (
	"net/http"
	"time"

	"github.com/dlrloop/dlrloop/simulator/fault"
	"github.com/dlrloop/dlrloop/simulator/xms"
)

// retention is how long after its dispatch a batch can be read.
const retention = 14 * 24 * time.Hour

// batch is one batch with its messages.
type batch struct {
	draft
	plan            *plan
	id              string
	ordinal         uint64 // within its plan, from 1
	feedbackOrdinal uint64 // ordinal among the plan's batches that had feedback enabled at some time; 0: never enabled
	created         time.Time
	modified        time.Time
	waits           bool   // not dispatched yet: send_at is in the future
	dispatchVersion uint64 // incremented when the dispatch is rescheduled; older entries are invalid
	canceled        bool
	updated         int                  // number of updates
	replaced        int                  // number of replacements
	open            int                  // number of messages that are not final
	certain         *[anomalyKinds]int32 // recipient index per anomaly; nil for a small batch
	callCounts      map[fault.Operation]int
}

// subject returns the dice subject for recipient i of b, or for the whole batch if i is allRecipients.
func (b *batch) subject(i, turn int) subject {
	of := subject{plan: b.plan.ID, batch: b.ordinal, turn: turn}
	if i != allRecipients {
		of.recipient = b.recipients[i].digits
	}
	return of
}

// addBatch stores a new batch made from d.
func (s *Simulator) addBatch(p *plan, d draft, created time.Time) *batch {
	p.lastBatch++
	b := &batch{plan: p, ordinal: p.lastBatch, created: created, callCounts: map[fault.Operation]int{}}
	b.id = s.dice.id("batch", b.created, b.subject(allRecipients, 0))
	s.batches = append(s.batches, b)
	s.batchByID[batchKey{p.ID, b.id}] = b
	s.emit(Event{Kind: BatchSent, Plan: p.ID, Batch: b.id, Count: len(d.recipients)})
	s.applyDraft(b, d, created)
	return b
}

// applyDraft replaces the contents of b by d. It dispatches b at once or schedules its dispatch.
func (s *Simulator) applyDraft(b *batch, d draft, now time.Time) {
	s.counts.Recipients += len(d.recipients) - len(b.recipients)
	d.copyFeedback(b.recipientList)
	b.draft, b.modified = d, now
	if b.feedbackOrdinal == 0 && b.request.WantsFeedback() {
		b.plan.lastFeedback++
		b.feedbackOrdinal = b.plan.lastFeedback
	}
	s.scheduleDispatch(b, now)
}

// batchView is the JSON form of a batch in API answers.
type batchView struct {
	ID string `json:"id"`
	xms.Batch
	Canceled   bool          `json:"canceled"`
	CreatedAt  xms.Timestamp `json:"created_at"`
	ModifiedAt xms.Timestamp `json:"modified_at"`
}

func (b *batch) view() batchView {
	v := batchView{
		ID: b.id, Batch: b.request, Canceled: b.canceled, CreatedAt: xms.Timestamp{Time: b.created},
		ModifiedAt: xms.Timestamp{Time: b.modified},
	}
	expireAt := b.expireAt // a copy, since the view is encoded after mu is unlocked
	v.ExpireAt = &expireAt
	return v
}

// find returns the batch named in the path of c, or a 404.
func (s *Simulator) find(c *call) (*batch, error) {
	b := s.batchByID[batchKey{c.plan.ID, c.batchID()}]
	if b == nil || !b.kept(c.started) {
		return nil, xms.WithoutBody(http.StatusNotFound)
	}
	return b, nil
}

// kept reports whether b can still be read.
func (b *batch) kept(now time.Time) bool { return now.Sub(b.starts) <= retention }

func (s *Simulator) getBatch(c *call) (any, error) {
	s.mu.Lock()
	defer s.unlock()
	b, err := s.find(c)
	if err != nil {
		return nil, err
	}
	return b.view(), nil
}

func (s *Simulator) send(c *call) (any, error) {
	m, err := xms.ReadBatch(c.body)
	if err != nil {
		return nil, err
	}
	now := xms.Stamp(time.Now()).Time
	s.mu.Lock()
	defer s.unlock()
	d, err := s.draft(c.plan, m, now, now)
	if err != nil {
		return nil, err
	}
	return s.addBatch(c.plan, d, now).view(), nil
}
