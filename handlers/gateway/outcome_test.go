package gateway

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/handlers/handlerstest"
	"github.com/dlrloop/dlrloop/metrics"
)

// held makes the upstream record a call and delay its answer until goOn is closed. contexts receives the contexts of
// the gateway's requests, arrived a value for each call of the upstream.
func (h *fixture) held(status int, body string) (contexts chan context.Context, arrived, goOn chan struct{}) {
	contexts, arrived, goOn = make(chan context.Context, 1), make(chan struct{}, 1), make(chan struct{})
	h.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		contexts <- r.Context()
		h.gateway.ServeHTTP(w, r)
	})
	h.upstream.does(func(w http.ResponseWriter, r *http.Request) {
		h.upstream.record(r)
		arrived <- struct{}{}
		<-goOn
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
	return contexts, arrived, goOn
}

func (h *fixture) dial(request string) *net.TCPConn {
	h.t.Helper()
	c, err := net.Dial("tcp", h.server.Listener.Addr().String())
	require.NoError(h.t, err)
	h.t.Cleanup(func() { _ = c.Close() })
	_, err = io.WriteString(c, request)
	require.NoError(h.t, err)
	return c.(*net.TCPConn)
}

// TestHalfClosedCallersGetSinchsAnswer lets callers close their sending side before Sinch answers.
func TestHalfClosedCallersGetSinchsAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		method, tail, body, header string
		status                     int
		records                    bool
	}{
		"send":                   {"POST", "/batches", "{}", "", 201, true},
		"send, connection close": {"POST", "/batches", "{}", "Connection: close\r\n", 201, true},
		"send, refused":          {"POST", "/batches", "{}", "", 400, false},
		"dry run":                {"POST", "/batches/dry_run", "{}", "", 200, false},
		"update":                 {"POST", "/batches/" + batchSent, "{}", "", 200, true},
		"replace":                {"PUT", "/batches/" + batchSent, "{}", "", 200, true},
		"cancel":                 {"DELETE", "/batches/" + batchSent, "", "", 200, true},
		"get":                    {"GET", "/batches/" + batchSent, "", "", 200, true},
		"list":                   {"GET", "/batches", "", "", 200, false},
		"report":                 {"GET", "/batches/" + batchSent + "/delivery_report", "", "", 200, false},
	} {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t, nil)
			contexts, arrived, goOn := h.held(c.status, batchJSON(batchSent, ""))
			connection := h.dial(handlerstest.RawRequest(c.method, "/xms/v1/"+planA+c.tail,
				"Authorization: "+callerToken+"\r\n"+c.header, c.body))
			<-arrived
			require.NoError(t, connection.CloseWrite())
			<-(<-contexts).Done()
			close(goOn)
			answer, err := io.ReadAll(connection)
			require.NoError(t, err)
			require.Contains(t, string(answer), fmt.Sprintf("HTTP/1.1 %d ", c.status))
			require.Contains(t, string(answer), batchJSON(batchSent, ""))
			h.upstream.only(t)
			h.drain()
			require.Equal(t, c.records, h.batch(batchSent) != nil)
		})
	}
}

// TestTheBatchOfACallerThatLeftIsRecorded resets the caller's connection before Sinch answers.
func TestTheBatchOfACallerThatLeftIsRecorded(t *testing.T) {
	h := newFixture(t, nil)
	contexts, arrived, goOn := h.held(http.StatusCreated, batchJSON(batchSent, ""))
	connection := h.dial(handlerstest.RawRequest("POST", "/xms/v1/"+planA+"/batches",
		"Authorization: "+callerToken+"\r\n", "{}"))
	<-arrived
	require.NoError(t, connection.SetLinger(0))
	require.NoError(t, connection.Close())
	<-(<-contexts).Done()
	close(goOn)
	h.drain()
	require.NotNil(t, h.batch(batchSent))
	require.Equal(t, 1.0, h.requests("send", "2xx"))
}

// TestAnAnswerThatBreaksOff requires an answer that tells the caller that the call may have taken effect.
func TestAnAnswerThatBreaksOff(t *testing.T) {
	for name, breaks := range map[string]func(w http.ResponseWriter){
		"after its head": func(http.ResponseWriter) {},
		"in its middle":  func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"id":"B1"`) },
		"before its last byte": func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, strings.TrimSuffix(batchJSON(batchSent, ""), "}"))
		},
	} {
		for _, length := range []string{"", fmt.Sprint(len(batchJSON(batchSent, "")))} {
			h := newFixture(t, nil)
			h.upstream.does(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				if length != "" {
					w.Header().Set("Content-Length", length)
				}
				w.WriteHeader(http.StatusCreated)
				breaks(w)
				_ = http.NewResponseController(w).Flush()
				panic(http.ErrAbortHandler)
			})
			for call, says := range map[[2]string]string{
				{"POST", "/batches"}:    "may have been sent: look for it before you send it again",
				{"POST", "/batches/B1"}: "may have taken effect: check that before you repeat it",
				{"PUT", "/batches/B1"}:  "retry later",
				{"GET", "/batches/B1"}:  "retry later",
			} {
				detail := h.problem(h.call(call[0], call[1], "{}"), http.StatusBadGateway)
				require.Contains(t, detail, says, "%s, length %q", name, length)
			}
			require.Equal(t, 1.0, h.requests("send", "unreachable"))
		}
	}
}

// TestABodyWithoutItsEnd uses an upstream that acts on an incomplete body.
func TestABodyWithoutItsEnd(t *testing.T) {
	h := newFixture(t, nil)
	arrived := make(chan struct{}, 1)
	h.upstream.does(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadFull(r.Body, make([]byte, 2))
		arrived <- struct{}{}
		_, _ = io.Copy(io.Discard, r.Body)
	})
	for _, c := range []struct {
		path, says string
		status     int
	}{
		{"/batches", "may have been sent", http.StatusBadGateway},
		{"/batches/B1", "may have taken effect", http.StatusBadGateway},
		{"/batches/dry_run", "did not arrive completely", http.StatusServiceUnavailable},
	} {
		connection := h.dial("POST /xms/v1/" + planA + c.path +
			" HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n")
		<-arrived
		require.NoError(t, connection.CloseWrite())
		answer, err := io.ReadAll(connection)
		require.NoError(t, err)
		require.Contains(t, string(answer), fmt.Sprintf("HTTP/1.1 %d ", c.status))
		require.Contains(t, string(answer), c.says)
	}
}

// TestNoSendIsRepeated makes Sinch close a reused connection after it has received a send.
func TestNoSendIsRepeated(t *testing.T) {
	for _, header := range []string{"Idempotency-Key", "X-Idempotency-Key", "X-Own"} {
		h := newFixture(t, func(c *Config) {
			c.Plans[0].Callback = "https://dlr.example.com/webhooks/plan-a"
		})
		require.Equal(t, http.StatusOK, h.call(http.MethodGet, "/groups", "").StatusCode)
		h.upstream.newCalls()
		h.upstream.does(func(w http.ResponseWriter, r *http.Request) {
			h.upstream.record(r)
			panic(http.ErrAbortHandler)
		})
		r := h.request(http.MethodPost, "/batches", strings.NewReader("{}"))
		r.Header.Set(header, "1")
		require.Contains(t, h.problem(h.do(r), http.StatusBadGateway), "may have been sent")
		h.upstream.only(t)
	}
}

// TestAFaultOfOursAfterASend panics after Sinch has answered: the problem must warn against a second send.
func TestAFaultOfOursAfterASend(t *testing.T) {
	h := newFixture(t, nil)
	h.gateway.tokens = nil
	require.Contains(t, h.problem(h.call(http.MethodPost, "/batches", "{}"), http.StatusBadGateway),
		"may have been sent")
	require.Contains(t, h.log.String(), "handler panicked")
	require.Equal(t, http.StatusInternalServerError, h.call(http.MethodGet, "/batches", "").StatusCode)
}

// pipes is an in-memory net.Listener for synctest bubbles.
type pipes struct {
	connections chan net.Conn
	closed      chan struct{}
	once        sync.Once
}

func newPipes() *pipes { return &pipes{connections: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.connections:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{} }

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	p.connections <- far
	return near, nil
}

// TestACallThatMakesNoProgressEnds makes Sinch stop at each point of a send. In bounded time the caller must learn
// that the batch may have been sent.
func TestACallThatMakesNoProgressEnds(t *testing.T) {
	for name, c := range map[string]struct {
		sinch func(w http.ResponseWriter, r *http.Request)
		most  time.Duration
	}{
		"before it takes the body": {
			func(http.ResponseWriter, *http.Request) {}, bodyTime + dialTime + 30*time.Second,
		},
		"before it answers": {func(_ http.ResponseWriter, r *http.Request) {
			_,
				_ = io.Copy(io.Discard, r.Body)
		}, 20 * time.Second},
		"after the head": {func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusCreated)
			_ = http.NewResponseController(w).Flush()
		}, stallTime},
		"while the answer trickles": {func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusCreated)
			for r.Context().Err() == nil {
				_, _ = io.WriteString(w, " ")
				_ = http.NewResponseController(w).Flush()
				time.Sleep(time.Second)
			}
		}, stallTime},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := metrics.New(prometheus.NewRegistry(), metrics.Config{Plans: []string{planA}})
				plan := Plan{ID: planA, Endpoint: "http://sinch.example.com/xms/v1/" + planA}
				g, err := New(Config{Listen: "127.0.0.1:0", Plans: []Plan{plan}}, nil, m, handlerstest.Quiet())
				require.NoError(t, err)
				ended := make(chan struct{})
				sinch := newPipes()
				g.transport.DialContext = sinch.dial
				upstream := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					c.sinch(w, r)
					<-ended
				})}
				var serving sync.WaitGroup
				serving.Go(func() { _ = upstream.Serve(sinch) })

				body := strings.NewReader(strings.Repeat(" ", 1<<20))
				r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1/xms/v1/"+planA+"/batches", body)
				begun, answer := time.Now(), httptest.NewRecorder()
				g.ServeHTTP(answer, r)
				require.Equal(t, http.StatusGatewayTimeout, answer.Code)
				require.Contains(t, answer.Body.String(), "may have been sent")
				require.Equal(t, c.most, time.Since(begun))
				close(ended)
				require.NoError(t, upstream.Close())
				g.Drain(t.Context())
				serving.Wait()
				time.Sleep(time.Minute) // net/http closes idle connections by then
			})
		})
	}
}
