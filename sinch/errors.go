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

// Operation is the name of an API call in an error: in Error.Operation and in the error's text.
type Operation string

// The values of Operation. FetchToken means the fetch of a project's OAuth2 token, which other calls do when necessary.
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
	FetchToken         Operation = "fetch token"
)

// Error is an answer of Sinch that is not a success, or a success that cannot be decoded. Decide by HTTPStatus. In the
// texts, phone numbers and secrets are masked. If no answer arrives, a call returns another error that wraps the cause:
// a timeout is context.DeadlineExceeded or a net.Error whose Timeout method returns true.
type Error struct {
	Operation  Operation
	HTTPStatus int
	Code       string        // Sinch's error code, such as syntax_constraint_violation; empty if the answer has none
	Text       string        // text of the answer, or what is wrong with it; empty if the body is not understood
	Excerpt    string        // beginning of the body
	Page       bool          // the body is a web page, so something between the client and Sinch answered
	RetryAfter time.Duration // from the Retry-After header; 0 if absent
	Err        error         // why a successful answer cannot be decoded; may be nil
}

func (e *Error) Error() string {
	s := fmt.Sprintf("sinch: %s: %d %s", e.Operation, e.HTTPStatus, http.StatusText(e.HTTPStatus))
	text := e.Text
	if text == "" {
		text = e.Excerpt
	}
	for _, part := range []string{e.Code, text} {
		if part != "" {
			s += ": " + part
		}
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// failed adds the operation's name to the error of a call, and removes the URL that net/http puts there.
func failed(op Operation, err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	return fmt.Errorf("sinch: %s: %w", op, err)
}

// The maximum lengths of Error.Code, Error.Text and Error.Excerpt, in characters.
const (
	maxCode    = 64
	maxText    = 256
	maxExcerpt = 256
)

// maxErrorBody is how many bytes are read, at most, of a body that is needed only for the text of an error.
const maxErrorBody = 64 << 10

func newError(op Operation, answer *http.Response, body []byte, secrets []string) *Error {
	e := &Error{
		Operation:  op,
		HTTPStatus: answer.StatusCode,
		Excerpt:    Clean(string(body[:min(len(body), maxErrorBody)]), maxExcerpt, secrets),
		Page:       isPage(answer, body),
		RetryAfter: RetryAfter(answer.Header, time.Now()),
	}
	code, text := "", ""
	if len(body) <= maxErrorBody {
		code, text = parseErrorBody(body)
	}
	e.Code, e.Text = Clean(code, maxCode, secrets), Clean(text, maxText, secrets)
	return e
}

// parseErrorBody returns the error code and the text in the JSON body of a failed call, or empty strings if the body
// has another form. It knows the forms of Sinch, Google, RFC 9457, Spring and OAuth2.
func parseErrorBody(body []byte) (code, text string) {
	var w struct {
		Code        stringOrEmpty   `json:"code"`
		Text        stringOrEmpty   `json:"text"`
		Message     stringOrEmpty   `json:"message"`
		Title       stringOrEmpty   `json:"title"`
		Detail      stringOrEmpty   `json:"detail"`
		Error       json.RawMessage `json:"error"`
		Description stringOrEmpty   `json:"error_description"`
	}
	if dlr.UnmarshalExact(body, &w) != nil {
		return "", ""
	}
	code = string(w.Code)
	text = string(cmp.Or(w.Text, w.Detail, w.Message, w.Description, w.Title))
	var nested struct {
		Status  stringOrEmpty `json:"status"`
		Message stringOrEmpty `json:"message"`
	}
	var plain stringOrEmpty
	switch {
	case dlr.UnmarshalExact(w.Error, &nested) == nil:
		code, text = cmp.Or(code, string(nested.Status)), cmp.Or(text, string(nested.Message))
	case json.Unmarshal(w.Error, &plain) == nil && text == "":
		text = string(plain)
	case json.Unmarshal(w.Error, &plain) == nil:
		code = cmp.Or(code, string(plain))
	}
	return code, text
}

// maxRetryAfter is the maximum of Error.RetryAfter. A longer time in an answer is shortened to it.
const maxRetryAfter = 24 * time.Hour

// RetryAfter returns how long the Retry-After header asks to wait, or 0 if the header is absent or invalid. If the
// header holds a date, the wait is counted from the Date header or, without one, from now. It is at most one day.
func RetryAfter(h http.Header, now time.Time) time.Duration {
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
