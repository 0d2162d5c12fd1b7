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

// Kind identifies a type of problem. Each has a section in docs/problems.md.
type Kind uint8

// The kinds of problems.
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
)

// Slug returns the kind's anchor in docs/problems.md.
func (k Kind) Slug() string { return kinds[k].slug }

// Level returns the level of the log line about a problem of this kind.
func (k Kind) Level() slog.Level { return kinds[k].level }

// typePrefix, followed by the slug of a kind, is the type of a problem.
const typePrefix = "https://github.com/dlrloop/dlrloop/blob/main/docs/problems.md#"

// kinds lists the properties of each kind: its anchor in docs/problems.md, its title, its status, and the level of its
// log line.
var kinds = [...]struct {
	slug, title string
	status      int
	level       slog.Level
}{
	KindInternal:       {"internal", "Internal error", http.StatusInternalServerError, slog.LevelError},
	KindUnavailable:    {"unavailable", "Temporarily unavailable", http.StatusServiceUnavailable, slog.LevelError},
	KindBusy:           {"busy", "Too busy", http.StatusServiceUnavailable, slog.LevelWarn},
	KindNotFound:       {"not-found", "Not found", http.StatusNotFound, slog.LevelDebug},
	KindBadParameter:   {"bad-parameter", "Bad query parameter", http.StatusBadRequest, slog.LevelDebug},
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
	KindUpstream: {"upstream", "No answer from Sinch", http.StatusBadGateway, slog.LevelWarn},
}

// Problem is an error with the properties of its answer. Every other error that a handler returns is converted by Of.
type Problem struct {
	Kind      Kind
	Status    int    // overrides the status of the kind; 0 keeps it
	Parameter string // the faulty query parameter
	Detail    string // for the caller: what happened and what to do; contains no secret
	Cause     error  // for the log only
}

// Error returns the detail and the cause, for the log.
func (p *Problem) Error() string {
	switch {
	case p.Cause == nil:
		return p.Detail
	case p.Detail == "":
		return p.Cause.Error()
	}
	return p.Detail + ": " + p.Cause.Error()
}

func (p *Problem) Unwrap() error { return p.Cause }

// StatusCode returns the HTTP status of the answer.
func (p *Problem) StatusCode() int {
	if p.Status != 0 {
		return p.Status
	}
	return kinds[p.Kind].status
}

// NotFound returns the problem that the named thing does not exist, such as "batch X of plan Y".
func NotFound(what string) error {
	return &Problem{Kind: KindNotFound, Detail: what + " was not found"}
}

// BadParameter returns the problem of a query parameter: its name, what is wrong, and what is allowed.
func BadParameter(name, wrong, allowed string) error {
	detail := fmt.Sprintf("%s: %s; allowed: %s", name, wrong, allowed)
	return &Problem{Kind: KindBadParameter, Parameter: name, Detail: detail}
}

// BadBody returns the problem of a request body. wrong says what is wrong and what is expected.
func BadBody(wrong string) error { return &Problem{Kind: KindBadBody, Detail: wrong} }

// Unauthorized returns the problem of a missing or wrong credential. The caller must set WWW-Authenticate.
func Unauthorized(detail string) error { return &Problem{Kind: KindUnauthorized, Detail: detail} }

// Forbidden returns the problem for a request that is refused whatever its credentials are.
func Forbidden(status int, detail string) error {
	return &Problem{Kind: KindForbidden, Status: status, Detail: detail}
}

// Of converts the error of a handler. An error of unknown kind becomes KindInternal.
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

// OfStore returns the problem for a call of the store that failed with err; err names the call. KindBusy stands for a
// store that is busy or closed, or did not answer in time, KindUnavailable for every other error. Both are answered 503
// with Retry-After. The caller may replace the Detail.
func OfStore(err error) *Problem {
	if Of(err).Kind == KindBusy {
		return &Problem{Kind: KindBusy, Detail: "retry later", Cause: err}
	}
	return &Problem{Kind: KindUnavailable, Detail: "the store failed, see the log; retry later", Cause: err}
}

// Unread returns the problem for a body whose reading ended with err: KindTooLarge for an *http.MaxBytesError, else
// KindIncomplete.
func Unread(err error) error {
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return err
	}
	return &Problem{Kind: KindIncomplete, Detail: "the body did not arrive completely; retry later", Cause: err}
}

// retryAfter is the value of Retry-After. Sinch ignores it.
const retryAfter = 5 * time.Second

// Failures writes the answers to errors and logs them.
type Failures struct{ Log *slog.Logger }

// Fail ends the request with the problem for err and logs it.
func (f Failures) Fail(c *gin.Context, err error) {
	p := Of(err)
	f.Report(c, p, p.Answer(c), 0)
}

// Answer ends the request with p. It returns the request id, by which the log line can be found.
func (p *Problem) Answer(c *gin.Context) (id string) {
	c.Abort()
	return p.Write(c.Writer, c.Request)
}

// Write writes p as the answer to r. It returns the request id, by which the log line can be found. Every error that
// dlrloop itself answers is written here.
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
		RequestID string `json:"request_id"`
	}{typePrefix + k.slug, k.title, status, p.Detail, p.Parameter, id})
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

// Report logs that a request was answered with p. unlogged is the number of problems of this kind that were not logged
// before it.
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

// RequestID returns the caller's X-Request-Id, or "" if it is missing, too long, or not printable ASCII.
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
