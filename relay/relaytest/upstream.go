package relaytest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Upstream stands in for Sinch: an HTTP server, reached without a network so that it works in a synctest bubble. It
// knows the batches that a test adds, and keeps the requests that it received. It is safe for concurrent use.
type Upstream struct {
	server    *http.Server
	listening chan net.Conn
	down      chan struct{}

	mu       sync.Mutex // guards the fields below
	batches  map[string]string
	reports  map[string]string
	faults   []fault
	forbade  map[string]bool // batches whose feedback is answered with 403
	refused  map[string]bool // recipients that make the upstream refuse a call
	calls    []Call
	inFlight int
	most     int // maximum of inFlight
}

// Call is one request that an Upstream, the stand-in for Sinch, received.
type Call struct {
	At         time.Time
	Plan       string
	Operation  string // ListBatches, GetBatch, GetReport or PostFeedback
	BatchID    string
	Recipients []string // nil if the body had no list, empty if the list was empty
	Accepted   bool     // feedback that was answered with 202
}

// fault makes a handler answer requests for one operation, such as PostFeedback, in place of the Upstream. times is how
// many more requests it answers.
type fault struct {
	plan      string // empty: every plan
	operation string
	answer    http.HandlerFunc // nil drops the connection
	times     int
}

// The operations of Sinch's API that an Upstream knows: the values of Call.Operation, and arguments of Fail, FailPlan
// and Requests.
const (
	ListBatches  = "GET batches"
	GetBatch     = "GET batch"
	GetReport    = "GET report"
	PostFeedback = "POST feedback"
)

// NewUpstream starts a server that stands in for Sinch and knows no batches yet. It stops when the test ends.
func NewUpstream(t *testing.T) *Upstream {
	t.Helper()
	u := &Upstream{
		listening: make(chan net.Conn), down: make(chan struct{}),
		batches: make(map[string]string), reports: make(map[string]string),
	}
	u.server = &http.Server{Handler: u}
	done := make(chan error, 1)
	go func() { done <- u.server.Serve(u) }()
	t.Cleanup(func() {
		_ = u.server.Close()
		<-done
	})
	return u
}

// transport returns an HTTP transport that connects every request to u, whatever the URL. Idle connections are closed
// when the test ends.
func (u *Upstream) transport(t *testing.T) *http.Transport {
	transport := &http.Transport{DialContext: u.dial, MaxIdleConnsPerHost: 16}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

func (u *Upstream) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case u.listening <- theirs:
		return ours, nil
	case <-u.down:
		return nil, &net.OpError{Op: "dial", Net: "pipe", Err: net.UnknownNetworkError("connection refused")}
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Accept implements net.Listener, for the HTTP server of u. It blocks until a client connects, and returns
// net.ErrClosed after Close.
func (u *Upstream) Accept() (net.Conn, error) {
	select {
	case c := <-u.listening:
		return c, nil
	case <-u.down:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. Connections are refused from then on. Call it only once.
func (u *Upstream) Close() error {
	close(u.down)
	return nil
}

// Addr implements net.Listener. The address is a placeholder, since there is no network.
func (u *Upstream) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

// AddBatch adds a batch with two recipients, the phone numbers Ada and Bob, to the batches that u knows. If
// feedbackEnabled is true, the batch wants delivery feedback. If false, feedback calls for the batch are answered 404.
func (u *Upstream) AddBatch(batchID string, feedbackEnabled bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	b, _ := json.Marshal(map[string]any{
		"id": batchID, "to": []string{"447700900118", "447700900119"}, "feedback_enabled": feedbackEnabled,
		"delivery_report": "per_recipient_final", "client_reference": "otp/8a02", "canceled": false,
		"created_at": "2025-08-19T16:20:05.118Z", "modified_at": "2025-08-19T16:20:05.118Z",
	})
	u.batches[batchID] = string(b)
}

// AddBatchTo adds a batch to the batches that u knows. The batch has the given phone numbers as recipients, and wants
// delivery feedback.
func (u *Upstream) AddBatchTo(batchID string, numbers ...string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	b, _ := json.Marshal(map[string]any{
		"id": batchID, "to": numbers, "feedback_enabled": true, "created_at": "2025-08-19T16:20:05.118Z",
	})
	u.batches[batchID] = string(b)
}

// AddFullReport makes u answer requests for the full report of a batch with body, which is JSON. Without a report such
// requests are answered 404.
func (u *Upstream) AddFullReport(batchID string, body []byte) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.reports[batchID] = string(body)
}

// Fail makes the handler answer requests for an operation, such as PostFeedback, in place of u. times is the number of
// requests that the handler answers; u answers all later ones. A nil handler breaks the connection.
func (u *Upstream) Fail(operation string, times int, answer http.HandlerFunc) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.faults = append(u.faults, fault{operation: operation, answer: answer, times: times})
}

// FailAll makes the handler answer all requests in place of u until Heal is called. A nil handler breaks the
// connection.
func (u *Upstream) FailAll(answer http.HandlerFunc) {
	for _, operation := range []string{ListBatches, GetBatch, GetReport, PostFeedback} {
		u.Fail(operation, 1<<30, answer)
	}
}

// FailPlan makes the handler answer all requests of a service plan for one operation, such as PostFeedback, until Heal
// is called. A nil handler breaks the connection.
func (u *Upstream) FailPlan(plan, operation string, answer http.HandlerFunc) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.faults = append(u.faults, fault{plan: plan, operation: operation, answer: answer, times: 1 << 30})
}

// RejectNumbers makes u answer 400 to every feedback call that names one of these phone numbers. Numbers from an
// earlier call of RejectNumbers are no longer rejected.
func (u *Upstream) RejectNumbers(numbers ...string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.refused = make(map[string]bool)
	for _, n := range numbers {
		u.refused[n] = true
	}
}

// Forbid adds a batch that wants delivery feedback, but whose feedback calls are answered 403.
func (u *Upstream) Forbid(batchID string) {
	u.AddBatch(batchID, true)
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.forbade == nil {
		u.forbade = make(map[string]bool)
	}
	u.forbade[batchID] = true
}

// Accepted returns how many feedback calls have been answered 202 so far.
func (u *Upstream) Accepted() (n int) {
	for _, c := range u.Requests(PostFeedback) {
		if c.Accepted {
			n++
		}
	}
	return n
}

// rejects returns true if the upstream must answer 400 to a feedback call for these recipients, because one of them was
// passed to RejectNumbers or does not consist of 1 to 15 digits. The caller must hold u.mu.
func (u *Upstream) rejects(recipients []string) bool {
	return slices.ContainsFunc(recipients, func(r string) bool {
		return u.refused[r] || r == "" || len(r) > 15 || strings.Trim(r, "0123456789") != ""
	})
}

// RefuseConnections closes all connections to u and makes it refuse new ones, for the rest of the test.
func (u *Upstream) RefuseConnections() { _ = u.server.Close() }

// Heal makes u answer normally again: it ends what Fail, FailAll and FailPlan began. It does not undo
// RefuseConnections.
func (u *Upstream) Heal() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.faults = nil
}

// Requests returns the requests received so far for one operation, such as PostFeedback, or all if operation is empty.
// They are in the order of arrival, in a new slice.
func (u *Upstream) Requests(operation string) []Call {
	u.mu.Lock()
	defer u.mu.Unlock()
	var calls []Call
	for _, c := range u.calls {
		if operation == "" || c.Operation == operation {
			calls = append(calls, c)
		}
	}
	return calls
}

// MostInFlight returns the largest number of requests that u was answering at the same time.
func (u *Upstream) MostInFlight() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.most
}

// ServeHTTP implements http.Handler. It records the request and answers like Sinch, or as a test has set with Fail.
func (u *Upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := parseCall(r)
	answer := u.begin(c)
	defer u.end()
	answer(w, r)
}

func parseCall(r *http.Request) Call {
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/xms/v1/"), "/")
	if len(parts) == 2 {
		return Call{At: time.Now(), Plan: parts[0], Operation: ListBatches}
	}
	c := Call{At: time.Now(), Plan: parts[0], BatchID: parts[2]}
	switch {
	case len(parts) == 3:
		c.Operation = GetBatch
	case parts[3] == "delivery_report" && r.URL.Query().Get("type") == "full":
		c.Operation = GetReport
	case parts[3] == "delivery_feedback" && r.Method == http.MethodPost:
		c.Operation = PostFeedback
		var body struct {
			Recipients []string `json:"recipients"`
		}
		b, _ := io.ReadAll(r.Body)
		_ = json.Unmarshal(b, &body)
		c.Recipients = body.Recipients
	}
	return c
}

// begin records a request that has arrived and returns the handler that answers it: one that a test has set with Fail,
// or the normal one. Call end after the answer.
func (u *Upstream) begin(c Call) http.HandlerFunc {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.calls = append(u.calls, c)
	u.inFlight++
	u.most = max(u.most, u.inFlight)
	for i := range u.faults {
		if t := &u.faults[i]; t.operation == c.Operation && t.times > 0 && (t.plan == "" || t.plan == c.Plan) {
			t.times--
			if t.answer == nil {
				return func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
			}
			return t.answer
		}
	}
	batch, known := u.batches[c.BatchID]
	switch {
	case c.Operation == ListBatches:
		batches := slices.Collect(maps.Values(u.batches))
		return Respond(http.StatusOK, fmt.Sprintf(`{"count":%d,"batches":[%s]}`, len(batches), strings.Join(batches, ",")))
	case !known:
		return Respond(http.StatusNotFound, "")
	case c.Operation == GetBatch:
		return Respond(http.StatusOK, batch)
	case c.Operation == GetReport && u.reports[c.BatchID] != "":
		return Respond(http.StatusOK, u.reports[c.BatchID])
	case c.Operation == PostFeedback && u.forbade[c.BatchID]:
		return Respond(http.StatusForbidden, `{"code":"conflict","text":"cannot be done for this batch"}`)
	case c.Operation == PostFeedback && u.rejects(c.Recipients):
		return Respond(http.StatusBadRequest, `{"code":"syntax_invalid_parameter_format","text":"'x' is not a valid number"}`)
	case c.Operation == PostFeedback && strings.Contains(batch, `"feedback_enabled":true`):
		u.calls[len(u.calls)-1].Accepted = true
		return Respond(http.StatusAccepted, "")
	}
	return Respond(http.StatusNotFound, "")
}

func (u *Upstream) end() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.inFlight--
}
