package e2e

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// webhookOnly starts a program that only accepts callbacks of one plan, signed with secret.
func webhookOnly(t *testing.T, limit memoryLimit, more ...string) *program {
	t.Helper()
	return webhookWith(t, fmt.Sprintf("{path: %q}", t.TempDir()+"/data"), limit, more...)
}

// webhookWith is webhookOnly with a configuration of the store.
func webhookWith(t *testing.T, store string, limit memoryLimit, more ...string) *program {
	t.Helper()
	group, wrap := limit(t) // created before the program, so that the program is ended first
	p := configured(t, fmt.Sprintf(`
store: %s
log: {level: warn, format: json}
plans:
  - {id: %s, region: eu, feedback: {on: off}, webhook: {auth: {hmac: {secrets: [%s]}}}}
%s
`, store, plan, secret, strings.Join(more, "\n")))
	p.log, p.cgroup, p.wrap = io.Discard, group, wrap
	p.start()
	return p
}

// calls sends callbacks from one client with its own connections.
type calls struct {
	http.Client
	url string
}

func newCalls(t *testing.T, p *program) *calls {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	return &calls{http.Client{Transport: transport, Timeout: time.Minute}, "http://" + p.public + "/webhooks/" + plan}
}

// signature returns the signature headers for a body.
func signature(key string, signed []byte) http.Header {
	const nonce, timestamp = "01K2S9AHX7ZC3M5V8EQR0WTB4D", "1755511339"
	mac := hmac.New(sha256.New, []byte(key))
	fmt.Fprintf(mac, "%s.%s.%s", signed, nonce, timestamp)
	return http.Header{
		"X-Sinch-Webhook-Signature":           {base64.StdEncoding.EncodeToString(mac.Sum(nil))},
		"X-Sinch-Webhook-Signature-Nonce":     {nonce},
		"X-Sinch-Webhook-Signature-Timestamp": {timestamp},
		"X-Sinch-Webhook-Signature-Algorithm": {"HmacSHA256"},
	}
}

// send returns the status of the answer, or 0 if there is none.
func (c *calls) send(ctx context.Context, header http.Header, body []byte) int {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return 0
	}
	r.Header = header.Clone()
	answer, err := c.Do(r)
	if err != nil {
		return 0
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode
}

func compress(t *testing.T, plain []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write(plain)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return b.Bytes()
}

// genuine sends count correctly signed callbacks, one after the other, and checks that all are answered 200. It
// returns the sorted durations.
func (c *calls) genuine(t *testing.T, kind string, count int) []time.Duration {
	t.Helper()
	var took []time.Duration
	for i := range count {
		plain := fmt.Appendf(nil,
			`{"type":"recipient_delivery_report_sms","batch_id":"%s","recipient":"4477%08d","code":0,`+
				`"status":"Delivered","at":"2026-01-31T12:00:00.123Z"}`, kind, i)
		body, signed := plain, plain
		if kind != "plain" {
			body = compress(t, plain)
		}
		if kind == "packed" {
			signed = body
		}
		begun := time.Now()
		assert.Equal(t, http.StatusOK, c.send(t.Context(), signature(secret, signed), body), "%s %d", kind, i)
		took = append(took, time.Since(begun))
	}
	slices.Sort(took)
	return took
}

// genuineKinds are the ways in which Sinch may send and sign a body: plain; compressed, then signed; signed, then
// compressed.
var genuineKinds = []string{"plain", "packed", "unpacked"}

// TestBombsOfUnauthenticatedCallers checks that compressed bombs of a caller without the secret neither kill a small
// server nor block genuine callbacks.
func TestBombsOfUnauthenticatedCallers(t *testing.T) {
	p := webhookOnly(t, cgroupLimit(512<<20))
	stopWatching := watchPeak(t, p)
	bomb, invented := compress(t, make([]byte, 16<<20)), signature("guess", nil)

	var attack sync.WaitGroup
	var sent atomic.Int64
	for range 16 {
		attacker := newCalls(t, p)
		attack.Go(func() {
			for range 30 {
				if attacker.send(t.Context(), invented, bomb) == http.StatusServiceUnavailable {
					sent.Add(1)
				}
			}
		})
	}
	callers := newCalls(t, p)
	for _, kind := range genuineKinds {
		took := callers.genuine(t, kind, 100)
		t.Logf("%s: median %s, slowest %s", kind, took[len(took)/2], took[len(took)-1])
	}
	attack.Wait()
	require.EqualValues(t, 16*30, sent.Load(), "every unauthenticated call must be answered 503")
	for _, kind := range genuineKinds {
		took := callers.genuine(t, kind, 100)
		t.Logf("%s without the attack: median %s", kind, took[len(took)/2])
	}
	t.Logf("anonymous memory: %d MB at most", stopWatching()>>20)
	p.stop()
}

// openSlowConnections opens connections that each announce a body and send it so slowly that it never ends.
func openSlowConnections(t *testing.T, p *program, connections int) {
	t.Helper()
	ctx, end := context.WithCancel(t.Context())
	var all sync.WaitGroup
	var head bytes.Buffer
	fmt.Fprintf(&head, "POST /webhooks/%s HTTP/1.1\r\nHost: h\r\nContent-Length: 65536\r\n", plan)
	require.NoError(t, signature("guess", nil).Write(&head))
	head.WriteString("\r\n")
	pause := func() {
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
	}
	slow := func() {
		c, err := net.Dial("tcp", p.public)
		if err != nil {
			pause()
			return
		}
		defer c.Close()
		for message := head.Bytes(); err == nil && ctx.Err() == nil; message = []byte("0123456789") {
			_, err = c.Write(message)
			pause()
		}
	}
	for range connections {
		all.Go(func() {
			for ctx.Err() == nil { // reconnect if dlrloop dropped the connection
				slow()
			}
		})
	}
	t.Cleanup(func() {
		end()
		all.Wait()
	})
}

// TestSlowUnauthenticatedConnections checks that slow connections of callers without the secret block neither genuine
// callbacks nor health checks.
func TestSlowUnauthenticatedConnections(t *testing.T) {
	for _, connections := range []int{1100, 3000} {
		t.Run(fmt.Sprint(connections), func(t *testing.T) {
			p := webhookOnly(t, unlimited)
			openSlowConnections(t, p, connections)
			eventually(t, "under attack", func() bool {
				return bytes.Contains(p.read("/metrics"), []byte(`outcome="shed_unverified"`)) &&
					!bytes.Contains(p.read("/metrics"),
						[]byte(`outcome="shed_unverified",plan="crash",type="other"} 0`))
			})
			for range 5 {
				for _, kind := range genuineKinds {
					took := newCalls(t, p).genuine(t, kind, 20) // a new client, with new connections
					t.Logf("%s: median %s, slowest %s", kind, took[len(took)/2], took[len(took)-1])
				}
			}
			require.Equal(t, "ok\n", string(p.read("/healthz")))
			require.Equal(t, "ready\n", string(p.read("/readyz")))
			p.stop()
		})
	}
}

// watchPeak samples the anonymous memory of a program every 5 ms. stop returns the largest sample.
func watchPeak(t *testing.T, p *program) (stop func() int64) {
	t.Helper()
	ended, peak := make(chan struct{}), make(chan int64, 1)
	go func() {
		most := int64(0)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			most = max(most, p.anonymous())
			select {
			case <-tick.C:
			case <-ended:
				peak <- most
				return
			}
		}
	}()
	stop = sync.OnceValue(func() int64 {
		close(ended)
		return <-peak
	})
	t.Cleanup(func() { stop() })
	return stop
}
