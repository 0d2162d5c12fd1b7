package gateway

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// Time limits for the connections to Sinch and to callers.
const (
	// maxRequestTime limits a request whose steps have time limits of their own.
	maxRequestTime = time.Hour

	dialTime  = 5 * time.Second
	bodyTime  = 15 * time.Second // for the body of a request to arrive
	stallTime = 30 * time.Second // without progress of an answer, on either side
)

// newTransport returns the transport for calls to Sinch; Sinch must begin its answer within the time-out. It does not
// compress or decompress bodies, nor follow redirects.
func newTransport(timeout time.Duration) *http.Transport {
	dialer := &net.Dialer{Timeout: dialTime}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    dialTime,
		ResponseHeaderTimeout:  timeout,
		ExpectContinueTimeout:  time.Second,
		DisableCompression:     true,
		MaxIdleConnsPerHost:    64,
		MaxResponseHeaderBytes: 64 << 10,
		// Short, since a send on a connection that Sinch has just closed is not repeated.
		IdleConnTimeout: 45 * time.Second,
		// Pings detect a dead connection before the next send is lost on it.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second},
	}
}

// buffers is a pool of 32 KiB buffers, through which httputil.ReverseProxy copies Sinch's answers.
type buffers struct{ pool sync.Pool }

const bufferSize = 32 << 10

func (b *buffers) Get() []byte {
	if lent, ok := b.pool.Get().(*[bufferSize]byte); ok {
		return lent[:]
	}
	return make([]byte, bufferSize)
}

func (b *buffers) Put(buf []byte) { b.pool.Put((*[bufferSize]byte)(buf)) }

// traffic counts the running requests and their background work, so that method drain can wait for both.
type traffic struct {
	mu       sync.Mutex
	inFlight int           // guarded by mu
	draining bool          // guarded by mu
	idle     chan struct{} // closed when draining and inFlight is 0
}

func newTraffic() *traffic { return &traffic{idle: make(chan struct{})} }

// begin counts a new request and returns true; the caller must then call end. After drain it only returns false.
func (t *traffic) begin() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.draining {
		return false
	}
	t.inFlight++
	return true
}

// add counts background work of a running request. Call end when the work is done.
func (t *traffic) add() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.inFlight++
}

func (t *traffic) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.inFlight--; t.draining && t.inFlight == 0 {
		close(t.idle)
	}
}

// drain makes begin return false from now on. It blocks until all requests and their work have ended, or ctx ends.
func (t *traffic) drain(ctx context.Context) {
	t.mu.Lock()
	if !t.draining {
		t.draining = true
		if t.inFlight == 0 {
			close(t.idle)
		}
	}
	t.mu.Unlock()
	select {
	case <-t.idle:
	case <-ctx.Done():
	}
}
