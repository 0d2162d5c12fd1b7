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

// reasonOf says how a call ended, by the error it returned.
func reasonOf(err error) store.Reason {
	if err == nil {
		return store.ReasonAccepted
	}
	if answer, ok := errors.AsType[*sinch.Error](err); ok {
		return reasonOfAnswer(answer)
	}
	switch timeout, ok := errors.AsType[net.Error](err); {
	case errors.Is(err, context.Canceled), refused(err):
		return store.ReasonCanceled
	case unproven(err):
		return store.ReasonUnknownPlan
	case errors.Is(err, sinch.ErrID), errors.Is(err, sinch.ErrRecipients):
		return store.ReasonRejected // no call was made, and none ever can be
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
	return store.ReasonServer // a success that cannot be read
}

// blockedAccount is Sinch's code for a plan that may do nothing any more.
const blockedAccount = "blocked_account"

// notSinch reports whether something between dlrloop and Sinch gave the answer: a captive portal, a proxy, a web server.
func notSinch(e *sinch.Error) bool {
	switch status := e.HTTPStatus; {
	case e.Page, status >= 300 && status < 400:
		return true
	default:
		return status == http.StatusProxyAuthRequired || status == http.StatusMisdirectedRequest
	}
}

// ofThePlan reports whether a reason is about the whole plan. It pauses the plan, and no task dies of it.
func ofThePlan(r store.Reason) bool { return r == store.ReasonAuth || r == store.ReasonUnknownPlan }

// divisible reports whether Sinch refused a call for what it names, so that a call that names less may succeed.
func divisible(err error) bool {
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

// refused reports whether the circuit let no call be made.
func refused(err error) bool {
	return errors.Is(err, gobreaker.ErrOpenState) || errors.Is(err, gobreaker.ErrTooManyRequests)
}

// outage reports whether a reason means that Sinch could not be reached or did not work. An answer that says no shows
// that it does.
func outage(r store.Reason) bool {
	return r == store.ReasonServer || r == store.ReasonTimeout || r == store.ReasonNetwork
}

// missing reports whether Sinch does not know what was asked for.
func missing(err error) bool { return err != nil && reasonOf(err) == store.ReasonNotEnabledOrUnknown }

// retryAfter is how long the answer asks to wait; 0 if it does not.
func retryAfter(err error) time.Duration {
	if answer, ok := errors.AsType[*sinch.Error](err); ok {
		return answer.RetryAfter
	}
	return 0
}
