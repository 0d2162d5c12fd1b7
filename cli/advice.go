package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/dlrloop/dlrloop/sinch"
)

// advised is an error with what to do about it.
type advised struct {
	error
	advice string
}

func (a advised) Unwrap() error { return a.error }

// advise adds to an error of the client what to do about it.
func advise(err error) error {
	if err == nil || errors.As(err, new(advised)) {
		return err
	}
	if answer, ok := errors.AsType[*sinch.Error](err); ok {
		if advice := adviceOn(answer); advice != "" {
			return advised{err, advice}
		}
		return err
	}
	if errors.Is(err, sinch.ErrID) {
		return usageError{err}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return advised{err, "try again, or give it more time with --timeout"}
	}
	if o, ok := errors.AsType[*net.OpError](err); ok && o.Op == "dial" {
		return advised{err, "is the address right (--region, --base-url, the configuration), and can this machine reach it?"}
	}
	return err
}

func adviceOn(e *sinch.Error) string {
	if advice := codeAdvice(e.Code); advice != "" {
		return advice
	}
	switch {
	case e.HTTPStatus == http.StatusUnauthorized && e.Operation == sinch.FetchToken:
		return "the project's key id or secret is not right; the Sinch dashboard has the access keys"
	case e.HTTPStatus == http.StatusUnauthorized:
		return "the API token is not that of this service plan; compare both with the Sinch dashboard"
	case e.HTTPStatus == http.StatusForbidden:
		return "Sinch understood and will not do it; ask its support if the text does not say why"
	case e.HTTPStatus == http.StatusNotFound:
		return notFoundAdvice(e.Operation)
	case e.HTTPStatus == http.StatusTooManyRequests && e.RetryAfter > 0:
		return fmt.Sprintf("too many calls at once: wait %s and try again", e.RetryAfter)
	case e.HTTPStatus == http.StatusTooManyRequests:
		return "too many calls at once: wait some seconds and try again"
	case e.HTTPStatus >= http.StatusInternalServerError:
		return "the fault is on the other side; try again later"
	}
	return ""
}

// codeAdvice is about those of Sinch's codes that a person can do something about.
func codeAdvice(code string) string {
	switch code {
	case "missing_callback_url":
		return "give --callback-url, or have a default callback URL set for the plan in the Sinch dashboard"
	case "unknown_group":
		return "one of the entries of --to is neither a number nor a group of this plan"
	case "batch_already_dispatched":
		return "the batch has left and cannot be changed; dlrloop batch cancel stops what has not gone out"
	case "blocked_account":
		return "the account is blocked or out of credit; see the Sinch dashboard"
	case "illegal_number_type", "llegal_number_type":
		return "this region does not take a sender of this kind; try another --from"
	}
	return ""
}

func notFoundAdvice(op sinch.Operation) string {
	const place = "the id is not of this plan, or the batch is older than the 14 days that Sinch keeps one; a plan is known in its own region only"
	switch op {
	case sinch.SendFeedback:
		return "Sinch does not know the batch, or it was sent without feedback_enabled (dlrloop batch get tells which)"
	case sinch.GetRecipientReport:
		return "the number is no recipient of the batch, or " + place
	case sinch.SendBatch, sinch.DryRunBatch, sinch.ListBatches, sinch.ListReports:
		return "the service plan is not known there: compare its id, and its region or base URL"
	default:
		return place
	}
}

// mayBeSent adds to the failure of a send what follows from not knowing whether Sinch took the batch.
func mayBeSent(err error, reference string) error {
	if err == nil || !outcomeUnknown(err) {
		return advise(err)
	}
	find := "dlrloop batch list --since 1h"
	if reference != "" {
		find = "dlrloop batch list --client-reference " + shellQuoted(reference)
	}
	return advised{err, "the batch may have been sent all the same. Sending again could send it twice: look first, with\n  " + find}
}

// outcomeUnknown reports whether Sinch may have done what failed: nothing says that it was not reached, or that it refused.
func outcomeUnknown(err error) bool {
	if answer, ok := errors.AsType[*sinch.Error](err); ok {
		refused := answer.HTTPStatus >= 400 && answer.HTTPStatus < 500
		return !refused && answer.Operation != sinch.FetchToken
	}
	if o, ok := errors.AsType[*net.OpError](err); ok && o.Op == "dial" {
		return false
	}
	return !errors.As(err, new(*sinch.InvalidError)) && !errors.Is(err, sinch.ErrID)
}

// shellQuoted is a text as one word of a shell.
func shellQuoted(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:@+=,", r))
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(printable(s), "'", `'\''`) + "'"
}
