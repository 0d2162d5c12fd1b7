package sinch

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/dlrloop/dlrloop/dlr"
)

// Operation names what was tried.
type Operation string

// The operations.
const (
	SendBatch          Operation = "send batch"
	DryRunBatch        Operation = "dry run"
	ListBatches        Operation = "list batches"
	GetBatch           Operation = "get batch"
	UpdateBatch        Operation = "update batch"
	ReplaceBatch       Operation = "replace batch"
	CancelBatch        Operation = "cancel batch"
	GetReport          Operation = "get delivery report"
	GetRecipientReport Operation = "get recipient delivery report"
	ListReports        Operation = "list delivery reports"
	SendFeedback       Operation = "send delivery feedback"
	FetchToken         Operation = "fetch token" // of a project; part of every other operation
)

// Error is an answer of Sinch that is no success, or a success that could not be read. Decide by HTTPStatus: the rest is
// for people, bounded in length, with numbers masked and the client's secrets taken out.
//
// What goes wrong before there is an answer is not an Error but wraps its cause: a time-out is a context.DeadlineExceeded
// or a net.Error that says so.
type Error struct {
	Operation  Operation
	HTTPStatus int
	Code       string        // Sinch's, such as syntax_constraint_violation; empty where the answer has none
	Text       string        // what the answer says, or what is wrong with it; empty if it is not understood
	Excerpt    string        // the beginning of the answer's body
	Page       bool          // the body is a web page: something between the client and Sinch answered
	RetryAfter time.Duration // how long the answer asks to wait; 0 if it does not
	Err        error         // why a successful answer could not be read, where there is a cause
}

func (e *Error) Error() string {
	s := fmt.Sprintf("sinch: %s: %d %s", e.Operation, e.HTTPStatus, http.StatusText(e.HTTPStatus))
	said := e.Text
	if said == "" {
		said = e.Excerpt
	}
	for _, part := range []string{e.Code, said} {
		if part != "" {
			s += ": " + part
		}
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// failed wraps the cause of an operation that got no answer. The URL that net/http puts into its errors goes: the operation
// says enough.
func failed(op Operation, err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	return fmt.Errorf("sinch: %s: %w", op, err)
}

// How much of an answer is kept, in characters.
const (
	maxCode    = 64
	maxText    = 256
	maxExcerpt = 256
)

// maxUnderstood is how many bytes of an error's body are looked at.
const maxUnderstood = 64 << 10

func newError(op Operation, answer *http.Response, body []byte, secrets []string) *Error {
	e := &Error{
		Operation:  op,
		HTTPStatus: answer.StatusCode,
		Excerpt:    clean(string(body[:min(len(body), maxUnderstood)]), maxExcerpt, secrets),
		Page:       isPage(answer, body),
		RetryAfter: retryAfter(answer.Header, time.Now()),
	}
	code, said := "", ""
	if len(body) <= maxUnderstood {
		code, said = understand(body)
	}
	e.Code, e.Text = clean(code, maxCode, secrets), clean(said, maxText, secrets)
	return e
}

// understand finds the code and text in whichever shape an error's body has: Sinch's {code, text}; {error: {code, message,
// status}} as of Google; an RFC 9457 problem; Spring's and OAuth2's {error, …}. Both are empty for anything else.
func understand(body []byte) (code, said string) {
	var w struct {
		Code        onlyText        `json:"code"`
		Text        onlyText        `json:"text"`
		Message     onlyText        `json:"message"`
		Title       onlyText        `json:"title"`
		Detail      onlyText        `json:"detail"`
		Error       json.RawMessage `json:"error"`
		Description onlyText        `json:"error_description"`
	}
	if dlr.UnmarshalExact(body, &w) != nil {
		return "", ""
	}
	code = string(w.Code)
	said = string(cmp.Or(w.Text, w.Detail, w.Message, w.Description, w.Title))
	var nested struct {
		Status  onlyText `json:"status"`
		Message onlyText `json:"message"`
	}
	var plain onlyText
	switch {
	case dlr.UnmarshalExact(w.Error, &nested) == nil:
		code, said = cmp.Or(code, string(nested.Status)), cmp.Or(said, string(nested.Message))
	case json.Unmarshal(w.Error, &plain) == nil && said == "":
		said = string(plain)
	case json.Unmarshal(w.Error, &plain) == nil:
		code = cmp.Or(code, string(plain))
	}
	return code, said
}

// maxRetryAfter is where Retry-After is cut: no answer can ask for silence for good.
const maxRetryAfter = 24 * time.Hour

// retryAfter reads Retry-After in both of its forms (RFC 9110, 10.2.3). A date counts from the answer's own, so that a
// wrong clock on either side does not matter.
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseUint(value, 10, 64); err == nil {
		return time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
	}
	until, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	return min(max(until.Sub(now), 0), maxRetryAfter)
}
