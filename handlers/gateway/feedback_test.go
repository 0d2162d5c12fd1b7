package gateway

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/handlers/handlerstest"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/storetest"
)

const (
	feedbackTail = "/batches/" + batchSent + "/delivery_feedback"
	oneRecipient = `{"recipients":["+12017777777"]}`
)

// recordBatch records the batch, as wanting feedback or not, with a modification time before that of batchJSON.
func (h *fixture) recordBatch(wanted bool, groups int) {
	h.t.Helper()
	long := time.Date(2025, 8, 1, 0, 0, 0, 0, time.UTC) // older than batchJSON's
	require.NoError(h.t, h.store.Record(h.t.Context(), store.Arrival{Plan: planA, At: time.Now(), Entry: store.BatchInfo{
		BatchID: batchSent, FeedbackEnabled: wanted, Recipients: 2 + groups, Groups: groups, CreatedAt: long,
		ModifiedAt: long,
	}}))
}

// serveBatch makes the upstream accept callerToken and return one batch; if batch is empty it knows none.
func (h *fixture) serveBatch(batch string) {
	h.upstream.does(func(w http.ResponseWriter, r *http.Request) {
		h.upstream.record(r)
		switch {
		case r.Header.Get("Authorization") != callerToken:
			w.Header().Set("WWW-Authenticate", "Bearer")
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == "/xms/v1/plan-a/batches":
			_, _ = io.WriteString(w, `{"count":0,"page":0,"page_size":0,"batches":[]}`)
		case r.URL.Path == "/xms/v1/plan-a/batches/"+batchSent && batch != "":
			_, _ = io.WriteString(w, batch)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	})
}

// feedbackOf returns the feedback state of a recipient.
func (h *fixture) feedbackOf(number string) store.FeedbackState {
	h.t.Helper()
	r, err := h.store.Store.Recipient(h.t.Context(), store.BatchKey{Plan: planA, BatchID: batchSent}, number)
	require.NoError(h.t, err)
	return r.Feedback
}

func (h *fixture) invalidBody(a handlerstest.Reply, code string) {
	h.t.Helper()
	require.Equal(h.t, http.StatusBadRequest, a.StatusCode, "%s", a.Content)
	require.Equal(h.t, "application/json", a.Header.Get("Content-Type"))
	require.Contains(h.t, string(a.Content), `{"code":"`+code+`","text":"`)
}

func TestAConfirmationIsRecorded(t *testing.T) {
	h := newFixture(t, nil)
	h.recordBatch(true, 0)
	h.serveBatch("")
	a := h.call(http.MethodPost, feedbackTail, oneRecipient)
	require.Equal(t, http.StatusAccepted, a.StatusCode)
	require.Empty(t, a.Content)
	require.EqualValues(t, 0, a.ContentLength)
	require.Equal(t, store.FeedbackOwed, h.feedbackOf("12017777777"))
	require.Equal(t, "/xms/v1/plan-a/batches?page_size=1", h.upstream.only(t).uri,
		"the token is verified, no feedback is sent")
	require.Equal(t, 1.0, h.requests("feedback", "2xx"))

	require.Equal(t, http.StatusAccepted, h.call(http.MethodPost, feedbackTail, `{"recipients":[]}`).StatusCode)
	require.Equal(t, store.FeedbackOwed, h.batch(batchSent).WholeBatch)
	require.Empty(t, h.upstream.newCalls(), "the token is remembered")

	r := h.request(http.MethodPost, feedbackTail, strings.NewReader(compressed(t, `{"recipients":["12018888888"]}`)))
	r.Header.Set("Content-Encoding", "gzip")
	require.Equal(t, http.StatusAccepted, h.do(r).StatusCode)
	require.Equal(t, store.FeedbackOwed, h.feedbackOf("12018888888"))
}

func TestConfirmationsPassWithoutTakesFeedback(t *testing.T) {
	h := newFixture(t, func(c *Config) { c.Plans[0].TakesFeedback = false })
	h.upstream.answers(http.StatusAccepted, "")
	require.Equal(t, http.StatusAccepted, h.call(http.MethodPost, feedbackTail, `{"recipients":[]}`).StatusCode)
	got := h.upstream.only(t)
	require.Equal(t, `{"recipients":[]}`, string(got.body))
	require.Equal(t, "/xms/v1/plan-a"+feedbackTail, got.uri)
	require.Nil(t, h.batch(batchSent))
}

func TestInvalidConfirmationsAreAnsweredAsBySinch(t *testing.T) {
	many := `{"recipients":["12017777777"` + strings.Repeat(`,"12017777777"`, 1000) + `]}`
	h := newFixture(t, nil)
	h.recordBatch(true, 0)
	h.serveBatch("")
	for body, code := range map[string]string{
		"":                                     "syntax_invalid_json",
		"{":                                    "syntax_invalid_json",
		"null":                                 "syntax_invalid_json",
		`["12017777777"]`:                      "syntax_invalid_json",
		`{"recipients":"12017777777"}`:         "syntax_invalid_json",
		`{"recipients":[12017777777]}`:         "syntax_invalid_json",
		`{"recipients":{}}`:                    "syntax_invalid_json",
		`{}`:                                   "syntax_constraint_violation",
		`{"recipients":null}`:                  "syntax_constraint_violation",
		`{"Recipients":[]}`:                    "syntax_constraint_violation",
		many:                                   "syntax_constraint_violation",
		`{"recipients":[""]}`:                  "syntax_invalid_parameter_format",
		`{"recipients":[null]}`:                "syntax_invalid_parameter_format",
		`{"recipients":["12017777777","foo"]}`: "syntax_invalid_parameter_format",
		`{"recipients":["dxCJTlfb1UsF"]}`:      "syntax_invalid_parameter_format",
		`{"recipients":["1.201.777.7777"]}`:    "syntax_invalid_parameter_format",
		`{"recipients":["12"]}`:                "syntax_invalid_parameter_format",
		`{"recipients":["1234567890123456"]}`:  "syntax_invalid_parameter_format",
		`{"recipients":["1201+7777777"]}`:      "syntax_invalid_parameter_format",
		`{"recipients":["` + strings.Repeat(" ", 60) + `12017777777"]}`: "syntax_invalid_parameter_format",
	} {
		h.invalidBody(h.call(http.MethodPost, feedbackTail, body), code)
	}
	require.Equal(t, 1, h.store.Calls(storetest.Record), "invalid confirmations must not be recorded")
	for _, number := range []string{"+1 (201) 777-7777", "0012017777777", "[1201] 777 7777", "123"} {
		require.Equal(t, http.StatusAccepted,
			h.call(http.MethodPost, feedbackTail, fmt.Sprintf(`{"recipients":[%q]}`, number)).StatusCode, number)
	}
	largest := `{"recipients":["12017777777"` + strings.Repeat(`,"12017777777"`, 999) + `]}`
	require.Equal(t, http.StatusAccepted, h.call(http.MethodPost, feedbackTail, largest).StatusCode)
}

func TestFeedbackForTheWholeBatchOfAGroupIsRefused(t *testing.T) {
	h := newFixture(t, nil)
	h.recordBatch(true, 1)
	h.serveBatch("")
	h.invalidBody(h.call(http.MethodPost, feedbackTail, `{"recipients":[]}`), "syntax_constraint_violation")
	require.Equal(t, store.FeedbackNone, h.batch(batchSent).WholeBatch)
	require.Equal(t, http.StatusAccepted, h.call(http.MethodPost, feedbackTail, oneRecipient).StatusCode)
}

// TestWhetherTheBatchWantsFeedback requires a lookup at Sinch unless the store has the batch as wanting feedback.
func TestWhetherTheBatchWantsFeedback(t *testing.T) {
	wants := batchJSON(batchSent, "")
	wantsNot := strings.Replace(wants, `"feedback_enabled":true`, `"feedback_enabled":false`, 1)
	for name, c := range map[string]struct {
		known  *bool
		sinch  string
		status int
		flag   store.Flag
	}{
		"unknown here, wanted":            {nil, wants, http.StatusAccepted, store.FlagWanted},
		"unknown here, not wanted":        {nil, wantsNot, http.StatusNotFound, store.FlagUnwanted},
		"unknown on both sides":           {nil, "", http.StatusNotFound, store.FlagUnknown},
		"unwanted here, wanted at Sinch":  {new(bool), wants, http.StatusAccepted, store.FlagWanted},
		"unwanted on both sides":          {new(bool), wantsNot, http.StatusNotFound, store.FlagUnwanted},
		"unwanted here, unknown at Sinch": {new(bool), "", http.StatusNotFound, store.FlagUnwanted},
		"wanted here, unknown at Sinch":   {new(true), "", http.StatusAccepted, store.FlagWanted},
	} {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t, nil)
			h.serveBatch(c.sinch)
			if c.known != nil {
				h.recordBatch(*c.known, 0)
			}
			a := h.call(http.MethodPost, feedbackTail, oneRecipient)
			require.Equal(t, c.status, a.StatusCode)
			require.Empty(t, a.Content)
			require.Len(t, h.upstream.newCalls(), 1, "one lookup")
			b := h.batch(batchSent)
			switch c.flag {
			case store.FlagUnknown:
				require.Nil(t, b)
			default:
				require.Equal(t, c.flag, b.Flag)
				owed := map[int]int{http.StatusAccepted: 1}
				require.Equal(t, owed[c.status], b.Feedback.Owed)
			}
		})
	}
}

func TestALookupThatReturnsNoSuchBatchIsAnError(t *testing.T) {
	for name, answer := range map[string]string{
		"another": batchJSON("B2", ""), "no batch": "<html>ok</html>",
		"no id": "{}",
	} {
		h := newFixture(t, nil)
		h.serveBatch(answer)
		h.problem(h.call(http.MethodPost, feedbackTail, oneRecipient), http.StatusBadGateway)
		require.Nil(t, h.batch(batchSent), name)
	}
}

// TestIDsThatLeadElsewhere uses ids that Sinch might resolve to another path. They cannot be batches of the plan.
func TestIDsThatLeadElsewhere(t *testing.T) {
	h := newFixture(t, nil)
	h.serveBatch("")
	for _, id := range []string{
		"..", ".", "%2e%2e", "a%2F..%2F..%2Fplan-b%2Fbatches", "a%5C..",
		strings.Repeat("x", 256),
	} {
		a := h.raw("POST /xms/v1/plan-a/batches/" + id +
			"/delivery_feedback HTTP/1.1\nHost: localhost\nAuthorization: " + callerToken +
			fmt.Sprintf("\nContent-Length: %d\n\n", len(oneRecipient)) + oneRecipient)
		require.Equal(t, http.StatusNotFound, a.StatusCode, id)
	}
	for _, call := range h.upstream.newCalls() {
		require.Equal(t, "/xms/v1/plan-a/batches?page_size=1", call.uri)
	}
}

func TestALookupFails(t *testing.T) {
	for name, known := range map[string]bool{"about the batch": false, "about the token": true} {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t, nil)
			if known {
				h.recordBatch(true, 0)
			}
			for _, status := range []int{429, 500, 503, 403} {
				h.upstream.answers(status, `{"code":"x","text":"y"}`, "Retry-After", "9", "X-Other", "z")
				a := h.call(http.MethodPost, feedbackTail, oneRecipient)
				require.Equal(t, status, a.StatusCode, "Sinch's refusal is forwarded")
				require.Equal(t, `{"code":"x","text":"y"}`, string(a.Content))
				require.Equal(t, "9", a.Header.Get("Retry-After"))
			}
			h.upstream.does(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
			detail := h.problem(h.call(http.MethodPost, feedbackTail, oneRecipient), http.StatusBadGateway)
			require.Contains(t, detail, "nothing was recorded")
			h.upstream.does(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", "100")
				_, _ = io.WriteString(w, "{")
			})
			detail = h.problem(h.call(http.MethodPost, feedbackTail, oneRecipient), http.StatusBadGateway)
			require.Contains(t, detail, "nothing was recorded")
			require.Equal(t, 2.0, h.requests("feedback", "unreachable"))
			if b := h.batch(batchSent); b != nil {
				require.Zero(t, b.Feedback.Owed)
			}
		})
	}
}

// TestTheStoreFailsUnderAConfirmation fails each operation of the store: the answer must not be 202, and a repeat must
// succeed.
func TestTheStoreFailsUnderAConfirmation(t *testing.T) {
	for name, c := range map[string]struct {
		op   storetest.Operation
		kind storetest.Kind
		err  error
	}{
		"the read fails":                {storetest.Read, storetest.NotApplied, nil},
		"the read finds it busy":        {storetest.Read, storetest.NotApplied, store.ErrBusy},
		"the record fails":              {storetest.Record, storetest.NotApplied, nil},
		"the record fails, but applied": {storetest.Record, storetest.Applied, nil},
		"the record finds it closed":    {storetest.Record, storetest.NotApplied, store.ErrClosed},
	} {
		for _, known := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, batch known %t", name, known), func(t *testing.T) {
				h := newFixture(t, nil)
				if known {
					h.recordBatch(true, 0)
				}
				h.serveBatch(batchJSON(batchSent, ""))
				h.store.Fail(c.op, c.kind, c.err, 1)
				a := h.call(http.MethodPost, feedbackTail, oneRecipient)
				require.Contains(t, h.problem(a, http.StatusServiceUnavailable), "retry later")
				require.NotEmpty(t, a.Header.Get("Retry-After"))
				require.Equal(t, http.StatusAccepted, h.call(http.MethodPost, feedbackTail, oneRecipient).StatusCode)
				require.Equal(t, 1, h.batch(batchSent).Feedback.Owed)
			})
		}
	}
}

func TestPatienceLimitsTheWaitForTheStore(t *testing.T) {
	h := newFixture(t, func(c *Config) { c.Patience = 10 * time.Millisecond })
	h.recordBatch(true, 0)
	h.serveBatch("")
	h.call(http.MethodGet, "/batches", "") // makes the gateway remember the token
	h.store.FailRecord(storetest.Stuck, nil, storetest.Always)
	require.Contains(t, h.problem(h.call(http.MethodPost, feedbackTail, oneRecipient), http.StatusServiceUnavailable),
		"later")
}

func TestAConfirmationsBodyIsLimited(t *testing.T) {
	h := newFixture(t, func(c *Config) { c.MaxBody = 200 })
	h.recordBatch(true, 0)
	h.serveBatch("")
	h.problem(h.call(http.MethodPost, feedbackTail, strings.Repeat(" ", 201)), http.StatusRequestEntityTooLarge)
	encoded := func(encoding, body string) handlerstest.Reply {
		r := h.request(http.MethodPost, feedbackTail, strings.NewReader(body))
		r.Header.Set("Content-Encoding", encoding)
		return h.do(r)
	}
	h.problem(encoded("gzip", compressed(t, strings.Repeat(" ", 201))), http.StatusRequestEntityTooLarge)
	h.problem(encoded("gzip", "no gzip"), http.StatusBadRequest)
	h.problem(encoded("br", "{}"), http.StatusUnsupportedMediaType)
	r := h.request(http.MethodPost, feedbackTail, io.MultiReader(strings.NewReader(strings.Repeat(" ", 201))))
	h.problem(h.do(r), http.StatusRequestEntityTooLarge)
	require.Empty(t, h.upstream.newCalls())
}

func TestHalfClosedConfirmationsAreRecorded(t *testing.T) {
	h := newFixture(t, nil)
	h.recordBatch(true, 0)
	h.serveBatch("")
	request := handlerstest.RawRequest("POST", "/xms/v1/"+planA+feedbackTail, "Authorization: "+callerToken+"\r\n",
		oneRecipient)
	for _, op := range []storetest.Operation{storetest.Read, storetest.Record} {
		status, body := handlerstest.HalfClose(t, h.gateway.Handler(), h.store, op, request)
		require.Equal(t, http.StatusAccepted, status, body)
	}
	require.Equal(t, store.FeedbackOwed, h.feedbackOf("12017777777"))
}
