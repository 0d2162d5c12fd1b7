package destinations

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/events"
	"github.com/dlrloop/dlrloop/store"
)

// caught is a request as a server received it.
type caught struct {
	header http.Header
	body   []byte
}

// catch starts a server that keeps the last request, and then answers it.
func catch(t *testing.T, answer http.HandlerFunc) (*httptest.Server, *atomic.Pointer[caught]) {
	t.Helper()
	var last atomic.Pointer[caught]
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		last.Store(&caught{r.Header, body})
		if answer != nil {
			answer(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s, &last
}

// senderFor returns the sender for a destination at this URL; change may alter it.
func senderFor(t *testing.T, url string, change func(*Destination)) *sender {
	t.Helper()
	d := Destination{Name: "app", URL: url, Secrets: []string{secret1}, Timeout: 5 * time.Second}
	if change != nil {
		change(&d)
	}
	d.Check(func(member, text string) { t.Errorf("%s: %s", member, text) })
	s, err := newSender(d.WithDefaults(), "dlrloop/1.2.3")
	require.NoError(t, err)
	t.Cleanup(s.client.CloseIdleConnections)
	return s
}

func eventOf(batch string, version int64) *store.Event {
	return &store.Event{Type: store.RecipientStatus, Plan: planA, BatchID: batch, Version: version}
}

func TestStandardWebhooks(t *testing.T) {
	server, last := catch(t, nil)
	s := senderFor(t, server.URL+"/a?b=c", func(d *Destination) {
		d.Secrets, d.Token = []string{secret2, secret1}, "tok-123456"
	})
	e := eventOf("b", 7)
	a, err := s.send(t.Context(), []*store.Event{e})
	require.NoError(t, err)
	require.Equal(t, store.DeliveryAccepted, a.reason)
	require.Empty(t, a.detail)
	got := last.Load()
	for _, secret := range []string{secret1, secret2} {
		verifier, err := standardwebhooks.NewWebhook(secret)
		require.NoError(t, err)
		require.NoError(t, verifier.Verify(got.body, got.header), "each secret verifies during a rotation")
		require.Error(t, verifier.Verify(append(got.body, ' '), got.header))
	}
	want, err := events.Marshal(e)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got.body))
	require.Equal(t, e.ID(), got.header.Get("webhook-id"))
	require.Len(t, strings.Fields(got.header.Get("webhook-signature")), 2)
	require.Equal(t, "application/json", got.header.Get("Content-Type"))
	require.Equal(t, "dlrloop/1.2.3", got.header.Get("User-Agent"))
	require.Equal(t, "Bearer tok-123456", got.header.Get("Authorization"))
	require.NotContains(t, got.header, "Idempotency-Key")
}

func TestArrays(t *testing.T) {
	server, last := catch(t, nil)
	s := senderFor(t, server.URL, func(d *Destination) { d.MaxEvents = 10 })
	for n := 1; n < 4; n++ {
		var list []*store.Event
		for i := range n {
			list = append(list, eventOf("b", int64(i+1)))
		}
		_, err := s.send(t.Context(), list)
		require.NoError(t, err)
		got := last.Load()
		var bodies []sent
		require.NoError(t, json.Unmarshal(got.body, &bodies))
		require.Len(t, bodies, n)
		require.Equal(t, list[n-1].ID(), bodies[n-1].ID)
		require.Equal(t, list[0].ID()+"."+string(rune('0'+n)), got.header.Get("webhook-id"))
		verifier, err := standardwebhooks.NewWebhook(secret1)
		require.NoError(t, err)
		require.NoError(t, verifier.Verify(got.body, got.header))
	}
}

func TestFormatSinch(t *testing.T) {
	server, last := catch(t, nil)
	s := senderFor(t, server.URL, func(d *Destination) { d.Format, d.Secrets = FormatSinch, nil })
	raw := []byte("{ \"type\" : \"delivery_report_sms\",\r\n\"x\":\"\u00e9\" }\n")
	e := &store.Event{
		Type: store.ReportReceived, Plan: planA, BatchID: "b", Version: 1, Raw: raw,
		Signature: &store.Signature{Algorithm: "HmacSHA256", Nonce: "01K", Timestamp: "1700000000", Value: "c2ln"},
	}
	_, err := s.send(t.Context(), []*store.Event{e})
	require.NoError(t, err)
	got := last.Load()
	require.Equal(t, raw, got.body)
	for name, value := range map[string]string{
		"x-sinch-webhook-signature": "c2ln", "x-sinch-webhook-signature-timestamp": "1700000000",
		"x-sinch-webhook-signature-nonce": "01K", "x-sinch-webhook-signature-algorithm": "HmacSHA256",
	} {
		require.Equal(t, []string{value}, got.header.Values(name))
	}
	require.Empty(t, got.header.Get("webhook-signature"))

	e.Signature = nil
	_, err = s.send(t.Context(), []*store.Event{e})
	require.NoError(t, err)
	for name := range last.Load().header {
		require.NotContains(t, name, "Sinch", "Sinch did not sign it")
	}
}

func TestAnswers(t *testing.T) {
	for status, want := range map[int]store.DeliveryReason{
		200: store.DeliveryAccepted, 202: store.DeliveryAccepted, 204: store.DeliveryAccepted,
		301: store.DeliveryRedirected, 304: store.DeliveryRedirected, 307: store.DeliveryRedirected,
		400: store.DeliveryRejected, 401: store.DeliveryRejected, 404: store.DeliveryRejected,
		413: store.DeliveryRejected, 408: store.DeliveryTimeout, 410: store.DeliveryGone, 429: store.DeliveryRateLimited,
		500: store.DeliveryServer, 503: store.DeliveryServer, 599: store.DeliveryServer,
	} {
		var calls atomic.Int32
		server, _ := catch(t, func(w http.ResponseWriter, r *http.Request) {
			calls.Add(1)
			w.Header().Set("Location", "/elsewhere")
			w.Header().Set("Retry-After", "90")
			w.WriteHeader(status)
			if status != 204 && status != 304 {
				_, _ = io.WriteString(w, "call +44 7700 900118,\n"+secret1+" tok-123456 <p>\x00")
			}
		})
		s := senderFor(t, server.URL, func(d *Destination) { d.Token = "tok-123456" })
		a, err := s.send(t.Context(), []*store.Event{eventOf("b", 1)})
		require.NoError(t, err)
		require.Equal(t, want, a.reason, "%d", status)
		require.EqualValues(t, 1, calls.Load(), "no redirect is followed")
		for _, secret := range []string{"7700 900118", secret1, "tok-123456", "\n", "\x00"} {
			require.NotContains(t, a.detail, secret)
		}
		if want != store.DeliveryAccepted {
			require.Contains(t, a.detail, "HTTP ")
		}
		wait := time.Duration(0) // another answer may concern only its event, and must not stop the others
		if status == 429 || status == 503 {
			wait = 90 * time.Second
		}
		require.Equal(t, wait, a.retryAfter, "%d", status)
	}
}

func TestSuccessOfAnyForm(t *testing.T) {
	var written atomic.Int64
	for name, answer := range map[string]http.HandlerFunc{
		"html": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<html>thanks</html>")
		},
		"endless body": func(w http.ResponseWriter, r *http.Request) {
			block := make([]byte, 32<<10)
			for r.Context().Err() == nil {
				n, err := w.Write(block)
				written.Add(int64(n))
				if err != nil {
					return
				}
			}
		},
		"broken body": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, "begins")
		},
	} {
		server, _ := catch(t, answer)
		a, err := senderFor(t, server.URL, nil).send(t.Context(), []*store.Event{eventOf("b", 1)})
		require.NoError(t, err)
		require.Equal(t, store.DeliveryAccepted, a.reason, name)
		require.Less(t, a.took, 4*time.Second)
	}
	require.Less(t, written.Load(), int64(64<<20), "only the beginning is read; the rest is in the buffers of the network")
}

func TestConnectionFailures(t *testing.T) {
	closed, _ := catch(t, nil)
	closed.Close()
	resets, _ := catch(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	release := make(chan struct{})
	hangs, _ := catch(t, func(http.ResponseWriter, *http.Request) { <-release })
	t.Cleanup(func() { close(release) })
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	t.Cleanup(secure.Close)
	secure.Config.ErrorLog = quiet()
	secure.StartTLS()
	for url, want := range map[string]store.DeliveryReason{
		closed.URL:                 store.DeliveryNetwork,
		resets.URL:                 store.DeliveryNetwork,
		hangs.URL + "/?key=s3cr3t": store.DeliveryTimeout,
		secure.URL:                 store.DeliveryTLS,
	} {
		s := senderFor(t, url, func(d *Destination) { d.Timeout = 300 * time.Millisecond })
		a, err := s.send(t.Context(), []*store.Event{eventOf("b", 1)})
		require.NoError(t, err)
		require.Equal(t, want, a.reason, a.detail)
		require.NotEmpty(t, a.detail)
		require.NotContains(t, a.detail, "s3cr3t", "the URL may contain a secret")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a, err := senderFor(t, hangs.URL, nil).send(ctx, []*store.Event{eventOf("b", 1)})
	require.NoError(t, err)
	require.Equal(t, store.DeliveryCanceled, a.reason)
}

// serveRaw starts a server that reads one request of each connection, writes this answer, and keeps the connection.
func serveRaw(t *testing.T, answer string) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	ended := t.Context().Done()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = c.Read(make([]byte, 64<<10))
				_, _ = io.WriteString(c, answer)
				<-ended
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

// After 101 the connection is no longer HTTP, and net/http no longer ends reads from it.
func TestSwitchingProtocols(t *testing.T) {
	url := serveRaw(t, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
	answers := make(chan answer, 1)
	s := senderFor(t, url, func(d *Destination) { d.Timeout = 300 * time.Millisecond })
	go func() {
		a, err := s.send(context.Background(), []*store.Event{eventOf("b", 1)})
		assert.NoError(t, err)
		answers <- a
	}()
	select {
	case a := <-answers:
		require.Equal(t, store.DeliveryNetwork, a.reason)
		require.Equal(t, "HTTP 101", a.detail)
	case <-time.After(20 * time.Second):
		t.Fatal("the request does not end")
	}
}

// A destination whose format has changed may have deferred events without a callback. They must not be posted as empty
// bodies.
func TestFormatSinchNeedsACallback(t *testing.T) {
	server, last := catch(t, nil)
	s := senderFor(t, server.URL, func(d *Destination) { d.Format, d.Secrets = FormatSinch, nil })
	_, err := s.send(t.Context(), []*store.Event{eventOf("b", 1)})
	require.ErrorIs(t, err, errEncoding)
	require.Nil(t, last.Load(), "no request is made")
}

// A server that closes an idle connection while it is used again causes no failure.
func TestClosedIdleConnection(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for range 2 { // the second request on the first connection is cut off
					b := make([]byte, 64<<10)
					if _, err := c.Read(b); err != nil || n == 0 && strings.Contains(string(b), "second") {
						return
					}
					_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				}
			}()
		}
	}()
	s := senderFor(t, "http://"+l.Addr().String(), nil)
	for _, batch := range []string{"first", "second"} {
		a, err := s.send(t.Context(), []*store.Event{eventOf(batch, 1)})
		require.NoError(t, err)
		require.Equal(t, store.DeliveryAccepted, a.reason, a.detail)
	}
}
