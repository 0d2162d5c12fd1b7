package relay

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/sinch"
	"github.com/dlrloop/dlrloop/store"
)

// ReasonOf classifies the error of a call to Sinch, which may come from a sinch.Client, from a circuit breaker around
// it or from PlanCheck.Check404. It returns store.ReasonAccepted for nil, and store.ReasonNetwork for an unknown error.
func ReasonOf(err error) store.Reason {
	if err == nil {
		return store.ReasonAccepted
	}
	if answer, ok := errors.AsType[*sinch.Error](err); ok {
		return reasonOfAnswer(answer)
	}
	switch timeout, ok := errors.AsType[net.Error](err); {
	case errors.Is(err, context.Canceled), CircuitRefused(err):
		return store.ReasonCanceled
	case UnknownPlan(err):
		return store.ReasonUnknownPlan
	case errors.Is(err, sinch.ErrID), errors.Is(err, sinch.ErrRecipients):
		return store.ReasonRejected // the client refused the arguments, so no call was made
	case errors.Is(err, context.DeadlineExceeded), ok && timeout.Timeout():
		return store.ReasonTimeout
	}
	return store.ReasonNetwork
}

// reasonOfAnswer classifies an error answer of Sinch, or an answer that cannot be decoded, by its HTTP status. There
// are two exceptions for a status other than 408, 429 and 5xx. An answer that does not come from Sinch (see notSinch)
// counts as a network error. An answer about a blocked account, or to a request for a token, counts as wrong
// credentials (store.ReasonAuth).
func reasonOfAnswer(e *sinch.Error) store.Reason {
	switch status := e.HTTPStatus; {
	case status == http.StatusTooManyRequests:
		return store.ReasonRateLimited
	case status == http.StatusRequestTimeout:
		return store.ReasonTimeout
	case status >= 500:
		return store.ReasonServer
	case notSinch(e):
		return store.ReasonNetwork
	case e.Operation == sinch.FetchToken, status == http.StatusUnauthorized, e.Code == blockedAccount:
		return store.ReasonAuth
	case status == http.StatusForbidden:
		return store.ReasonForbidden
	case status == http.StatusNotFound:
		return store.ReasonNotEnabledOrUnknown
	case status >= 400:
		return store.ReasonRejected
	}
	return store.ReasonServer // a 2xx answer that cannot be decoded
}

// blockedAccount is the code in Sinch's error answer if the account or the service plan is blocked.
const blockedAccount = "blocked_account"

// notSinch reports whether an answer came not from Sinch but from something in between, such as a captive portal, a
// proxy or a web server. It returns true for a web page, a redirect, 407 and 421.
func notSinch(e *sinch.Error) bool {
	switch status := e.HTTPStatus; {
	case e.Page, status >= 300 && status < 400:
		return true
	default:
		return status == http.StatusProxyAuthRequired || status == http.StatusMisdirectedRequest
	}
}

// PausesPlan reports whether a failure with reason r concerns the whole service plan and not only one batch. After such
// a failure calls for the plan stop for Backoff.Cap, and the feedback of the batch is not given up.
func PausesPlan(r store.Reason) bool { return r == store.ReasonAuth || r == store.ReasonUnknownPlan }

// CircuitRefused reports whether err means that a circuit breaker refused a call, so that no request was made. It
// returns false for nil.
func CircuitRefused(err error) bool {
	return errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests)
}

// IsNotFound reports whether err is a 404 answer of Sinch. It returns false for nil and for each error of
// PlanCheck.Check404.
func IsNotFound(err error) bool {
	return err != nil && ReasonOf(err) == store.ReasonNotEnabledOrUnknown
}

// RetryAfter returns the Retry-After of Sinch's answer that err contains. It returns 0 if err contains no answer, or
// the answer has no such header.
func RetryAfter(err error) time.Duration {
	if answer, ok := errors.AsType[*sinch.Error](err); ok {
		return answer.RetryAfter
	}
	return 0
}

// maxDetail is the maximum length of a text that Detail returns, in characters. Only the text of a sinch.Error may be
// longer.
const maxDetail = 400

// Detail returns the text of err for the log and the store, cut to maxDetail characters. err must not be nil. The text
// of a sinch.Error is not cut, because it is already short and contains no secrets or whole phone numbers.
func Detail(err error) string {
	s := err.Error()
	if CircuitRefused(err) {
		s = "the circuit breaker is open"
	}
	if _, ok := errors.AsType[*sinch.Error](err); ok {
		return s
	}
	return dlr.Truncate(s, maxDetail)
}
