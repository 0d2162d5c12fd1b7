package relay

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/dlrloop/dlrloop/sinch"
	"github.com/dlrloop/dlrloop/store"
)

// reasonOf classifies the error of a call. A nil error means accepted.
func reasonOf(err error) store.Reason {
	if err == nil {
		return store.ReasonAccepted
	}
	if answer, ok := errors.AsType[*sinch.Error](err); ok {
		return reasonOfAnswer(answer)
	}
	switch timeout, ok := errors.AsType[net.Error](err); {
	case errors.Is(err, context.Canceled), circuitRefused(err):
		return store.ReasonCanceled
	case unknownPlan(err):
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

// pausesPlan reports whether a reason concerns the whole plan. Such a failure pauses the plan and never makes a task
// dead.
func pausesPlan(r store.Reason) bool { return r == store.ReasonAuth || r == store.ReasonUnknownPlan }

// splittable reports whether Sinch refused a call because of the recipients it names, so that a call with fewer may
// succeed.
func splittable(err error) bool {
	answer, ok := errors.AsType[*sinch.Error](err)
	if !ok || reasonOf(err) != store.ReasonRejected {
		return false
	}
	switch answer.HTTPStatus {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return true
	}
	return false
}

// circuitRefused reports whether the circuit breaker refused the call, so that no request was made.
func circuitRefused(err error) bool {
	return errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests)
}

// outage reports whether a reason means that Sinch was unreachable or failed. A refusal is not an outage.
func outage(r store.Reason) bool {
	return r == store.ReasonServer || r == store.ReasonTimeout || r == store.ReasonNetwork
}

// isNotFound reports whether Sinch answered 404.
func isNotFound(err error) bool {
	return err != nil && reasonOf(err) == store.ReasonNotEnabledOrUnknown
}

// retryAfter returns the Retry-After of Sinch's answer, or 0 if there is none.
func retryAfter(err error) time.Duration {
	if answer, ok := errors.AsType[*sinch.Error](err); ok {
		return answer.RetryAfter
	}
	return 0
}
