package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
	"golang.org/x/sync/errgroup"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/handlers/problem"
	"github.com/dlrloop/dlrloop/store"
)

// The values of the query parameter state of GET /api/v1/feedback. With "pending", the default, the answer lists the
// batches whose delivery feedback waits to be sent to Sinch; with "dead", the batches whose feedback dlrloop has given
// up.
const (
	feedbackPending = "pending"
	feedbackDead    = "dead"
)

func (p *API) feedback(ctx context.Context, a *request) (any, error) {
	q := store.TaskQuery{
		Dead:   a.oneOf("state", feedbackPending, feedbackDead) == feedbackDead,
		Plan:   a.text("plan"),
		Paging: a.paging(),
	}
	if err := a.err(); err != nil {
		return nil, err
	}
	page, err := p.store.Tasks(ctx, q)
	if err != nil {
		return nil, failed("list feedback", err)
	}
	return viewPage(page, viewBatch), nil
}

// requeueRequest is the JSON body of POST /api/v1/feedback/requeue. It selects the feedback of one batch (Plan and
// BatchID), of one service plan (only Plan), or of all plans (All). Any other combination is answered 400.
type requeueRequest struct {
	Plan    string `json:"plan"`
	BatchID string `json:"batch_id"`
	All     bool   `json:"all"`
}

// requeueView is the answer to POST /api/v1/feedback/requeue. Batches counts the batches whose feedback is due now.
// Recipients counts the recipients whose feedback had been given up before. If More is true, the request stopped early
// because it took too long, and the client should repeat it.
type requeueView struct {
	Batches    int  `json:"batches"`
	Recipients int  `json:"recipients"`
	More       bool `json:"more"`
}

// maxRequeueBody limits the body of POST /api/v1/feedback/requeue, in bytes. A larger body is answered 413. The longest
// plan id and batch id need far less.
const maxRequeueBody = 16 << 10

func (p *API) requeue(c *gin.Context) {
	ctx, cancel := context.WithTimeout(c.Request.Context(), p.config.Patience)
	defer cancel()
	v, err := p.doRequeue(ctx, c)
	if err == nil {
		err = answerJSON(c, v)
	}
	if err != nil {
		p.failures.Fail(c, err)
	}
}

func (p *API) doRequeue(ctx context.Context, c *gin.Context) (requeueView, error) {
	if err := parseQuery(c.Request.URL.RawQuery).err(); err != nil {
		return requeueView{}, err
	}
	request, err := readRequeue(c)
	if err != nil {
		return requeueView{}, err
	}
	if request.BatchID != "" {
		return p.requeueBatch(ctx, store.BatchKey{Plan: request.Plan, BatchID: request.BatchID})
	}
	return p.requeuePlan(ctx, request.Plan)
}

func readRequeue(c *gin.Context) (requeueRequest, error) {
	const expected = `{"plan": "P", "batch_id": "B"} for a batch, {"plan": "P"} for a plan, or {"all": true}`
	if t, _, err := mime.ParseMediaType(c.Request.Header.Get("Content-Type")); err != nil || t != "application/json" {
		return requeueRequest{}, &problem.Problem{
			Kind: problem.KindBadBody, Status: http.StatusUnsupportedMediaType,
			Detail: "the Content-Type must be application/json",
		}
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, maxRequeueBody))
	if err != nil {
		return requeueRequest{}, problem.Unread(err)
	}
	var request requeueRequest
	if err := dlr.UnmarshalStrict(body, &request); err != nil {
		return requeueRequest{}, problem.BadBody(fmt.Sprintf("invalid body: %v; expected: %s", err, expected))
	}
	if request.All == (request.Plan != "") || request.BatchID != "" && request.Plan == "" {
		return requeueRequest{}, problem.BadBody("the request selects nothing, or too much; expected: " + expected)
	}
	return request, nil
}

// requeueBatch makes the feedback of one batch due now, including feedback that was given up. If the batch has no
// unsent feedback, it changes nothing and returns zeros. An unknown batch is a problem with status 404.
func (p *API) requeueBatch(ctx context.Context, key store.BatchKey) (v requeueView, err error) {
	b, err := p.store.Batch(ctx, key)
	if err != nil {
		return v, failedBatch("read", key, err)
	}
	if b.Dead == nil && b.Task == nil {
		return v, nil
	}
	n, err := p.store.Requeue(ctx, key, store.Now())
	if err != nil {
		return v, failedBatch("requeue", key, err)
	}
	return requeueView{Batches: 1, Recipients: n}, nil
}

// requeueWorkers is how many batches one request requeues at the same time. To requeue a batch is to make its feedback
// due now. Several calls at a time save disk writes, because the store commits concurrent calls together.
const requeueWorkers = 32

// requeuePlan makes all unsent feedback of a service plan due now, or of all plans if plan is empty. If that takes
// longer than half of Config.Patience, it stops early and sets requeueView.More.
func (p *API) requeuePlan(ctx context.Context, plan string) (requeueView, error) {
	r := &requeuing{queue: p.store, enough: time.Now().Add(p.config.Patience / 2)}
	plans, err := []string{plan}, error(nil)
	if plan == "" {
		plans, err = p.pending(ctx)
	}
	for _, plan := range plans {
		if err != nil || r.more {
			break
		}
		err = r.requeuePending(ctx, plan)
		r.more = r.more || time.Now().After(r.enough)
	}
	// Dead feedback comes last: otherwise feedback that fails again at once would be requeued twice.
	if err == nil && !r.more {
		err = r.requeueAll(ctx, store.TaskQuery{Dead: true, Plan: plan})
	}
	return requeueView{int(r.batches.Load()), int(r.recipients.Load()), r.more}, err
}

// pending returns the ids of the service plans that have feedback waiting to be sent. The result is nil if there are
// none.
func (p *API) pending(ctx context.Context) (plans []string, err error) {
	stats, err := p.store.Stats(ctx)
	if err != nil {
		return nil, failed("read the totals", err)
	}
	for _, s := range stats {
		if s.Feedback.PendingTasks > 0 {
			plans = append(plans, s.Plan)
		}
	}
	return plans, nil
}

// requeuing is the state of one request that requeues the feedback of many batches: the counts for the answer, and when
// to stop. Of its methods, only requeueOne may be called concurrently.
type requeuing struct {
	queue               Queue
	enough              time.Time // no new page is started after it
	recipients, batches atomic.Int64
	more                bool // it stopped before the last page
}

// requeuePending makes the waiting feedback of a service plan due now. It does not change feedback that was given up. A
// requeue also ends a pause in which dlrloop does not call Sinch for the plan. Therefore requeuePending requeues one
// batch even if all waiting feedback is due already.
func (r *requeuing) requeuePending(ctx context.Context, plan string) error {
	before := r.batches.Load()
	err := r.requeueAll(ctx, store.TaskQuery{Plan: plan, Due: store.Now().Add(time.Millisecond)})
	if err != nil || r.batches.Load() > before {
		return err
	}
	page, err := r.queue.Tasks(ctx, store.TaskQuery{Plan: plan, Paging: store.Paging{Limit: 1}})
	if err != nil {
		return failed("list pending feedback", err)
	}
	for _, b := range page.Items {
		if _, err := r.requeueOne(ctx, b.Key()); err != nil {
			return err
		}
	}
	return nil
}

// requeueAll requeues every batch that q selects, one page after the other. If pages are left at the time r.enough, it
// stops after the current page and sets r.more. It returns the first error.
func (r *requeuing) requeueAll(ctx context.Context, q store.TaskQuery) error {
	for {
		page, err := r.queue.Tasks(ctx, q)
		if err != nil {
			return failed("list feedback", err)
		}
		workers, each := errgroup.WithContext(ctx)
		workers.SetLimit(requeueWorkers)
		for _, b := range page.Items {
			workers.Go(func() error {
				found, err := r.requeueOne(each, b.Key())
				if found {
					r.batches.Add(1)
				}
				return err
			})
		}
		if err := workers.Wait(); err != nil {
			return err
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			return nil
		}
		if r.more = time.Now().After(r.enough); r.more {
			return nil
		}
	}
}

// requeueOne makes the feedback of one batch due now. It returns false, and no error, if the batch has been deleted
// since it was listed.
func (r *requeuing) requeueOne(ctx context.Context, key store.BatchKey) (found bool, err error) {
	n, err := r.queue.Requeue(ctx, key, store.Now())
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, failedBatch("requeue", key, err)
	}
	r.recipients.Add(int64(n))
	return true, nil
}
