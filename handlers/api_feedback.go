package handlers

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
	"github.com/dlrloop/dlrloop/store"
)

// The states that /feedback lists, the default first.
const (
	feedbackPending = "pending"
	feedbackDead    = "dead"
)

func (p *Private) feedback(ctx context.Context, a *ask) (any, error) {
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

// requeueRequest says what to send again: one batch, all of a plan, or all there is.
type requeueRequest struct {
	Plan    string `json:"plan"`
	BatchID string `json:"batch_id"`
	All     bool   `json:"all"`
}

// requeueView says what became owed again. More means that the time was not enough for everything: the same call goes on.
type requeueView struct {
	Batches    int  `json:"batches"`
	Recipients int  `json:"recipients"`
	More       bool `json:"more"`
}

// maxRequeueBody is far more than the longest plan and batch id take.
const maxRequeueBody = 16 << 10

func (p *Private) requeue(c *gin.Context) {
	ctx, cancel := context.WithTimeout(c.Request.Context(), p.config.Patience)
	defer cancel()
	v, err := p.requeueAsked(ctx, c)
	if err == nil {
		err = answerJSON(c, v)
	}
	if err != nil {
		p.failures.fail(c, err)
	}
}

func (p *Private) requeueAsked(ctx context.Context, c *gin.Context) (requeueView, error) {
	if err := parseQuery(c.Request.URL.RawQuery).err(); err != nil {
		return requeueView{}, err
	}
	asked, err := readRequeue(c)
	if err != nil {
		return requeueView{}, err
	}
	if asked.BatchID != "" {
		return p.requeueBatch(ctx, store.BatchKey{Plan: asked.Plan, BatchID: asked.BatchID})
	}
	return p.requeuePlan(ctx, asked.Plan)
}

func readRequeue(c *gin.Context) (requeueRequest, error) {
	const wanted = `{"plan": "P", "batch_id": "B"} for one batch, {"plan": "P"} for all of a plan, or {"all": true}`
	if t, _, err := mime.ParseMediaType(c.Request.Header.Get("Content-Type")); err != nil || t != "application/json" {
		return requeueRequest{}, &problem{
			kind: kindBadBody, status: http.StatusUnsupportedMediaType,
			detail: "the Content-Type must be application/json",
		}
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, maxRequeueBody))
	if err != nil {
		return requeueRequest{}, unread(err)
	}
	var asked requeueRequest
	if err := dlr.UnmarshalStrict(body, &asked); err != nil {
		return requeueRequest{}, badBody(fmt.Sprintf("not readable: %v; wanted: %s", err, wanted))
	}
	if asked.All == (asked.Plan != "") || asked.BatchID != "" && asked.Plan == "" {
		return requeueRequest{}, badBody("neither a batch nor a plan nor all of them; wanted: " + wanted)
	}
	return asked, nil
}

// requeueBatch makes the dead recipients of one batch owed again, and a task that waits due. A batch that has neither is left
// alone.
func (p *Private) requeueBatch(ctx context.Context, key store.BatchKey) (v requeueView, err error) {
	b, err := p.store.Batch(ctx, key)
	if err != nil {
		return v, failedBatch("read", key, err)
	}
	if b.Dead == nil && b.Task == nil {
		return v, nil
	}
	n, err := p.store.Requeue(ctx, key, now())
	if err != nil {
		return v, failedBatch("requeue", key, err)
	}
	return requeueView{Batches: 1, Recipients: n}, nil
}

// requeueLanes is how many batches are requeued at once: they share the syncs of the store.
const requeueLanes = 32

// requeuePlan makes everything dead of a plan owed again, or of all plans when it is empty. It stops at a page's end when
// half of its time is gone.
func (p *Private) requeuePlan(ctx context.Context, plan string) (requeueView, error) {
	var recipients, batches atomic.Int64
	enough := time.Now().Add(p.config.Patience / 2)
	q := store.TaskQuery{Dead: true, Plan: plan}
	for {
		page, err := p.store.Tasks(ctx, q)
		if err != nil {
			return requeueView{}, failed("list dead feedback", err)
		}
		lanes, each := errgroup.WithContext(ctx)
		lanes.SetLimit(requeueLanes)
		for _, b := range page.Items {
			lanes.Go(func() error {
				n, err := p.store.Requeue(each, b.Key(), now())
				if errors.Is(err, store.ErrNotFound) {
					return nil // expired since
				}
				if err != nil {
					return failedBatch("requeue", b.Key(), err)
				}
				batches.Add(1)
				recipients.Add(int64(n))
				return nil
			})
		}
		if err := lanes.Wait(); err != nil {
			return requeueView{}, err
		}
		q.Cursor = page.Next
		if q.Cursor == "" || time.Now().After(enough) {
			return requeueView{int(batches.Load()), int(recipients.Load()), q.Cursor != ""}, nil
		}
	}
}

// now is the time as a store takes it.
func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }
