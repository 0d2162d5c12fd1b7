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

// advised is an error with advice for the user. The program prints the advice after the error, as "What to do: …".
type advised struct {
	error
	advice string
}

func (a advised) Unwrap() error { return a.error }

// advise adds advice for the user to an error of the Sinch client, for example after a 401 answer or a timeout. It
// turns sinch.ErrID, the error for an invalid id, into a usageError. It returns nil and all other errors unchanged.
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
		return advised{err, "try again, or set a longer --timeout"}
	}
	if o, ok := errors.AsType[*net.OpError](err); ok && o.Op == "dial" {
		return advised{err, "check the address (--region, --base-url or the configuration), and that this machine " +
			"can reach it"}
	}
	return err
}

func adviceOn(e *sinch.Error) string {
	if advice := codeAdvice(e.Code); advice != "" {
		return advice
	}
	switch {
	case e.HTTPStatus == http.StatusUnauthorized && e.Operation == sinch.FetchToken:
		return "the project's key id or secret is wrong; compare them with the access keys in the Sinch dashboard"
	case e.HTTPStatus == http.StatusUnauthorized:
		return "the API token does not belong to this service plan; compare both with the Sinch dashboard"
	case e.HTTPStatus == http.StatusForbidden:
		return "Sinch does not allow this call; if the error does not explain why, ask Sinch's support"
	case e.HTTPStatus == http.StatusNotFound:
		return notFoundAdvice(e.Operation)
	case e.HTTPStatus == http.StatusTooManyRequests && e.RetryAfter > 0:
		return fmt.Sprintf("too many calls: wait %s and try again", e.RetryAfter)
	case e.HTTPStatus == http.StatusTooManyRequests:
		return "too many calls: wait some seconds and try again"
	case e.HTTPStatus >= http.StatusInternalServerError:
		return "Sinch failed; try again later"
	}
	return ""
}

// codeAdvice returns what the user can do about an error code in Sinch's answer, such as unknown_group. It returns ""
// for codes about which it has no advice.
func codeAdvice(code string) string {
	switch code {
	case "missing_callback_url":
		return "set --callback-url, or a default callback URL of the plan in the Sinch dashboard"
	case "unknown_group":
		return "an entry of --to is neither a number nor a group of this plan"
	case "batch_already_dispatched":
		return "Sinch is already sending the batch, so it cannot be changed; dlrloop batch cancel stops the " +
			"remaining messages"
	case "blocked_account":
		return "the account is blocked or out of credit; see the Sinch dashboard"
	case "illegal_number_type", "llegal_number_type":
		return "this region does not accept this kind of sender; try another --from"
	}
	return ""
}

func notFoundAdvice(op sinch.Operation) string {
	const place = "the batch belongs to another plan, or is older than 14 days, after which Sinch deletes it; " +
		"a plan exists only in its own region"
	switch op {
	case sinch.SendFeedback:
		return "the batch does not exist, or was sent without feedback_enabled; dlrloop batch get shows which"
	case sinch.GetRecipientReport:
		return "the number is not a recipient of the batch, or " + place
	case sinch.SendBatch, sinch.DryRunBatch, sinch.ListBatches, sinch.ListReports:
		return "the service plan does not exist there: check its id, and its region or base URL"
	default:
		return place
	}
}

// adviseSend adds advice for the user to an error of dlrloop batch send; reference is the client reference of the
// batch. If Sinch may have sent the batch despite the error, the advice is a command that finds the batch by its client
// reference, or lists the batches of the last hour if reference is empty. Otherwise adviseSend returns advise(err).
func adviseSend(err error, reference string) error {
	if err == nil || !outcomeUnknown(err) {
		return advise(err)
	}
	find := "dlrloop batch list --since 1h"
	if reference != "" {
		find = "dlrloop batch list --client-reference " + shellQuoted(reference)
	}
	return advised{err, "the batch may have been sent nevertheless, and sending it again could send it twice. " +
		"Look for it first:\n  " + find}
}

// outcomeUnknown reports whether Sinch may have executed the call that returned err, for example after a timeout or a
// 5xx answer. It returns false if the request was never sent, or if Sinch answered 4xx.
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

// shellQuoted returns s as one word of a shell command that the user can copy. If s is empty or has a character that a
// shell may interpret, it is put in single quotes.
func shellQuoted(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:@+=,", r))
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(printable(s), "'", `'\''`) + "'"
}
