package api

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

	"github.com/dlrloop/dlrloop/batchinfo"
	"github.com/dlrloop/dlrloop/handlers/problem"
	"github.com/dlrloop/dlrloop/sinch"
	"github.com/dlrloop/dlrloop/store"
)

// The limits of one POST /api/v1/plans/{plan}/batches, which registers batches. A larger request is answered 413.
// Sinch's largest batch has some megabytes of message parameters.
const (
	maxRegistered      = 4 << 20  // bytes of one batch
	maxRegisteredLines = 10_000   // batches in one request
	maxRegistration    = 64 << 20 // bytes of one request
)

// registrationWorkers is how many batches one request records at the same time. Several calls at a time save disk
// writes, because the store commits concurrent calls together.
const registrationWorkers = 32

// registeredView is the answer to POST /api/v1/plans/{plan}/batches. Registered is how many batches of the request are
// stored now, including those that were stored before.
type registeredView struct {
	Registered int `json:"registered"`
}

// register answers POST /api/v1/plans/{plan}/batches: it records batches that an application sent to Sinch directly,
// not through dlrloop. The body is Sinch's answer to one send as JSON, or several as NDJSON, one per line.
func (p *API) register(c *gin.Context) {
	v, err := p.doRegister(c)
	if err == nil {
		err = answerJSON(c, v)
	}
	if err != nil {
		p.failures.Fail(c, err)
	}
}

func (p *API) doRegister(c *gin.Context) (registeredView, error) {
	a := &request{query: parseQuery(c.Request.URL.RawQuery), path: c.Params}
	fetchNow := a.fetchNow()
	if err := a.err(); err != nil {
		return registeredView{}, err
	}
	plan := a.pathParam("plan")
	if !slices.Contains(p.config.Plans, plan) {
		return registeredView{}, &problem.Problem{
			Kind: problem.KindNotFound, Detail: fmt.Sprintf("plan %s is not configured", plan),
		}
	}
	read, err := readerOf(c.Request.Header.Get("Content-Type"))
	if err != nil {
		return registeredView{}, err
	}
	r := &registration{API: p, plan: plan, fetchNow: fetchNow, connection: http.NewResponseController(c.Writer)}
	r.workers.SetLimit(registrationWorkers)
	return r.finish(read(r, c))
}

// fetchNow reports whether the client sent check=now, so that dlrloop asks Sinch at once for the missing reports of the
// batches. It returns false if the parameter check is missing. Any other value is recorded as a fault.
func (q *query) fetchNow() bool {
	s := q.text("check")
	if s != "" && s != "now" {
		q.fail("check", "not an allowed value", "now")
	}
	return s == "now"
}

// readerOf returns the method that reads a request body of this Content-Type: registration.readJSON for JSON,
// registration.readNDJSON for NDJSON. For any other type it returns a problem with status 415.
func readerOf(contentType string) (func(*registration, *gin.Context) error, error) {
	switch t, _, err := mime.ParseMediaType(contentType); {
	case err == nil && t == "application/json":
		return (*registration).readJSON, nil
	case err == nil && t == "application/x-ndjson":
		return (*registration).readNDJSON, nil
	}
	return nil, &problem.Problem{
		Kind: problem.KindBadBody, Status: http.StatusUnsupportedMediaType,
		Detail: "the Content-Type must be application/json for one batch, or application/x-ndjson for one a line",
	}
}

// registration is the state of one request that registers batches. It records them in background goroutines; the method
// finish waits for these.
type registration struct {
	*API
	plan       string
	fetchNow   bool
	connection *http.ResponseController
	workers    errgroup.Group
	kept       atomic.Int64
	failed     atomic.Bool // set by the first store error: no more batches are read, those being recorded continue
}

// readJSON reads a body that is the JSON of one batch, and passes it to submit, which records the batch in the
// background. A body over 4 MiB is answered 413.
func (r *registration) readJSON(c *gin.Context) error {
	defer r.moveDeadlines()
	r.moveDeadlines()
	body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, maxRegistered))
	if err != nil {
		return problem.Unread(err)
	}
	return r.submit(c.Request.Context(), body)
}

// readNDJSON reads a body with the JSON of one batch per line, and passes each line to submit, which records the batch
// in the background. It skips empty lines and stops at the first error, which names the line.
func (r *registration) readNDJSON(c *gin.Context) error {
	defer r.moveDeadlines()
	lines := bufio.NewScanner(http.MaxBytesReader(c.Writer, c.Request.Body, maxRegistration))
	lines.Buffer(nil, maxRegistered+1) // one byte more for the end of the line
	n := 0
	for r.moveDeadlines(); !r.failed.Load() && lines.Scan(); r.moveDeadlines() {
		n++
		if n > maxRegisteredLines {
			return &problem.Problem{Kind: problem.KindTooLarge, Detail: fmt.Sprintf("the limit is %d lines", maxRegisteredLines)}
		}
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		if err := r.submit(c.Request.Context(), line); err != nil {
			if lines.Err() != nil {
				break // the line is incomplete, since the body broke off
			}
			return inLine(n, err)
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		detail := fmt.Sprintf("a line is limited to %d bytes", maxRegistered)
		return inLine(n+1, &problem.Problem{Kind: problem.KindTooLarge, Detail: detail})
	case err != nil:
		return problem.Unread(err)
	}
	return nil
}

// moveDeadlines gives the client more time to send the next batch and to receive the answer. It is called after each
// batch, so a large body may take longer than the http.Server's time limits.
func (r *registration) moveDeadlines() {
	// Only connections of tests support no deadlines.
	_ = r.connection.SetReadDeadline(time.Now().Add(2 * r.config.Patience))
	_ = r.connection.SetWriteDeadline(time.Now().Add(3 * r.config.Patience))
}

// submit parses body, the JSON of one batch, and records the batch in the background; the recording fails if ctx ends.
// submit blocks while registrationWorkers batches are being recorded. If body is not a batch, it returns a problem with
// status 400. The caller may reuse body after the call.
func (r *registration) submit(ctx context.Context, body []byte) error {
	b, err := sinch.ParseBatch(body)
	if err != nil {
		return problem.BadBody(fmt.Sprintf("invalid body: %v; expected: a batch as Sinch returned it", err))
	}
	if err := batchinfo.Check(b); err != nil {
		return problem.BadBody(err.Error() + "; expected: a batch as Sinch returned it")
	}
	info := batchinfo.Convert(b, store.FromRegistration)
	var entry store.Entry = info
	if r.fetchNow {
		entry = store.FetchNow{BatchInfo: info}
	}
	r.workers.Go(func() error { return r.record(ctx, entry) })
	return nil
}

func (r *registration) record(ctx context.Context, entry store.Entry) error {
	ctx, cancel := context.WithTimeout(ctx, r.config.Patience)
	defer cancel()
	if err := r.store.Record(ctx, store.Arrival{Plan: r.plan, At: store.Now(), Entry: entry}); err != nil {
		r.failed.Store(true)
		return fmt.Errorf("register batch %s of plan %s: %w", entry.Batch(), r.plan, err)
	}
	r.kept.Add(1)
	return nil
}

// finish waits until every submitted batch is recorded or has failed, and returns the answer. misread is the error of
// reading the request's body, or nil. An error of the store takes precedence over misread, because it tells the client
// to retry the same request.
func (r *registration) finish(misread error) (registeredView, error) {
	failed := r.workers.Wait()
	kept := int(r.kept.Load())
	switch {
	case failed != nil:
		p := problem.OfStore(failed)
		p.Detail = fmt.Sprintf("%d registered; retry the whole request later, which does not change those", kept)
		return registeredView{}, p
	case misread != nil:
		p := *problem.Of(misread)
		p.Detail = fmt.Sprintf("%s (%d registered)", p.Detail, kept)
		return registeredView{}, &p
	}
	return registeredView{kept}, nil
}

// inLine converts err into a problem whose detail begins with the line number n, counted from 1. Status and kind are
// those that problem.Of chooses for err.
func inLine(n int, err error) error {
	p := *problem.Of(err)
	p.Detail = fmt.Sprintf("line %d: %s", n, p.Detail)
	return &p
}
