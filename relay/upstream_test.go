package relay

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

// upstream stands in for Sinch: a real HTTP server, reached over net.Pipe so that it works in a synctest bubble. It
// knows the batches that a test adds and keeps the requests it received.
type upstream struct {
	server    *http.Server
	listening chan net.Conn
	down      chan struct{}

	mu       sync.Mutex // guards the fields below
	batches  map[string]string
	reports  map[string]string
	faults   []fault
	forbade  map[string]bool // batches whose feedback is answered with 403
	refused  map[string]bool // recipients that make the upstream refuse a call
	calls    []call
	inFlight int
	most     int // maximum of inFlight
}

// call is one request as received.
type call struct {
	at         time.Time
	plan       string
	operation  string // listBatches, getBatch, getReport or postFeedback
	batchID    string
	recipients []string // nil if the body had no list, empty if the list was empty
	accepted   bool     // feedback that was answered with 202
}

// fault replaces the answers to requests of one operation.
type fault struct {
	plan      string // empty: every plan
	operation string
	answer    http.HandlerFunc // nil drops the connection
	times     int
}

const (
	listBatches  = "GET batches"
	getBatch     = "GET batch"
	getReport    = "GET report"
	postFeedback = "POST feedback"
)

func newUpstream(t *testing.T) *upstream {
	t.Helper()
	u := &upstream{
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

// transport returns a transport that reaches only the upstream.
func (u *upstream) transport(t *testing.T) *http.Transport {
	transport := &http.Transport{DialContext: u.dial, MaxIdleConnsPerHost: 16}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

func (u *upstream) dial(ctx context.Context, _, _ string) (net.Conn, error) {
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

// Accept, Close and Addr implement net.Listener.
func (u *upstream) Accept() (net.Conn, error) {
	select {
	case c := <-u.listening:
		return c, nil
	case <-u.down:
		return nil, net.ErrClosed
	}
}

func (u *upstream) Close() error {
	close(u.down)
	return nil
}

func (u *upstream) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

// addBatch makes the upstream know a batch.
func (u *upstream) addBatch(batchID string, feedbackEnabled bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	b, _ := json.Marshal(map[string]any{
		"id": batchID, "to": []string{"447700900118", "447700900119"}, "feedback_enabled": feedbackEnabled,
		"delivery_report": "per_recipient_final", "client_reference": "otp/8a02", "canceled": false,
		"created_at": "2025-08-19T16:20:05.118Z", "modified_at": "2025-08-19T16:20:05.118Z",
	})
	u.batches[batchID] = string(b)
}

// addBatchTo makes the upstream know a batch to these recipients that wants feedback.
func (u *upstream) addBatchTo(batchID string, to ...string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	b, _ := json.Marshal(map[string]any{
		"id": batchID, "to": to, "feedback_enabled": true, "created_at": "2025-08-19T16:20:05.118Z",
	})
	u.batches[batchID] = string(b)
}

// addFullReport sets the full report of a batch.
func (u *upstream) addFullReport(batchID string, body []byte) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.reports[batchID] = string(body)
}

// fail replaces the answers to the next requests of an operation; times is their number.
func (u *upstream) fail(operation string, times int, answer http.HandlerFunc) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.faults = append(u.faults, fault{operation: operation, answer: answer, times: times})
}

// failAll replaces the answers to all requests.
func (u *upstream) failAll(answer http.HandlerFunc) {
	for _, operation := range []string{listBatches, getBatch, getReport, postFeedback} {
		u.fail(operation, 1<<30, answer)
	}
}

// failPlan replaces the answers to all requests of one plan and operation.
func (u *upstream) failPlan(plan, operation string, answer http.HandlerFunc) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.faults = append(u.faults, fault{plan: plan, operation: operation, answer: answer, times: 1 << 30})
}

// rejectNumbers makes the upstream refuse every call that names one of these numbers.
func (u *upstream) rejectNumbers(numbers ...string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.refused = make(map[string]bool)
	for _, n := range numbers {
		u.refused[n] = true
	}
}

// forbid makes the upstream know a batch and answer its feedback with 403.
func (u *upstream) forbid(batchID string) {
	u.addBatch(batchID, true)
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.forbade == nil {
		u.forbade = make(map[string]bool)
	}
	u.forbade[batchID] = true
}

// accepted returns how many feedback calls were accepted.
func (u *upstream) accepted() (n int) {
	for _, c := range u.requests(postFeedback) {
		if c.accepted {
			n++
		}
	}
	return n
}

// rejects reports whether the upstream refuses these recipients: it accepts only bare digits.
func (u *upstream) rejects(recipients []string) bool {
	return slices.ContainsFunc(recipients, func(r string) bool {
		return u.refused[r] || r == "" || len(r) > 15 || strings.Trim(r, "0123456789") != ""
	})
}

// heal ends all faults.
func (u *upstream) heal() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.faults = nil
}

// requests returns the requests of an operation so far.
func (u *upstream) requests(operation string) []call {
	u.mu.Lock()
	defer u.mu.Unlock()
	var calls []call
	for _, c := range u.calls {
		if c.operation == operation {
			calls = append(calls, c)
		}
	}
	return calls
}

func (u *upstream) mostInFlight() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.most
}

func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := parseCall(r)
	answer := u.begin(c)
	defer u.end()
	answer(w, r)
}

func parseCall(r *http.Request) call {
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/xms/v1/"), "/")
	if len(parts) == 2 {
		return call{at: time.Now(), plan: parts[0], operation: listBatches}
	}
	c := call{at: time.Now(), plan: parts[0], batchID: parts[2]}
	switch {
	case len(parts) == 3:
		c.operation = getBatch
	case parts[3] == "delivery_report" && r.URL.Query().Get("type") == "full":
		c.operation = getReport
	case parts[3] == "delivery_feedback" && r.Method == http.MethodPost:
		c.operation = postFeedback
		var body struct {
			Recipients []string `json:"recipients"`
		}
		b, _ := io.ReadAll(r.Body)
		_ = json.Unmarshal(b, &body)
		c.recipients = body.Recipients
	}
	return c
}

// begin records a request and returns its answer.
func (u *upstream) begin(c call) http.HandlerFunc {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.calls = append(u.calls, c)
	u.inFlight++
	u.most = max(u.most, u.inFlight)
	for i := range u.faults {
		if t := &u.faults[i]; t.operation == c.operation && t.times > 0 && (t.plan == "" || t.plan == c.plan) {
			t.times--
			if t.answer == nil {
				return func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
			}
			return t.answer
		}
	}
	batch, known := u.batches[c.batchID]
	switch {
	case c.operation == listBatches:
		batches := slices.Collect(maps.Values(u.batches))
		return respond(http.StatusOK, fmt.Sprintf(`{"count":%d,"batches":[%s]}`, len(batches), strings.Join(batches, ",")))
	case !known:
		return respond(http.StatusNotFound, "")
	case c.operation == getBatch:
		return respond(http.StatusOK, batch)
	case c.operation == getReport && u.reports[c.batchID] != "":
		return respond(http.StatusOK, u.reports[c.batchID])
	case c.operation == postFeedback && u.forbade[c.batchID]:
		return respond(http.StatusForbidden, `{"code":"conflict","text":"cannot be done for this batch"}`)
	case c.operation == postFeedback && u.rejects(c.recipients):
		return respond(http.StatusBadRequest, `{"code":"syntax_invalid_parameter_format","text":"'x' is not a valid number"}`)
	case c.operation == postFeedback && strings.Contains(batch, `"feedback_enabled":true`):
		u.calls[len(u.calls)-1].accepted = true
		return respond(http.StatusAccepted, "")
	}
	return respond(http.StatusNotFound, "")
}

func (u *upstream) end() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.inFlight--
}

// respond returns a handler that answers with a status, a body and headers, given as name, value pairs.
func respond(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// respondAfter returns a handler that calls then after d, or does not answer if the caller leaves first.
func respondAfter(d time.Duration, then http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(d):
			then(w, r)
		case <-r.Context().Done():
		}
	}
}
