package handlers

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
	"golang.org/x/sync/errgroup"

	"github.com/dlrloop/dlrloop/sinch"
	"github.com/dlrloop/dlrloop/store"
)

// Bounds of one registration. The largest batch that Sinch takes has some megabytes of parameters.
const (
	maxRegistered      = 4 << 20  // bytes of one batch
	maxRegisteredLines = 10_000   // batches of one request
	maxRegistration    = 64 << 20 // bytes of one request
)

// registrationWorkers is how many batches are recorded at once: they share the syncs of the store.
const registrationWorkers = 32

// registeredView says how many batches are kept now.
type registeredView struct {
	Registered int `json:"registered"`
}

// register keeps batches as Sinch answered them to the application that sent them: one in JSON, or one a line in NDJSON.
func (p *Private) register(c *gin.Context) {
	v, err := p.doRegister(c)
	if err == nil {
		err = answerJSON(c, v)
	}
	if err != nil {
		p.failures.fail(c, err)
	}
}

func (p *Private) doRegister(c *gin.Context) (registeredView, error) {
	a := &apiRequest{query: parseQuery(c.Request.URL.RawQuery), path: c.Params}
	checkNow := a.checkNow()
	if err := a.err(); err != nil {
		return registeredView{}, err
	}
	plan := a.segment("plan")
	if !slices.Contains(p.config.Plans, plan) {
		return registeredView{}, &problem{kind: kindNotFound, detail: fmt.Sprintf("plan %s is not configured", plan)}
	}
	read, err := readerOf(c.Request.Header.Get("Content-Type"))
	if err != nil {
		return registeredView{}, err
	}
	r := &registration{Private: p, plan: plan, checkNow: checkNow, connection: http.NewResponseController(c.Writer)}
	r.workers.SetLimit(registrationWorkers)
	return r.ended(read(r, c))
}

// checkNow says whether Sinch is to be asked at once after what lacks reports.
func (q *query) checkNow() bool {
	s := q.text("check")
	if s != "" && s != "now" {
		q.fail("check", "not a value it can have", "now")
	}
	return s == "now"
}

// readerOf is how a body of the type is read.
func readerOf(contentType string) (func(*registration, *gin.Context) error, error) {
	switch t, _, err := mime.ParseMediaType(contentType); {
	case err == nil && t == "application/json":
		return (*registration).one, nil
	case err == nil && t == "application/x-ndjson":
		return (*registration).lines, nil
	}
	return nil, &problem{
		kind: kindBadBody, status: http.StatusUnsupportedMediaType,
		detail: "the Content-Type must be application/json for one batch, or application/x-ndjson for one a line",
	}
}

// registration is one request's batches on their way into the store.
type registration struct {
	*Private
	plan       string
	checkNow   bool
	connection *http.ResponseController
	workers    errgroup.Group
	kept       atomic.Int64
	failed     atomic.Bool // nothing more is read; what is on its way goes on
}

// one reads a single batch.
func (r *registration) one(c *gin.Context) error {
	defer r.moveDeadlines()
	r.moveDeadlines()
	body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, maxRegistered))
	if err != nil {
		return unread(err)
	}
	return r.take(c.Request.Context(), body)
}

// lines reads a batch a line, as they come. Empty lines are passed over.
func (r *registration) lines(c *gin.Context) error {
	defer r.moveDeadlines()
	lines := bufio.NewScanner(http.MaxBytesReader(c.Writer, c.Request.Body, maxRegistration))
	lines.Buffer(nil, maxRegistered+1) // the line's end
	n := 0
	for r.moveDeadlines(); !r.failed.Load() && lines.Scan(); r.moveDeadlines() {
		n++
		if n > maxRegisteredLines {
			return &problem{kind: kindTooLarge, detail: fmt.Sprintf("the limit is %d lines", maxRegisteredLines)}
		}
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		if err := r.take(c.Request.Context(), line); err != nil {
			if lines.Err() != nil {
				break // the body was cut short in it
			}
			return inLine(n, err)
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return inLine(n+1, &problem{kind: kindTooLarge, detail: fmt.Sprintf("the limit of a line is %d bytes", maxRegistered)})
	case err != nil:
		return unread(err)
	}
	return nil
}

// moveDeadlines gives the next batch its time to arrive and to be recorded: a body that keeps coming may take longer than
// the server has for one.
func (r *registration) moveDeadlines() {
	// A connection that knows no deadlines is one of a test.
	_ = r.connection.SetReadDeadline(time.Now().Add(2 * r.config.Patience))
	_ = r.connection.SetWriteDeadline(time.Now().Add(3 * r.config.Patience))
}

// take has a batch recorded, or says why it is none.
func (r *registration) take(ctx context.Context, body []byte) error {
	b, err := sinch.ParseBatch(body)
	switch {
	case err != nil:
		return badBody(fmt.Sprintf("not readable: %v; wanted: a batch as Sinch returned it", err))
	case b.ID == "":
		return badBody("no id; wanted: a batch as Sinch returned it")
	case len(b.ID) > maxBatchID:
		return badBody(fmt.Sprintf("an id of more than %d bytes; wanted: a batch as Sinch returned it", maxBatchID))
	case len(b.To) == 0 && b.CreatedAt.IsZero():
		// Read as a batch, a bare id would say that no feedback is wanted.
		return badBody("neither to nor created_at; wanted: a batch as Sinch returned it")
	}
	facts := factsOf(b, store.FromRegistration)
	facts.CheckNow = r.checkNow
	r.workers.Go(func() error { return r.record(ctx, facts) })
	return nil
}

func (r *registration) record(ctx context.Context, facts store.Facts) error {
	ctx, cancel := context.WithTimeout(ctx, r.config.Patience)
	defer cancel()
	if err := r.store.Record(ctx, store.Arrival{Plan: r.plan, At: now(), News: facts}); err != nil {
		r.failed.Store(true)
		return fmt.Errorf("register batch %s of plan %s: %w", facts.BatchID, r.plan, err)
	}
	r.kept.Add(1)
	return nil
}

// ended waits for what is on its way and says what became of the request; misread is why it was not read to its end. The store's
// failure counts more: the same request will do later.
func (r *registration) ended(misread error) (registeredView, error) {
	failed := r.workers.Wait()
	kept := int(r.kept.Load())
	switch {
	case failed != nil:
		return registeredView{}, &problem{
			kind: kindOfFailure(failed), cause: failed,
			detail: fmt.Sprintf("%d registered; the same call will do later, it changes nothing about those", kept),
		}
	case misread != nil:
		p := *problemOf(misread)
		p.detail = fmt.Sprintf("%s (%d registered)", p.detail, kept)
		return registeredView{}, &p
	}
	return registeredView{kept}, nil
}

// kindOfFailure is the kind of 503 that a store's failure is.
func kindOfFailure(err error) kind {
	if k := problemOf(err).kind; k == kindBusy {
		return k
	}
	return kindUnavailable
}

// inLine says which line of a request is at fault.
func inLine(n int, err error) error {
	p := *problemOf(err)
	p.detail = fmt.Sprintf("line %d: %s", n, p.detail)
	return &p
}

// unread says why a body could not be read to its end.
func unread(err error) error {
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return err
	}
	return &problem{kind: kindIncomplete, detail: "the body did not arrive whole", cause: err}
}
