package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"testing"

	"github.com/sony/gobreaker/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/sinch"
	"github.com/dlrloop/dlrloop/store"
)

func TestReasonOfErrors(t *testing.T) {
	for _, test := range []struct {
		err  error
		want store.Reason
	}{
		{nil, store.ReasonAccepted},
		{context.DeadlineExceeded, store.ReasonTimeout},
		{&net.OpError{Op: "read", Err: timeoutError{}}, store.ReasonTimeout},
		{&net.DNSError{Err: "no such host", Name: "eu.sms.api.sinch.com", IsNotFound: true}, store.ReasonNetwork},
		{&net.DNSError{Err: "i/o timeout", IsTimeout: true}, store.ReasonTimeout},
		{errors.New("connection reset by peer"), store.ReasonNetwork},
		{context.Canceled, store.ReasonCanceled},
		{gobreaker.ErrOpenState, store.ReasonCanceled},
		{gobreaker.ErrTooManyRequests, store.ReasonCanceled},
		{sinch.ErrID, store.ReasonRejected},
		{sinch.ErrRecipients, store.ReasonRejected},
		{&sinch.Error{HTTPStatus: 200}, store.ReasonServer},
		{&sinch.Error{HTTPStatus: 307}, store.ReasonNetwork},
		{&sinch.Error{HTTPStatus: 200, Page: true}, store.ReasonNetwork},
		{&sinch.Error{HTTPStatus: 400, Page: true}, store.ReasonNetwork},
		{&sinch.Error{HTTPStatus: 401, Page: true}, store.ReasonNetwork},
		{&sinch.Error{HTTPStatus: 403, Page: true}, store.ReasonNetwork},
		{&sinch.Error{HTTPStatus: 404, Page: true}, store.ReasonNetwork},
		{&sinch.Error{HTTPStatus: 429, Page: true}, store.ReasonRateLimited},
		{&sinch.Error{HTTPStatus: 502, Page: true}, store.ReasonServer},
		{&sinch.Error{HTTPStatus: 407}, store.ReasonNetwork},
		{&sinch.Error{HTTPStatus: 421}, store.ReasonNetwork},
		{&sinch.Error{HTTPStatus: 401}, store.ReasonAuth},
		{&sinch.Error{HTTPStatus: 403, Code: "conflict"}, store.ReasonForbidden},
		{&sinch.Error{HTTPStatus: 403, Code: "blocked_account"}, store.ReasonAuth},
		{errUnknownPlan, store.ReasonUnknownPlan},
		{&sinch.Error{HTTPStatus: 200, Page: true, Operation: sinch.FetchToken}, store.ReasonNetwork},
		{&sinch.Error{HTTPStatus: 400, Operation: sinch.FetchToken}, store.ReasonAuth},
		{&sinch.Error{HTTPStatus: 200, Operation: sinch.FetchToken}, store.ReasonAuth},
		{&sinch.Error{HTTPStatus: 429, Operation: sinch.FetchToken}, store.ReasonRateLimited},
		{&sinch.Error{HTTPStatus: 502, Operation: sinch.FetchToken}, store.ReasonServer},
		// The wrapped cause of an answer does not change its reason.
		{&sinch.Error{HTTPStatus: 503, Err: context.Canceled}, store.ReasonServer},
	} {
		assert.Equal(t, test.want, ReasonOf(test.err), "%v", test.err)
		if test.err != nil {
			wrapped := fmt.Errorf("sinch: send delivery feedback: %w", test.err)
			assert.Equal(t, test.want, ReasonOf(wrapped), "%v, wrapped", test.err)
		}
	}
}

type timeoutError struct{}

func (timeoutError) Error() string   { return "i/o timeout" }
func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Temporary() bool { return true }

func TestDetailsAreBounded(t *testing.T) {
	long := errors.New(string(slices.Repeat([]byte("é"), 5000)))
	require.LessOrEqual(t, len([]rune(Detail(long))), maxDetail)
	require.Equal(t, "the circuit breaker is open", Detail(fmt.Errorf("x: %w", gobreaker.ErrOpenState)))
}
