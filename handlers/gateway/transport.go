package gateway

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// The time limits for the connections to Sinch and to callers. If a limit passes before the answer has begun, the
// caller gets a problem; after that, the connection is aborted.
const (
	// maxRequestTime limits a request whose steps have time limits of their own.
	maxRequestTime = time.Hour

	dialTime  = 5 * time.Second
	bodyTime  = 15 * time.Second // for the body of a request to arrive
	stallTime = 30 * time.Second // without progress of an answer, on either side
)

// newTransport returns the transport for calls to Sinch. A call fails if Sinch does not begin its answer within
// timeout. The transport neither compresses nor decompresses bodies, and does not follow redirects.
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

// buffers is a pool of 32 KiB buffers, through which httputil.ReverseProxy copies Sinch's answers. The zero value is an
// empty pool. It is safe for concurrent use.
type buffers struct{ pool sync.Pool }

const bufferSize = 32 << 10

func (b *buffers) Get() []byte {
	if lent, ok := b.pool.Get().(*[bufferSize]byte); ok {
		return lent[:]
	}
	return make([]byte, bufferSize)
}

func (b *buffers) Put(buf []byte) { b.pool.Put((*[bufferSize]byte)(buf)) }

// traffic counts the running requests and their background work, so that a shutdown can wait for both with the method
// drain. A traffic is safe for concurrent use.
type traffic struct {
	mu       sync.Mutex
	inFlight int           // guarded by mu
	draining bool          // guarded by mu
	idle     chan struct{} // closed when draining and inFlight is 0
}

func newTraffic() *traffic { return &traffic{idle: make(chan struct{})} }

// begin counts a new request and returns true; the caller must call end later. After drain has been called it counts
// nothing and returns false, and the request must be refused.
func (t *traffic) begin() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.draining {
		return false
	}
	t.inFlight++
	return true
}

// add counts background work of a request that is still running, so that drain waits for the work, too. The caller must
// call end when the work is done.
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

// drain makes begin return false from now on. It blocks until all requests and their background work have ended, or
// until ctx ends. It may be called more than once.
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
