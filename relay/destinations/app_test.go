package destinations

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// app is an application that receives events: an HTTP server, reached without a network so that it works in a synctest
// bubble. It fails the test if two requests of a batch are in flight at the same time.
type app struct {
	t         *testing.T
	server    *http.Server
	listening chan net.Conn
	down      chan struct{}

	mu       sync.Mutex                  // guards the fields below
	answer   func(h *hit) (status int)   // default 200
	headers  func(h *hit, w http.Header) // of the answers; nil for none
	hits     []*hit
	accepted []sent
	open     map[string]int // requests in flight by batch
	most     int            // most requests in flight
	inFlight int
	refused  bool // connections are refused
}

// sent is an event as the application receives it.
type sent struct {
	ID      string
	Batch   string
	Version int64
	Lost    bool // accepted, but the answer was lost
}

// UnmarshalJSON reads the members that the tests need.
func (s *sent) UnmarshalJSON(b []byte) error {
	var event struct {
		ID   string `json:"id"`
		Data struct {
			BatchID string `json:"batch_id"`
			Version int64  `json:"version"`
		} `json:"data"`
	}
	err := json.Unmarshal(b, &event)
	*s = sent{ID: event.ID, Batch: event.Data.BatchID, Version: event.Data.Version}
	return err
}

// hit is one request that the application received.
type hit struct {
	at     time.Time
	header http.Header
	body   []byte
	events []sent
	number int             // from 1
	status int             // with which it was answered
	ended  <-chan struct{} // closed when the client or the server gives up
}

// batches returns the distinct batches of the events in the request.
func (h *hit) batches() map[string]bool {
	found := make(map[string]bool)
	for _, e := range h.events {
		if e.Batch != "" {
			found[e.Batch] = true
		}
	}
	return found
}

// has reports whether the request contains this event.
func (h *hit) has(id string) bool {
	for _, e := range h.events {
		if e.ID == id {
			return true
		}
	}
	return false
}

func newApp(t *testing.T) *app {
	t.Helper()
	a := &app{t: t, listening: make(chan net.Conn), down: make(chan struct{}), open: make(map[string]int)}
	a.server = &http.Server{Handler: a}
	done := make(chan error, 1)
	go func() { done <- a.server.Serve(a) }()
	t.Cleanup(func() {
		_ = a.server.Close()
		<-done
	})
	return a
}

// respond sets how the application answers from now on. A status of 0 breaks the connection without an answer; -1 does
// so after it accepted the events.
func (a *app) respond(answer func(h *hit) int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answer = answer
}

// hang waits until the client gives up.
func hang(h *hit) int {
	<-h.ended
	return 0
}

func always(status int) func(*hit) int { return func(*hit) int { return status } }

// refuse sets whether the application refuses connections.
func (a *app) refuse(refused bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refused = refused
}

func (a *app) requests() []*hit {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]*hit(nil), a.hits...)
}

// received returns the ids of the events that the application accepted, in order.
func (a *app) received() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	ids := make([]string, len(a.accepted))
	for i, e := range a.accepted {
		ids[i] = e.ID
	}
	return ids
}

// ServeHTTP implements http.Handler.
func (a *app) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	h := &hit{at: time.Now(), header: r.Header, body: body, ended: r.Context().Done()}
	if text := strings.TrimSpace(string(body)); strings.HasPrefix(text, "[") {
		require.NoError(a.t, json.Unmarshal(body, &h.events))
	} else {
		h.events = make([]sent, 1)
		require.NoError(a.t, json.Unmarshal(body, &h.events[0]))
	}
	answer := a.enter(h)
	status := http.StatusOK
	if answer != nil {
		status = answer(h)
	}
	a.leave(h, status)
	if status <= 0 {
		panic(http.ErrAbortHandler)
	}
	if a.headers != nil {
		a.headers(h, w.Header())
	}
	w.WriteHeader(status)
	fmt.Fprintf(w, "answer %d", h.number)
}

func (a *app) enter(h *hit) func(*hit) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.hits = append(a.hits, h)
	h.number = len(a.hits)
	a.inFlight++
	a.most = max(a.most, a.inFlight)
	for batch := range h.batches() {
		if a.open == nil {
			continue
		}
		if a.open[batch]++; a.open[batch] > 1 {
			a.t.Errorf("two requests of batch %s at the same time", batch)
		}
	}
	return a.answer
}

func (a *app) leave(h *hit, status int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.inFlight--
	h.status = status
	for batch := range h.batches() {
		if a.open != nil {
			a.open[batch]--
		}
	}
	if status >= 200 && status <= 299 || status == -1 {
		for _, e := range h.events {
			e.Lost = status == -1
			a.accepted = append(a.accepted, e)
		}
	}
}

// dial connects to the application, whatever the address.
func (a *app) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	a.mu.Lock()
	refused := a.refused
	a.mu.Unlock()
	if refused {
		return nil, &net.OpError{Op: "dial", Net: "pipe", Err: net.UnknownNetworkError("connection refused")}
	}
	ours, theirs := net.Pipe()
	select {
	case a.listening <- theirs:
		return ours, nil
	case <-a.down:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Accept implements net.Listener.
func (a *app) Accept() (net.Conn, error) {
	select {
	case c := <-a.listening:
		return c, nil
	case <-a.down:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (a *app) Close() error {
	close(a.down)
	return nil
}

// Addr implements net.Listener. The address is a placeholder.
func (a *app) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }
