package gateway

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store/storetest"
)

func TestABodyOverTheLimit(t *testing.T) {
	h := newFixture(t, func(c *Config) { c.MaxBody = 100 })
	a := h.call(http.MethodPost, "/batches", strings.Repeat("x", 101))
	require.Equal(t, "the limit is 100 bytes", h.problem(a, http.StatusRequestEntityTooLarge))
	require.Empty(t, h.upstream.newCalls(), "Sinch must not be called")
	require.Equal(t, 1.0, h.requests("send", "refused"))

	whole := make(chan error, 1)
	h.upstream.does(func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		whole <- err
	})
	r := h.request(http.MethodPost, "/batches",
		io.MultiReader(strings.NewReader(strings.Repeat("x", 60)), strings.NewReader(strings.Repeat("x", 60))))
	a = h.do(r)
	require.Equal(t, "the limit is 100 bytes", h.problem(a, http.StatusRequestEntityTooLarge),
		"the limit also applies without a Content-Length")
	select {
	case err := <-whole:
		require.Error(t, err, "Sinch must see that the body is incomplete")
	default: // Sinch never received it
	}

	h.upstream.answers(http.StatusOK, "")
	require.Equal(t, http.StatusOK, h.call(http.MethodPost, "/batches", strings.Repeat("x", 100)).StatusCode)
}

func TestABodyThatDoesNotArrive(t *testing.T) {
	h := newFixture(t, nil)
	c, err := net.Dial("tcp", h.server.Listener.Addr().String())
	require.NoError(t, err)
	defer c.Close()
	_, err = fmt.Fprintf(c, "POST /xms/v1/%s/batches HTTP/1.1\r\nHost: localhost\r\n"+
		"Transfer-Encoding: chunked\r\n\r\nnonsense\r\n", planA)
	require.NoError(t, err)
	a, err := http.ReadResponse(bufio.NewReader(c), nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusServiceUnavailable, a.StatusCode)
}

// TestSinchIsUnreachable calls a gateway whose upstream does not listen.
func TestSinchIsUnreachable(t *testing.T) {
	h := newFixture(t, nil)
	h.upstream.Close()
	for _, method := range []string{http.MethodPost, http.MethodGet} {
		a := h.call(method, "/batches", "")
		require.Equal(t, "Sinch could not be reached and received nothing; retry later",
			h.problem(a, http.StatusBadGateway))
	}
	require.Equal(t, 1.0, h.requests("send", "unreachable"))
	require.Equal(t, 1.0, h.requests("list", "unreachable"))
	require.Contains(t, h.log.String(), "level=WARN msg=\"gateway request refused\"")
}

// TestNoAnswer breaks the connection once Sinch has received the request.
func TestNoAnswer(t *testing.T) {
	h := newFixture(t, nil)
	h.upstream.does(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	for call, says := range map[[2]string]string{
		{"POST", "/batches"}:                   "may have been sent: look for it before you send it again",
		{"POST", "/batches/B1"}:                "may have taken effect: check that before you repeat it",
		{"POST", "/groups"}:                    "may have taken effect: check that before you repeat it",
		{"PUT", "/batches/B1"}:                 "retry later",
		{"DELETE", "/batches/B1"}:              "retry later",
		{"POST", "/batches/dry_run"}:           "retry later",
		{"GET", "/batches/B1/delivery_report"}: "retry later",
		{"GET", "/delivery_reports"}:           "retry later",
	} {
		require.Contains(t, h.problem(h.call(call[0], call[1], "{}"), http.StatusBadGateway), says, call)
	}
}

func TestSinchIsTooSlow(t *testing.T) {
	h := newFixture(t, func(c *Config) { c.Timeout = time.Millisecond })
	h.upstream.does(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	a := h.call(http.MethodPost, "/batches", "{}")
	require.Contains(t, h.problem(a, http.StatusGatewayTimeout), "may have been sent")
}

// TestAnIncompleteAnswerIsAborted breaks off an answer that is streamed to the caller. The caller must see that it is
// incomplete.
func TestAnIncompleteAnswerIsAborted(t *testing.T) {
	h := newFixture(t, nil)
	h.upstream.does(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"id":`)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	a, err := http.DefaultTransport.RoundTrip(h.request(http.MethodGet, "/batches/B1/delivery_report", nil))
	require.NoError(t, err)
	defer a.Body.Close()
	_, err = io.ReadAll(a.Body)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

func TestAStalledAnswerIsCanceled(t *testing.T) {
	left := make(chan error, 1)
	p := &proxiedRequest{leave: func(cause error) { left <- cause }}
	reader, writer := io.Pipe()
	f := &answerBody{
		ReadCloser: reader, connection: http.NewResponseController(httptest.NewRecorder()),
		guard: time.AfterFunc(time.Hour, func() { p.leave(errStalled); _ = writer.CloseWithError(errStalled) }),
	}
	go func() { _, _ = io.WriteString(writer, "moves") }()
	b := make([]byte, 10)
	n, err := f.Read(b)
	require.NoError(t, err)
	require.Equal(t, "moves", string(b[:n]))
	f.guard.Reset(0)
	require.ErrorIs(t, <-left, errStalled)
	require.NoError(t, f.Close())
}

// TestAPanicIsAnswered makes the store panic while a confirmation is handled.
func TestAPanicIsAnswered(t *testing.T) {
	h := newFixture(t, nil)
	h.store.Fail(storetest.Read, storetest.Panics, nil, 1)
	a := h.call(http.MethodPost, "/batches/B1/delivery_feedback", `{"recipients":["15551231234"]}`)
	require.Equal(t, http.StatusInternalServerError, a.StatusCode)
	require.Contains(t, h.log.String(), "handler panicked")
	require.Equal(t, 1.0, h.requests("feedback", "refused"))
}

func TestDrainWaitsForRequestsInFlight(t *testing.T) {
	h := newFixture(t, nil)
	arrived, goOn := make(chan struct{}), make(chan struct{})
	h.upstream.does(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-goOn
		w.WriteHeader(http.StatusTeapot)
	})
	status := make(chan int, 1)
	go func() { status <- h.call(http.MethodPost, "/batches", "{}").StatusCode }()
	<-arrived
	ended, end := context.WithCancel(t.Context())
	end()
	h.gateway.Drain(ended) // returns although a request is in flight, since ctx has ended
	a := h.call(http.MethodPost, "/batches", "{}")
	require.Contains(t, h.problem(a, http.StatusServiceUnavailable), "shutting down; Sinch was not called")
	require.True(t, a.Close)
	drained := make(chan struct{})
	go func() {
		h.drain()
		close(drained)
	}()
	select {
	case <-drained:
		require.Fail(t, "Drain returned while a send was in flight")
	default:
	}
	close(goOn)
	<-drained
	require.Equal(t, http.StatusTeapot, <-status)
}
