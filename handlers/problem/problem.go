package problem

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

// Kind is a kind of error answer, such as "not found" or "too busy". Each has a section in docs/problems.md, whose URL
// is the member "type" of the answer.
type Kind uint8

// The kinds of problems in dlrloop's error answers. The array kinds holds the title, the HTTP status and the log level
// of each.
const (
	KindInternal Kind = iota
	KindUnavailable
	KindBusy
	KindNotFound
	KindBadParameter
	KindBadBody
	KindMethod
	KindUnauthorized
	KindForbidden
	KindCredentials
	KindUnknownWebhook
	KindTooLarge
	KindTooLargeUnverified
	KindIncomplete
	KindShed
	KindShedUnverified
	KindUpstream
	KindCursorGone
	KindConflict
)

// Slug returns the name of the kind's section in docs/problems.md, such as "bad-parameter". Log lines contain it, too.
func (k Kind) Slug() string { return kinds[k].slug }

// Level returns the level at which a problem of this kind is logged, such as Debug for a bad parameter and Error for an
// internal error.
func (k Kind) Level() slog.Level { return kinds[k].level }

// typePrefix begins the URL that is the member "type" of an error answer. The kind's slug, such as "busy", follows.
const typePrefix = "https://github.com/dlrloop/dlrloop/blob/main/docs/problems.md#"

// kinds holds, with the Kind as index, the name of its section in docs/problems.md, the title in the answer, the HTTP
// status and the log level.
var kinds = [...]struct {
	slug, title string
	status      int
	level       slog.Level
}{
	KindInternal:       {"internal", "Internal error", http.StatusInternalServerError, slog.LevelError},
	KindUnavailable:    {"unavailable", "Temporarily unavailable", http.StatusServiceUnavailable, slog.LevelError},
	KindBusy:           {"busy", "Too busy", http.StatusServiceUnavailable, slog.LevelWarn},
	KindNotFound:       {"not-found", "Not found", http.StatusNotFound, slog.LevelDebug},
	KindBadParameter:   {"bad-parameter", "Bad parameter", http.StatusBadRequest, slog.LevelDebug},
	KindBadBody:        {"bad-body", "Bad request body", http.StatusBadRequest, slog.LevelDebug},
	KindMethod:         {"method-not-allowed", "Method not allowed", http.StatusMethodNotAllowed, slog.LevelDebug},
	KindUnauthorized:   {"unauthorized", "Missing or wrong credentials", http.StatusUnauthorized, slog.LevelWarn},
	KindForbidden:      {"forbidden", "Refused", http.StatusForbidden, slog.LevelWarn},
	KindCredentials:    {"credentials", "Authentication failed", http.StatusServiceUnavailable, slog.LevelWarn},
	KindUnknownWebhook: {"unknown-webhook", "Unknown webhook", http.StatusServiceUnavailable, slog.LevelWarn},
	KindTooLarge:       {"too-large", "Body too large", http.StatusRequestEntityTooLarge, slog.LevelError},
	KindTooLargeUnverified: {
		"too-large-unverified", "Body too large", http.StatusRequestEntityTooLarge, slog.LevelWarn,
	},
	KindIncomplete: {"incomplete", "Incomplete request body", http.StatusServiceUnavailable, slog.LevelWarn},
	KindShed:       {"shed", "Too many bodies at once", http.StatusServiceUnavailable, slog.LevelWarn},
	KindShedUnverified: {
		"shed-unverified", "Too many unverified bodies", http.StatusServiceUnavailable, slog.LevelWarn,
	},
	KindUpstream:   {"upstream", "No answer from Sinch", http.StatusBadGateway, slog.LevelWarn},
	KindCursorGone: {"cursor-gone", "Events are no longer kept", http.StatusGone, slog.LevelWarn},
	KindConflict:   {"conflict", "Not in the present state", http.StatusConflict, slog.LevelDebug},
}

// Problem is an error that says how to answer a request, in the format of RFC 9457 (problem+json). Handlers may also
// return other errors; function Of converts these.
type Problem struct {
	Kind      Kind
	Status    int    // overrides the status of the kind; 0 keeps it
	Parameter string // the faulty parameter of the query or of the path
	Detail    string // for the caller: what happened and what to do; contains no secret
	Cause     error  // for the log only
	// OldestCursor is the cursor before the oldest event that is kept, for KindCursorGone. It may be empty.
	OldestCursor string
}

// Error returns the Detail and the Cause, for the log. Do not send the text to the client, who must not see the Cause.
func (p *Problem) Error() string {
	switch {
	case p.Cause == nil:
		return p.Detail
	case p.Detail == "":
		return p.Cause.Error()
	}
	return p.Detail + ": " + p.Cause.Error()
}

// Unwrap returns the Cause, for errors.Is and errors.As. It is nil if no error caused the problem.
func (p *Problem) Unwrap() error { return p.Cause }

// StatusCode returns the HTTP status of the answer: the field Status or, if that is 0, the status of the Kind.
func (p *Problem) StatusCode() int {
	if p.Status != 0 {
		return p.Status
	}
	return kinds[p.Kind].status
}

// NotFound returns a *Problem with status 404. The client gets the text of thing, such as "batch X of plan Y", followed
// by "was not found".
func NotFound(thing string) error {
	return &Problem{Kind: KindNotFound, Detail: thing + " was not found"}
}

// BadParameter returns a *Problem with status 400 about the parameter with this name in the query or the path. The text
// of fault says what is wrong with the value. The text of allowed says which values are valid. Neither text may quote
// the value that the client sent, which may be a phone number.
func BadParameter(name, fault, allowed string) error {
	detail := fmt.Sprintf("%s: %s; allowed: %s", name, fault, allowed)
	return &Problem{Kind: KindBadParameter, Parameter: name, Detail: detail}
}

// BadBody returns a *Problem with status 400 about a request body. The detail says what is wrong and what is expected.
func BadBody(detail string) error { return &Problem{Kind: KindBadBody, Detail: detail} }

// Unauthorized returns a *Problem with status 401 about a missing or wrong credential. The client gets the detail. The
// handler must also set the header WWW-Authenticate.
func Unauthorized(detail string) error { return &Problem{Kind: KindUnauthorized, Detail: detail} }

// Forbidden returns a *Problem about a request that is refused even with valid credentials. The status must be 403 or,
// if the Host header is wrong, 421. The client gets the detail.
func Forbidden(status int, detail string) error {
	return &Problem{Kind: KindForbidden, Status: status, Detail: detail}
}

// Of returns the problem with which to answer a request that failed with err, which must not be nil. If err is or wraps
// a *Problem, Of returns this *Problem. Otherwise the status is 413 if the body exceeds its limit, 404 for
// store.ErrNotFound, 400 for store.ErrCursor, 503 if the store is busy, closed or too slow, and 500 for any other
// error.
func Of(err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return &Problem{Kind: KindTooLarge, Detail: fmt.Sprintf("the limit is %d bytes", tooLarge.Limit)}
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		return &Problem{Kind: KindNotFound, Detail: err.Error()}
	case errors.Is(err, store.ErrCursor):
		return &Problem{
			Kind: KindBadParameter, Parameter: "cursor",
			Detail: "cursor: " + err.Error() + "; allowed: the next_cursor of the previous page",
		}
	case errors.Is(err, store.ErrBusy), errors.Is(err, store.ErrClosed),
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return &Problem{Kind: KindBusy, Detail: "retry later", Cause: err}
	}
	return &Problem{Kind: KindInternal, Detail: "see the log for this request id", Cause: err}
}

// OfStore returns a new problem with status 503 for a store call that failed with err. The kind is KindBusy if the
// store was busy, closed or too slow, otherwise KindUnavailable. The client gets the Detail, which the caller may
// change. The text of err is only logged. It must name the store call, because the log line does not.
func OfStore(err error) *Problem {
	if Of(err).Kind == KindBusy {
		return &Problem{Kind: KindBusy, Detail: "retry later", Cause: err}
	}
	return &Problem{Kind: KindUnavailable, Detail: "the store failed, see the log; retry later", Cause: err}
}

// Unread converts an error from reading a request body to the error that a handler should return. An
// *http.MaxBytesError is returned unchanged, because Of turns it into a 413. Any other error becomes a problem with
// status 503.
func Unread(err error) error {
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return err
	}
	return &Problem{Kind: KindIncomplete, Detail: "the body did not arrive completely; retry later", Cause: err}
}

// retryAfter is the time in the header Retry-After of 429 and 503 answers, which tells clients when to try again. Sinch
// ignores this header.
const retryAfter = 5 * time.Second

// Failures holds the logger for failed requests. Its methods answer failed requests and log the failures. They are safe
// for concurrent use. Log must not be nil.
type Failures struct{ Log *slog.Logger }

// Fail answers a request that failed with err, using the problem that Of returns, and logs the failure. No further gin
// handlers run. Nothing of an answer may have been written before.
func (f Failures) Fail(c *gin.Context, err error) {
	p := Of(err)
	f.Report(c, p, p.Answer(c), 0)
}

// Answer writes the problem as the answer to a request and returns the request id. No further gin handlers run. It logs
// nothing: pass the id to Failures.Report for that.
func (p *Problem) Answer(c *gin.Context) (id string) {
	c.Abort()
	return p.Write(c.Writer, c.Request)
}

// Write writes the problem as the answer to r and returns the request id that the answer contains. This is the id that
// the client sent, or a random one if RequestID returns "". Nothing of an answer may have been written before.
func (p *Problem) Write(w http.ResponseWriter, r *http.Request) (id string) {
	if id = RequestID(r); id == "" {
		id = rand.Text()
	}
	k, status := kinds[p.Kind], p.StatusCode()
	// No member can fail to encode.
	body, _ := json.Marshal(struct {
		Type      string `json:"type"`
		Title     string `json:"title"`
		Status    int    `json:"status"`
		Detail    string `json:"detail,omitempty"`
		Parameter string `json:"parameter,omitempty"`
		Oldest    string `json:"oldest_cursor,omitempty"`
		RequestID string `json:"request_id"`
	}{typePrefix + k.slug, k.title, status, p.Detail, p.Parameter, p.OldestCursor, id})
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

// Report logs that a request was answered with problem p. id is the request id that Answer returned. unlogged is the
// number of earlier problems of this kind that were not logged, as LogSampler.Allow returns it. It may be 0.
func (f Failures) Report(c *gin.Context, p *Problem, id string, unlogged int64) {
	ctx, level := c.Request.Context(), kinds[p.Kind].level
	if !f.Log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("problem", p.Kind.Slug()), slog.Int("status", p.StatusCode()),
		slog.String("method", c.Request.Method), slog.String("route", c.FullPath()),
		slog.String("client", c.ClientIP()), slog.String("request_id", id), slog.Any("error", p),
	}
	if unlogged > 0 {
		attrs = append(attrs, slog.Int64("unlogged", unlogged))
	}
	f.Log.LogAttrs(ctx, level, "request refused", attrs...)
}

// RequestID returns the request id that the client sent in X-Request-Id. It returns "" if there is none, or if the id
// is longer than 128 bytes or has other characters than visible ASCII.
func RequestID(r *http.Request) string {
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
