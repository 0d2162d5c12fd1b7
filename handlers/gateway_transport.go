package handlers

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// Times of a connection to Sinch, and of one to a caller.
const (
	gatewayDial     = 5 * time.Second
	gatewayBodyTime = 15 * time.Second // for a request's body to arrive
	gatewayStall    = 30 * time.Second // how long an answer may stand still, on either side
)

// newGatewayTransport carries requests as they are: nothing is compressed, decompressed or redirected.
func newGatewayTransport(timeout time.Duration) *http.Transport {
	dialer := &net.Dialer{Timeout: gatewayDial}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    gatewayDial,
		ResponseHeaderTimeout:  timeout,
		ExpectContinueTimeout:  time.Second,
		DisableCompression:     true,
		MaxIdleConnsPerHost:    64,
		IdleConnTimeout:        45 * time.Second, // a send on a connection that Sinch has just closed is not repeated
		MaxResponseHeaderBytes: 64 << 10,
		// A connection that died without a word is found out before the next send is lost on it.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second},
	}
}

// buffers lends the memory through which answers are copied.
type buffers struct{ pool sync.Pool }

const bufferSize = 32 << 10

func (b *buffers) Get() []byte {
	if lent, ok := b.pool.Get().(*[bufferSize]byte); ok {
		return lent[:]
	}
	return make([]byte, bufferSize)
}

func (b *buffers) Put(buf []byte) { b.pool.Put((*[bufferSize]byte)(buf)) }

// traffic counts what is under way, so that an end can wait for it.
type traffic struct {
	mu       sync.Mutex
	inFlight int           // guarded by mu
	draining bool          // guarded by mu
	idle     chan struct{} // closed when draining and nothing is under way
}

func newTraffic() *traffic { return &traffic{idle: make(chan struct{})} }

// begin reports whether a request may be worked on; end must follow then.
func (t *traffic) begin() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.draining {
		return false
	}
	t.inFlight++
	return true
}

// add counts work that a request under way leaves behind; end must follow.
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

// drain lets nothing begin any more and waits for what is under way, or for ctx to end.
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
