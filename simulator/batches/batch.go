package batches

import (
	"net/http"
	"time"

	"github.com/dlrloop/dlrloop/simulator/fault"
	"github.com/dlrloop/dlrloop/simulator/ledger"
	"github.com/dlrloop/dlrloop/simulator/random"
	"github.com/dlrloop/dlrloop/simulator/xms"
)

// retention is how long the API keeps a batch after its dispatch. Later requests for the batch are answered 404.
const retention = 14 * 24 * time.Hour

// batch is an accepted batch with the present state of its messages. The mutex of the Store guards it.
type batch struct {
	contents
	plan            *Plan
	id              string
	ordinal         uint64 // within its plan, from 1
	feedbackOrdinal uint64 // ordinal among the plan's batches that had feedback enabled at some time; 0: never enabled
	created         time.Time
	modified        time.Time
	waits           bool   // not dispatched yet: send_at is in the future
	dispatchVersion uint64 // incremented when the dispatch is rescheduled; the schedule's older entries are ignored
	canceled        bool
	updated         int                  // number of updates
	replaced        int                  // number of replacements
	open            int                  // number of messages that are not final
	guaranteed      *[anomalyKinds]int32 // recipient index per anomaly; nil for a small batch
	callCounts      map[fault.Operation]int
}

// subject returns the random.Subject for decisions about recipient i of b, or about the whole batch if i is wholeBatch.
// turn distinguishes decisions of the same kind, for example one for each stage of a message.
func (b *batch) subject(i, turn int) random.Subject {
	of := random.Subject{Plan: b.plan.ID, Batch: b.ordinal, Turn: turn}
	if i != wholeBatch {
		of.Recipient = b.recipients[i].digits
	}
	return of
}

// wholeBatch takes the place of a recipient's index where the whole batch is meant.
const wholeBatch = -1

// addBatch stores a new batch of plan p with the contents c and returns it. created is the present time. If
// c.dispatchAt has come, addBatch dispatches the batch; otherwise it schedules the dispatch. The caller must hold s.mu.
func (s *Store) addBatch(p *Plan, c contents, created time.Time) *batch {
	p.lastBatch++
	b := &batch{plan: p, ordinal: p.lastBatch, created: created, callCounts: map[fault.Operation]int{}}
	b.id = s.config.Random.ID("batch", b.created, b.subject(wholeBatch, 0))
	s.batches = append(s.batches, b)
	s.batchByID[batchKey{p.ID, b.id}] = b
	s.config.Feed.Add(ledger.Entry{Kind: ledger.BatchSent, Plan: p.ID, Batch: b.id, Count: len(c.recipients)})
	s.setContents(b, c, created)
	return b
}

// setContents replaces the contents of b with c. Phone numbers that remain in the batch keep their feedback counts. If
// c.dispatchAt has come, setContents then dispatches b; otherwise it schedules the dispatch. The caller must hold s.mu.
func (s *Store) setContents(b *batch, c contents, now time.Time) {
	s.recipients += len(c.recipients) - len(b.recipients)
	c.copyFeedback(b.recipientList)
	b.contents, b.modified = c, now
	if b.feedbackOrdinal == 0 && b.request.WantsFeedback() {
		b.plan.lastFeedback++
		b.feedbackOrdinal = b.plan.lastFeedback
	}
	s.scheduleDispatch(b, now)
}

// batchView is the JSON form of a batch in API answers: what the customer sent, with the id, the times and whether the
// batch is cancelled.
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

// find returns the batch of p with this id, or an *xms.Error with status 404 if it is unknown or its retention is over.
// The caller must hold p.store.mu.
func (p *Plan) find(id string, now time.Time) (*batch, error) {
	b := p.store.batchByID[batchKey{p.ID, id}]
	if b == nil || !b.kept(now) {
		return nil, xms.WithoutBody(http.StatusNotFound)
	}
	return b, nil
}

// kept reports whether the API still answers requests for b at the given time. It no longer does so once b.dispatchAt
// is more than retention ago.
func (b *batch) kept(now time.Time) bool { return now.Sub(b.dispatchAt) <= retention }

// Get returns a batch as a JSON-encodable value. It returns an *xms.Error if the batch is unknown or its retention is
// over.
func (p *Plan) Get(id string, now time.Time) (any, error) {
	p.store.mu.Lock()
	defer p.store.unlock()
	b, err := p.find(id, now)
	if err != nil {
		return nil, err
	}
	return b.view(), nil
}

// Send creates a batch from a request body and returns it as a JSON-encodable value. It returns an *xms.Error if the
// body is invalid or the service plan lacks a sender, a group or a callback URL that the batch needs.
func (p *Plan) Send(body []byte) (any, error) {
	request, err := xms.ReadBatch(body)
	if err != nil {
		return nil, err
	}
	now := xms.Stamp(time.Now()).Time
	p.store.mu.Lock()
	defer p.store.unlock()
	c, err := p.prepare(request, now, now)
	if err != nil {
		return nil, err
	}
	return p.store.addBatch(p, c, now).view(), nil
}

// clientReference returns the client reference of b, the customer's own name for the batch, or "" if b has none.
func (b *batch) clientReference() string {
	if b.request.ClientReference == nil {
		return ""
	}
	return *b.request.ClientReference
}

func (b *batch) ledger() ledger.Batch {
	l := ledger.Batch{
		Plan: b.plan.ID, ID: b.id, FeedbackEnabled: b.request.WantsFeedback(), Report: string(b.kind),
		ClientReference: b.clientReference(), Waiting: b.waits, Canceled: b.canceled, Updated: b.updated,
		Replaced: b.replaced, Recipients: make([]ledger.Recipient, len(b.recipients)),
	}
	for i := range b.recipients {
		m := &b.recipients[i]
		status, code := m.status()
		l.Recipients[i] = ledger.Recipient{
			Recipient: m.digits, Status: status, Code: code, Final: m.stage == final, At: m.at, Feedback: m.applied,
		}
	}
	return l
}
