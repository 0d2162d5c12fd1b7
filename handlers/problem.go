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

// kind identifies a type of problem. Each has a section in docs/problems.md.
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

// typePrefix, followed by the slug of a kind, is the type of a problem.
const typePrefix = "https://github.com/dlrloop/dlrloop/blob/main/docs/problems.md#"

// kinds lists the properties of each kind: its anchor in docs/problems.md, its title, its status, and the level of its
// log line.
var kinds = [...]struct {
	slug, title string
	status      int
	level       slog.Level
}{
	kindInternal:       {"internal", "Internal error", http.StatusInternalServerError, slog.LevelError},
	kindUnavailable:    {"unavailable", "Temporarily unavailable", http.StatusServiceUnavailable, slog.LevelError},
	kindBusy:           {"busy", "Too busy", http.StatusServiceUnavailable, slog.LevelWarn},
	kindNotFound:       {"not-found", "Not found", http.StatusNotFound, slog.LevelDebug},
	kindBadParameter:   {"bad-parameter", "Bad query parameter", http.StatusBadRequest, slog.LevelDebug},
	kindBadBody:        {"bad-body", "Bad request body", http.StatusBadRequest, slog.LevelDebug},
	kindMethod:         {"method-not-allowed", "Method not allowed", http.StatusMethodNotAllowed, slog.LevelDebug},
	kindUnauthorized:   {"unauthorized", "Missing or wrong credentials", http.StatusUnauthorized, slog.LevelWarn},
	kindForbidden:      {"forbidden", "Refused", http.StatusForbidden, slog.LevelWarn},
	kindCredentials:    {"credentials", "Authentication failed", http.StatusServiceUnavailable, slog.LevelWarn},
	kindUnknownWebhook: {"unknown-webhook", "Unknown webhook", http.StatusServiceUnavailable, slog.LevelWarn},
	kindTooLarge:       {"too-large", "Body too large", http.StatusRequestEntityTooLarge, slog.LevelError},
	kindTooLargeUnverified: {
		"too-large-unverified", "Body too large", http.StatusRequestEntityTooLarge, slog.LevelWarn,
	},
	kindIncomplete: {"incomplete", "Incomplete request body", http.StatusServiceUnavailable, slog.LevelWarn},
	kindShed:       {"shed", "Too many bodies at once", http.StatusServiceUnavailable, slog.LevelWarn},
	kindShedUnverified: {
		"shed-unverified", "Too many unverified bodies", http.StatusServiceUnavailable, slog.LevelWarn,
	},
	kindUpstream: {"upstream", "No answer from Sinch", http.StatusBadGateway, slog.LevelWarn},
}

// problem is an error with the properties of its answer. Every other error that a handler returns is converted by
// problemOf.
type problem struct {
	kind      kind
	status    int    // overrides the status of the kind; 0 keeps it
	parameter string // the faulty query parameter
	detail    string // for the caller: what happened and what to do; contains no secret
	cause     error  // for the log only
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

// notFound returns the problem that the named thing does not exist, such as "batch X of plan Y".
func notFound(what string) error {
	return &problem{kind: kindNotFound, detail: what + " was not found"}
}

// badParameter returns the problem of a query parameter: its name, what is wrong, and what is allowed.
func badParameter(name, wrong, allowed string) error {
	detail := fmt.Sprintf("%s: %s; allowed: %s", name, wrong, allowed)
	return &problem{kind: kindBadParameter, parameter: name, detail: detail}
}

// badBody returns the problem of a request body. wrong says what is wrong and what is expected.
func badBody(wrong string) error { return &problem{kind: kindBadBody, detail: wrong} }

// unauthorized returns the problem of a missing or wrong credential. The caller must set WWW-Authenticate.
func unauthorized(detail string) error { return &problem{kind: kindUnauthorized, detail: detail} }

// problemOf converts the error of a handler. An error of unknown kind becomes kindInternal.
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
		return &problem{
			kind: kindBadParameter, parameter: "cursor",
			detail: "cursor: " + err.Error() + "; allowed: the next_cursor of the previous page",
		}
	case errors.Is(err, store.ErrBusy), errors.Is(err, store.ErrClosed),
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return &problem{kind: kindBusy, detail: "retry later", cause: err}
	}
	return &problem{kind: kindInternal, detail: "see the log for this request id", cause: err}
}

// retryAfter is the value of Retry-After. Sinch ignores it.
const retryAfter = 5 * time.Second

// failures writes the answers to errors and logs them.
type failures struct{ log *slog.Logger }

// fail ends the request with the problem for err and logs it.
func (f failures) fail(c *gin.Context, err error) {
	p := problemOf(err)
	f.report(c, p, p.answer(c), 0)
}

// answer ends the request with p. It returns the request id, by which the log line can be found.
func (p *problem) answer(c *gin.Context) (id string) {
	c.Abort()
	return p.write(c.Writer, c.Request)
}

// write writes p as the answer to r. It returns the request id, by which the log line can be found. Every error that
// dlrloop itself answers is written here.
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
	}{typePrefix + k.slug, k.title, status, p.detail, p.parameter, id})
	h := w.Header()
	h.Set("X-Request-Id", id)
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests {
		h.Set("Retry-After", strconv.Itoa(int(retryAfter.Seconds())))
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // the caller may have closed the connection
	return id
}

// report logs that a request was answered with p. unlogged is the number of problems of this kind that were not logged
// before it.
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

// requestID returns the caller's X-Request-Id, or "" if it is missing, too long, or not printable ASCII.
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
