package handlers

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/dlrloop/dlrloop/store"
)

// kind is which problem an answer is. Each has its section in docs/problems.md.
type kind uint8

const (
	kindInternal kind = iota
	kindUnavailable
	kindBusy
	kindNotFound
	kindBadParameter
	kindBadBody
	kindMethod
	kindUnauthorized
	kindForbidden
	kindCredentials
	kindUnknownWebhook
	kindTooLarge
	kindTooLargeUnverified
	kindIncomplete
	kindShed
	kindShedUnverified
	kindUpstream
)

// kinds says of each kind its anchor in docs/problems.md, its title, its status, and how loud its log line is.
var kinds = [...]struct {
	slug, title string
	status      int
	level       slog.Level
}{
	kindInternal:           {"internal", "Internal error", http.StatusInternalServerError, slog.LevelError},
	kindUnavailable:        {"unavailable", "Not available", http.StatusServiceUnavailable, slog.LevelError},
	kindBusy:               {"busy", "Too busy", http.StatusServiceUnavailable, slog.LevelWarn},
	kindNotFound:           {"not-found", "Not found", http.StatusNotFound, slog.LevelDebug},
	kindBadParameter:       {"bad-parameter", "Bad query parameter", http.StatusBadRequest, slog.LevelDebug},
	kindBadBody:            {"bad-body", "Bad request body", http.StatusBadRequest, slog.LevelDebug},
	kindMethod:             {"method-not-allowed", "Method not allowed", http.StatusMethodNotAllowed, slog.LevelDebug},
	kindUnauthorized:       {"unauthorized", "Credentials are missing or wrong", http.StatusUnauthorized, slog.LevelWarn},
	kindForbidden:          {"forbidden", "Refused", http.StatusForbidden, slog.LevelWarn},
	kindCredentials:        {"credentials", "Credentials do not verify", http.StatusServiceUnavailable, slog.LevelWarn},
	kindUnknownWebhook:     {"unknown-webhook", "No such webhook", http.StatusServiceUnavailable, slog.LevelWarn},
	kindTooLarge:           {"too-large", "Body too large", http.StatusRequestEntityTooLarge, slog.LevelError},
	kindTooLargeUnverified: {"too-large-unverified", "Body too large", http.StatusRequestEntityTooLarge, slog.LevelWarn},
	kindIncomplete:         {"incomplete", "The body did not arrive", http.StatusServiceUnavailable, slog.LevelWarn},
	kindShed:               {"shed", "Too many bodies at once", http.StatusServiceUnavailable, slog.LevelWarn},
	kindShedUnverified:     {"shed-unverified", "Too many unverified bodies at once", http.StatusServiceUnavailable, slog.LevelWarn},
	kindUpstream:           {"upstream", "No answer from Sinch", http.StatusBadGateway, slog.LevelWarn},
}

// problem is an error that knows its answer. Whatever else a handler returns becomes one in problemOf.
type problem struct {
	kind      kind
	status    int    // instead of the kind's own, where it is not 0
	parameter string // the query parameter at fault
	detail    string // for the caller: what happened and what to do; no secret in it
	cause     error  // for the log alone
}

func (p *problem) Error() string {
	switch {
	case p.cause == nil:
		return p.detail
	case p.detail == "":
		return p.cause.Error()
	}
	return p.detail + ": " + p.cause.Error()
}

func (p *problem) Unwrap() error { return p.cause }

func (p *problem) statusCode() int {
	if p.status != 0 {
		return p.status
	}
	return kinds[p.kind].status
}

// notFound says what is not there: "batch X of plan Y".
func notFound(what string) error {
	return &problem{kind: kindNotFound, detail: what + " is not kept here"}
}

// badParameter names a query parameter, what is wrong with it and what it may be.
func badParameter(name, wrong, allowed string) error {
	return &problem{kind: kindBadParameter, parameter: name, detail: fmt.Sprintf("%s: %s; allowed: %s", name, wrong, allowed)}
}

// badBody says what is wrong with a request's body and what it should be.
func badBody(wrong string) error { return &problem{kind: kindBadBody, detail: wrong} }

// unauthorized asks for credentials. The caller has set WWW-Authenticate.
func unauthorized(detail string) error { return &problem{kind: kindUnauthorized, detail: detail} }

// problemOf turns what a handler returned into its answer. An error that it does not know is ours.
func problemOf(err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &problem{kind: kindTooLarge, detail: fmt.Sprintf("the limit is %d bytes", tooLarge.Limit)}
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		return &problem{kind: kindNotFound, detail: err.Error()}
	case errors.Is(err, store.ErrCursor):
		return &problem{kind: kindBadParameter, parameter: "cursor", detail: "cursor: " + err.Error() + "; allowed: the next of the page before"}
	case errors.Is(err, store.ErrBusy), errors.Is(err, store.ErrClosed),
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return &problem{kind: kindBusy, detail: "the same call will do later", cause: err}
	}
	return &problem{kind: kindInternal, detail: "the log says more under this request id", cause: err}
}

// retryAfter is what a caller who was refused is asked to wait. Sinch keeps its own times.
const retryAfter = 5 * time.Second

// failures answers errors and logs them.
type failures struct{ log *slog.Logger }

// fail ends the request with the answer to err, and logs it.
func (f failures) fail(c *gin.Context, err error) {
	p := problemOf(err)
	f.report(c, p, p.answer(c), 0)
}

// answer ends the request with p, and returns the id under which the caller may ask about it.
func (p *problem) answer(c *gin.Context) (id string) {
	c.Abort()
	return p.write(c.Writer, c.Request)
}

// write writes p as the answer to r, and returns the id under which the caller may ask about it. Every answer of ours that is
// no success comes from here.
func (p *problem) write(w http.ResponseWriter, r *http.Request) (id string) {
	if id = requestIDOf(r); id == "" {
		id = rand.Text()
	}
	k, status := kinds[p.kind], p.statusCode()
	// No member can fail to encode.
	body, _ := json.Marshal(struct {
		Type      string `json:"type"`
		Title     string `json:"title"`
		Status    int    `json:"status"`
		Detail    string `json:"detail,omitempty"`
		Parameter string `json:"parameter,omitempty"`
		RequestID string `json:"request_id"`
	}{"https://github.com/dlrloop/dlrloop/blob/main/docs/problems.md#" + k.slug, k.title, status, p.detail, p.parameter, id})
	h := w.Header()
	h.Set("X-Request-Id", id)
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests {
		h.Set("Retry-After", strconv.Itoa(int(retryAfter.Seconds())))
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // the caller may have left
	return id
}

// report logs that a request was answered with p, and how many of the like were not logged since the last.
func (f failures) report(c *gin.Context, p *problem, id string, unlogged int64) {
	ctx, level := c.Request.Context(), kinds[p.kind].level
	if !f.log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("problem", kinds[p.kind].slug), slog.Int("status", p.statusCode()),
		slog.String("method", c.Request.Method), slog.String("route", c.FullPath()),
		slog.String("client", c.ClientIP()), slog.String("request_id", id), slog.Any("error", p),
	}
	if unlogged > 0 {
		attrs = append(attrs, slog.Int64("unlogged", unlogged))
	}
	f.log.LogAttrs(ctx, level, "request refused", attrs...)
}

// requestID is the caller's X-Request-Id, if it is fit to be logged and sent back.
func requestID(c *gin.Context) string { return requestIDOf(c.Request) }

func requestIDOf(r *http.Request) string {
	id := r.Header.Get("X-Request-Id")
	if len(id) > 128 {
		return ""
	}
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return ""
		}
	}
	return id
}
