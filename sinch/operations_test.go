package sinch

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr/fixtures"
)

// operation is one operation of the API: the call of the client and the request that Sinch receives.
type operation struct {
	name    Operation
	make    func(context.Context, *Client) error
	method  string
	path    string // below the plan's or project's segment, with the query
	body    string
	success int
	answer  string
}

func operations(t *testing.T) []operation {
	t.Helper()
	hello := &TextMessage{Options: Options{To: []string{"12025550143"}}, Body: "Hello"}
	const (
		helloJSON = `{"type":"mt_text","to":["12025550143"],"body":"Hello"}`
		batch     = `{"id":"` + testBatch + `"}`
		batchPath = "/batches/" + testBatch
		of        = `"batch_id":"` + testBatch + `"`
	)
	discard := func(_ any, err error) error { return err }
	return []operation{
		{
			SendBatch, func(ctx context.Context, c *Client) error { return discard(c.Send(ctx, hello)) },
			http.MethodPost, "/batches", helloJSON, 201, fixtures.Text(t, "res-send-text-201.json"),
		},
		{
			DryRunBatch, func(ctx context.Context, c *Client) error {
				return discard(c.DryRun(ctx, hello, DryRunQuery{PerRecipient: true, Recipients: 7}))
			},
			http.MethodPost, "/batches/dry_run?number_of_recipients=7&per_recipient=true", helloJSON, 200, fixtures.Text(t,
				"res-dry-run-200.json"),
		},
		{
			ListBatches, func(ctx context.Context, c *Client) error {
				return drain(c.Batches(ctx, BatchesQuery{}))
			},
			http.MethodGet, "/batches?page=0&page_size=100", "", 200,
			`{"count":1,"page":0,"page_size":1,"batches":[` + batch + `]}`,
		},
		{
			GetBatch, func(ctx context.Context, c *Client) error { return discard(c.GetBatch(ctx, testBatch)) },
			http.MethodGet, batchPath, "", 200, batch,
		},
		{
			UpdateBatch, func(ctx context.Context, c *Client) error {
				return discard(c.Update(ctx, testBatch, Update{FeedbackEnabled: new(false)}))
			},
			http.MethodPost, batchPath, `{"feedback_enabled":false}`, 200, batch,
		},
		{
			ReplaceBatch, func(ctx context.Context, c *Client) error { return discard(c.Replace(ctx, testBatch, hello)) },
			http.MethodPut, batchPath, helloJSON, 200, batch,
		},
		{
			CancelBatch, func(ctx context.Context, c *Client) error { return discard(c.Cancel(ctx, testBatch)) },
			http.MethodDelete, batchPath, "", 200, batch,
		},
		{
			SendFeedback, func(ctx context.Context, c *Client) error {
				return c.Feedback(ctx, testBatch, []string{"12025550143"})
			},
			http.MethodPost, batchPath + "/delivery_feedback", `{"recipients":["12025550143"]}`, 202, "",
		},
		{
			SendFeedback, func(ctx context.Context, c *Client) error { return c.FeedbackWholeBatch(ctx, testBatch) },
			http.MethodPost, batchPath + "/delivery_feedback", `{"recipients":[]}`, 202, "",
		},
		{
			GetReport, func(ctx context.Context, c *Client) error { return discard(c.GetReport(ctx, testBatch, ReportQuery{})) },
			http.MethodGet, batchPath + "/delivery_report", "", 200, `{"type":"delivery_report_sms","statuses":[],` + of + `}`,
		},
		{
			GetRecipientReport, func(ctx context.Context, c *Client) error {
				return discard(c.GetRecipientReport(ctx, testBatch, "+12025550143"))
			},
			http.MethodGet, batchPath + "/delivery_report/12025550143", "", 200,
			`{"type":"recipient_delivery_report_sms","status":"Delivered","code":0,"recipient":"12025550143",` + of + `}`,
		},
		{
			ListReports, func(ctx context.Context, c *Client) error { return drain(c.Reports(ctx, ReportsQuery{})) },
			http.MethodGet, "/delivery_reports?page=0&page_size=100", "", 200,
			fixtures.Text(t, "res-delivery-report-list-200.json"),
		},
	}
}

func (o operation) require(t *testing.T, r request) {
	t.Helper()
	require.Equal(t, o.method, r.Method)
	if o.body == "" {
		require.Empty(t, r.Body)
		return
	}
	require.JSONEq(t, o.body, r.Body)
}

// forEachOperation runs a test for every operation.
func forEachOperation(t *testing.T, test func(t *testing.T, o operation)) {
	t.Helper()
	for i, o := range operations(t) {
		t.Run(strconv.Itoa(i)+" "+string(o.name), func(t *testing.T) { test(t, o) })
	}
}

func TestOperationsOnTheWire(t *testing.T) {
	forEachOperation(t, func(t *testing.T, o operation) {
		u := newUpstream(t, respond(o.success, o.answer))
		require.NoError(t, o.make(t.Context(), u.client(t)))
		require.Len(t, u.requests(), 1)
		r := u.requests()[0]
		require.Equal(t, "/xms/v1/"+testPlan+o.path, r.URI)
		require.Equal(t, "Bearer "+testToken, r.Header.Get("Authorization"))
		require.Equal(t, "application/json", r.Header.Get("Accept"))
		require.Equal(t, "application/json", r.Header.Get("Content-Type"))
		o.require(t, r)
	})
}

// An expired token is the only reason to repeat a call, even a send: the 401 means that Sinch did not accept it.
func TestOperationsWithAProject(t *testing.T) {
	forEachOperation(t, func(t *testing.T, o operation) {
		u := newUpstream(t, issueTokens(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") == "Bearer token-1" {
				w.Header().Set("WWW-Authenticate", `Bearer error_description="expired"`)
				respond(http.StatusUnauthorized, "")(w, r)
				return
			}
			respond(o.success, o.answer)(w, r)
		}))
		require.NoError(t, o.make(t.Context(), u.project(t)))
		const base = "/xms/v1/project-1"
		require.Equal(t, []string{
			tokenPath + " " + basicKey1, base + o.path + " Bearer token-1",
			tokenPath + " " + basicKey1, base + o.path + " Bearer token-2",
		}, u.paths())
		o.require(t, u.requests()[1])
		o.require(t, u.requests()[3])
	})
}

func TestNoOperationIsRepeated(t *testing.T) {
	forEachOperation(t, func(t *testing.T, o operation) {
		for _, status := range []int{302, 400, 401, 403, 404, 405, 408, 415, 429, 500, 503} {
			u := newUpstream(t, respond(status, `{"code":"c","text":"t"}`))
			e := requireError(t, o.make(t.Context(), u.client(t)))
			require.Equal(t, Error{Operation: o.name, HTTPStatus: status, Code: "c", Text: "t", Excerpt: e.Excerpt}, *e)
			require.Len(t, u.requests(), 1)
		}
	})
}

func requireError(t *testing.T, err error) *Error {
	t.Helper()
	e, ok := errors.AsType[*Error](err)
	require.True(t, ok, "%v", err)
	return e
}

func TestOperationsSurviveEveryErrorShape(t *testing.T) {
	forEachOperation(t, func(t *testing.T, o operation) {
		for body, want := range map[string][2]string{
			fixtures.Text(t, "err-400-constraint.json"): {
				"syntax_constraint_violation",
				"The body does not satisfy a constraint: to must have between 1 and 1000 elements",
			},
			fixtures.Text(t, "err-400-spring.json"):                                   {"", "Bad Request"},
			`{"error":{"code":404,"message":"No","status":"NOT_FOUND","details":[]}}`: {"NOT_FOUND", "No"},
			`{"type":"about:blank","title":"Bad","status":400,"detail":"worse"}`:      {"", "worse"},
			``:       {"", ""},
			`<html>`: {"", ""},
		} {
			u := newUpstream(t, respond(http.StatusBadRequest, body))
			e := requireError(t, o.make(t.Context(), u.client(t)))
			assert.Equal(t, want, [2]string{e.Code, e.Text})
			assert.Equal(t, o.name, e.Operation)
		}
	})
}

// Except for feedback, whose status is enough unless the body is a web page, a success with an unexpected body is an
// error.
func TestOperationsCheckTheBodyOfASuccess(t *testing.T) {
	forEachOperation(t, func(t *testing.T, o operation) {
		for _, body := range []string{``, `{}`, `null`, `[]`, `<html>`, `{"id":`, `{"id":null,"batches":null,` +
			`"delivery_reports":{}}`} {
			u := newUpstream(t, respond(o.success, body))
			err := o.make(t.Context(), u.client(t))
			if o.name == SendFeedback && body != "<html>" {
				require.NoError(t, err)
				continue
			}
			e := requireError(t, err)
			assert.Equal(t, o.success, e.HTTPStatus)
			assert.Equal(t, o.name, e.Operation)
			assert.NotEmpty(t, e.Text)
			assert.Error(t, e.Err)
		}
	})
}

// The client does not wait for a server that sends one byte over the limit and then stalls.
func TestOperationsReadWithinBounds(t *testing.T) {
	forEachOperation(t, func(t *testing.T, o operation) {
		u := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(o.success)
			_, _ = w.Write(make([]byte, maxErrorBody+1))
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		})
		err := o.make(t.Context(), u.client(t, withTimeout(time.Hour), func(c *Config) { c.MaxAnswer = maxErrorBody }))
		if o.name == SendFeedback {
			require.NoError(t, err)
			return
		}
		require.ErrorIs(t, requireError(t, err), errTooLong)
	})
}

func TestOperationsEndWithTheirContext(t *testing.T) {
	forEachOperation(t, func(t *testing.T, o operation) {
		ctx, cancel := context.WithCancel(t.Context())
		u := newUpstream(t, func(_ http.ResponseWriter, r *http.Request) {
			cancel()
			<-r.Context().Done()
		})
		err := o.make(ctx, u.client(t, withTimeout(time.Hour)))
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorContains(t, err, "sinch: "+string(o.name)+": ")
		require.Len(t, u.requests(), 1)
	})
}

func TestOperationsTimeOut(t *testing.T) {
	forEachOperation(t, func(t *testing.T, o operation) {
		u := newUpstream(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		err := o.make(t.Context(), u.client(t, withTimeout(1)))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.LessOrEqual(t, len(u.requests()), 1)
	})
}

// A batch id is opaque and stays one segment of the path. An id that cannot be a segment is refused.
func TestOperationsEscapeTheirBatch(t *testing.T) {
	u := newUpstream(t, respond(http.StatusNotFound, ""))
	c := u.client(t)
	for _, about := range []func(id string) error{
		func(id string) error { _, err := c.Update(t.Context(), id, Update{From: new("x")}); return err },
		func(id string) error { _, err := c.Replace(t.Context(), id, text(func(*TextMessage) {})); return err },
		func(id string) error { _, err := c.Cancel(t.Context(), id); return err },
		func(id string) error { return c.FeedbackWholeBatch(t.Context(), id) },
	} {
		for _, id := range []string{"", ".", ".."} {
			require.ErrorIs(t, about(id), ErrID)
		}
		before := len(u.requests())
		require.Error(t, about("a/../b?c#d e"))
		require.Contains(t, u.requests()[before].URI+"/", "/batches/a%2F..%2Fb%3Fc%23d%20e/")
	}
}
