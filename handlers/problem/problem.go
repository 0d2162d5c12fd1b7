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

// Kind identifies a type of problem. Each kind has a section in docs/problems.md, and the type of a problem is the URL
// of that section.
type Kind uint8

// The kinds of problems in dlrloop's answers. Of selects the kind for an error. The array kinds holds the title, the
// status and the log level of each.
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

// typePrefix is the beginning of a problem's type, which is a URL; the slug of the kind follows.
const typePrefix = "https://github.com/dlrloop/dlrloop/blob/main/docs/problems.md#"

// kinds holds the properties of each kind: its anchor in docs/problems.md, title, HTTP status and log level.
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

// Problem is an error with the properties of its HTTP answer (RFC 9457). Handlers may return any error: Of converts
// those that are not a *Problem.
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

// Unwrap returns the Cause, for errors.Is and errors.As.
func (p *Problem) Unwrap() error { return p.Cause }

// StatusCode returns the HTTP status of the answer: Status, or that of the kind if Status is 0.
func (p *Problem) StatusCode() int {
	if p.Status != 0 {
		return p.Status
	}
	return kinds[p.Kind].status
}

// NotFound returns a *Problem, answered 404. what names the thing that was not found, such as "batch X of plan Y".
func NotFound(what string) error {
	return &Problem{Kind: KindNotFound, Detail: what + " was not found"}
}

// BadParameter returns a *Problem, answered 400, about the query parameter called name. wrong says what is wrong with
// its value, allowed what is allowed. Neither may quote the value, which may be a phone number.
func BadParameter(name, wrong, allowed string) error {
	detail := fmt.Sprintf("%s: %s; allowed: %s", name, wrong, allowed)
	return &Problem{Kind: KindBadParameter, Parameter: name, Detail: detail}
}

// BadBody returns a *Problem, answered 400, about a request body. wrong says what is wrong and what is expected.
func BadBody(wrong string) error { return &Problem{Kind: KindBadBody, Detail: wrong} }

// Unauthorized returns a *Problem, answered 401, about a missing or wrong credential. detail is the text for the
// client. The handler must also set the header WWW-Authenticate.
func Unauthorized(detail string) error { return &Problem{Kind: KindUnauthorized, Detail: detail} }

// Forbidden returns a *Problem for a request that is refused whatever its credentials are. status is 403 or 421, detail
// the text for the client.
func Forbidden(status int, detail string) error {
	return &Problem{Kind: KindForbidden, Status: status, Detail: detail}
}

// Of converts an error of a handler into the problem to answer. err must not be nil. If err wraps a *Problem, Of
// returns that *Problem itself; an error that Of does not know becomes KindInternal.
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

// OfStore returns a new problem for a call of the store that failed with err, which must name the call. The kind is
// KindBusy if the store is busy or closed or did not answer in time, else KindUnavailable. Both are answered 503 with
// Retry-After. The caller may replace the Detail.
func OfStore(err error) *Problem {
	if Of(err).Kind == KindBusy {
		return &Problem{Kind: KindBusy, Detail: "retry later", Cause: err}
	}
	return &Problem{Kind: KindUnavailable, Detail: "the store failed, see the log; retry later", Cause: err}
}

// Unread converts the error of reading a request body into the error that a handler returns. An *http.MaxBytesError
// stays unchanged, and [Of] answers it 413. Any other error becomes the cause of a KindIncomplete problem.
func Unread(err error) error {
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return err
	}
	return &Problem{Kind: KindIncomplete, Detail: "the body did not arrive completely; retry later", Cause: err}
}

// retryAfter is the value of the header Retry-After in 429 and 503 answers. Sinch ignores it.
const retryAfter = 5 * time.Second

// Failures answers failed requests and logs each failure to Log, which must not be nil.
type Failures struct{ Log *slog.Logger }

// Fail answers the request of c with the problem that Of returns for err, and logs the problem. It aborts c, so no
// further handler runs. The answer must not have begun.
func (f Failures) Fail(c *gin.Context, err error) {
	p := Of(err)
	f.Report(c, p, p.Answer(c), 0)
}

// Answer writes p as the answer to the request of c, and logs nothing. It aborts c, so no further handler runs. It
// returns the request id of the answer, which the caller passes to Failures.Report.
func (p *Problem) Answer(c *gin.Context) (id string) {
	c.Abort()
	return p.Write(c.Writer, c.Request)
}

// Write writes p to w as the answer to r. It returns the request id of the answer: the one that the caller sent, or a
// random one. All errors that dlrloop itself answers are written here. The answer must not have begun.
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

// Report logs that the request of c was answered with p. id is the request id that Answer returned. unlogged is the
// result of LogSampler.Allow: how many earlier problems of the same kind were not logged.
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

// RequestID returns the request id that the caller sent in X-Request-Id. It returns "" if the header is missing, is
// longer than 128 bytes, or contains a space or anything but printable ASCII.
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
