package application

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// secret has the key "key of this test".
var secret = "whsec_" + base64.StdEncoding.EncodeToString([]byte("key of this test"))

const callbackSecret = "plan-secret-example"

// relay delivers events to an Application over HTTP.
type relay struct {
	t      *testing.T
	app    *Application
	server *httptest.Server
}

func newRelay(t *testing.T, c Config) *relay {
	t.Helper()
	app, err := New(c)
	require.NoError(t, err)
	r := &relay{t: t, app: app, server: httptest.NewServer(app.Handler())}
	t.Cleanup(r.server.Close)
	return r
}

// recipientStatus returns an event: message n of a batch has a status, with the given version.
func recipientStatus(batch string, version int, status string) string {
	return fmt.Sprintf(`{"id":"evt_%s%d","type":"recipient.status","timestamp":"2026-03-01T10:00:00.123Z","data":{`+
		`"plan":"p","batch_id":"%s","version":%d,"recipient":"447700900133","status":"%s","code":0,"final":true,`+
		`"at":"2026-03-01T10:00:00.100Z"}}`, batch, version, batch, version, status)
}

// id returns the id of the event that recipientStatus returns.
func id(batch string, version int) string { return fmt.Sprintf("evt_%s%d", batch, version) }

// request returns a signed request to deliver a body.
func (r *relay) request(id, body string) *http.Request {
	r.t.Helper()
	req, err := http.NewRequest(http.MethodPost, r.server.URL+"/events", strings.NewReader(body))
	require.NoError(r.t, err)
	timestamp := fmt.Sprint(time.Now().Unix())
	req.Header.Set("webhook-id", id)
	req.Header.Set("webhook-timestamp", timestamp)
	req.Header.Set("webhook-signature", signature([]byte("key of this test"), id+"."+timestamp+"."+body))
	return req
}

func signature(key []byte, text string) string {
	mac := hmac.New(sha256.New, key)
	_, _ = mac.Write([]byte(text))
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// do sends a request and returns the answer, or nil if there was none.
func (r *relay) do(req *http.Request) *http.Response {
	r.t.Helper()
	transport := &http.Transport{DisableKeepAlives: true} // so that net/http does not repeat a request after a reset
	answer, err := transport.RoundTrip(req)
	if err != nil {
		return nil
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	require.NoError(r.t, answer.Body.Close())
	return answer
}

// status sends a request and returns the status of the answer, or 0 if there was none.
func (r *relay) status(req *http.Request) int {
	r.t.Helper()
	answer := r.do(req)
	if answer == nil {
		return 0
	}
	return answer.StatusCode
}

// deliver delivers one event and returns the status of the answer, or 0.
func (r *relay) deliver(batch string, version int) int {
	r.t.Helper()
	return r.status(r.request(id(batch, version), recipientStatus(batch, version, "Delivered")))
}

// callback returns a request to deliver a callback of Sinch with a signature of Sinch.
func (r *relay) callback(body string) *http.Request {
	r.t.Helper()
	req, err := http.NewRequest(http.MethodPost, r.server.URL+"/events", strings.NewReader(body))
	require.NoError(r.t, err)
	const nonce, timestamp = "01K2S9AHX7ZC3M5V8EQR0WTB4D", "1755511339"
	signed := signature([]byte(callbackSecret), body+"."+nonce+"."+timestamp)
	req.Header.Set("x-sinch-webhook-signature", strings.TrimPrefix(signed, "v1,"))
	req.Header.Set("x-sinch-webhook-signature-nonce", nonce)
	req.Header.Set("x-sinch-webhook-signature-timestamp", timestamp)
	req.Header.Set("x-sinch-webhook-signature-algorithm", "HmacSHA256")
	return req
}

// call calls another route and returns the status and the body of the answer.
func (r *relay) call(method, path, body string) (int, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, r.server.URL+path, bytes.NewBufferString(body))
	require.NoError(r.t, err)
	answer, err := http.DefaultClient.Do(req)
	require.NoError(r.t, err)
	defer answer.Body.Close()
	read, err := io.ReadAll(answer.Body)
	require.NoError(r.t, err)
	return answer.StatusCode, string(read)
}
