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

// ReasonOf classifies the error of a call. A nil error means accepted.
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

// blockedAccount is Sinch's error code for a blocked account or plan.
const blockedAccount = "blocked_account"

// notSinch reports whether the answer came from something between dlrloop and Sinch: a captive portal, a proxy or a web
// server.
func notSinch(e *sinch.Error) bool {
	switch status := e.HTTPStatus; {
	case e.Page, status >= 300 && status < 400:
		return true
	default:
		return status == http.StatusProxyAuthRequired || status == http.StatusMisdirectedRequest
	}
}

// PausesPlan reports whether a reason concerns the whole plan. Such a failure pauses the plan and never makes a task
// dead.
func PausesPlan(r store.Reason) bool { return r == store.ReasonAuth || r == store.ReasonUnknownPlan }

// CircuitRefused reports whether the circuit breaker refused the call, so that no request was made.
func CircuitRefused(err error) bool {
	return errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests)
}

// IsNotFound reports whether Sinch answered 404.
func IsNotFound(err error) bool {
	return err != nil && ReasonOf(err) == store.ReasonNotEnabledOrUnknown
}

// RetryAfter returns the Retry-After of Sinch's answer, or 0 if there is none.
func RetryAfter(err error) time.Duration {
	if answer, ok := errors.AsType[*sinch.Error](err); ok {
		return answer.RetryAfter
	}
	return 0
}

// maxDetail is the maximum length of a detail, in characters.
const maxDetail = 400

// Detail returns the text of err for the log and the store, at most maxDetail characters. A sinch.Error is already free
// of secrets, masked and bounded.
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
