package server_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/config"
	"github.com/dlrloop/dlrloop/dlr/fixtures"
	"github.com/dlrloop/dlrloop/relay/destinations"
)

const signing = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

// applicationURLs receives events at two URLs: /events, according to Standard Webhooks, and /callbacks, as from Sinch.
// It verifies each request and fails the test if the signature is wrong.
type applicationURLs struct {
	*httptest.Server
	t *testing.T

	mu        sync.Mutex // guards the fields below
	events    []received
	callbacks []string
	bodies    []string       // of all accepted requests
	status    int            // of the answers; 0 means to accept the requests
	refused   map[string]int // requests that were not accepted, by path
}

// received is an event in the format of the feed.
type received struct {
	ID, Type string
	Data     struct {
		Plan      string
		BatchID   string `json:"batch_id"`
		Version   int64
		Recipient string
		Status    string
	}
}

func newApplication(t *testing.T) *applicationURLs {
	t.Helper()
	a := &applicationURLs{t: t, refused: make(map[string]int)}
	a.Server = httptest.NewServer(a)
	t.Cleanup(a.Close)
	return a
}

// ServeHTTP implements http.Handler.
func (a *applicationURLs) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	assert.NoError(a.t, err)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.status != 0 {
		a.refused[r.URL.Path]++
		w.WriteHeader(a.status)
		return
	}
	a.bodies = append(a.bodies, string(body))
	if r.URL.Path == "/callbacks" {
		mac := hmac.New(sha256.New, []byte(secret))
		_, _ = fmt.Fprintf(mac, "%s.%s.%s", body, r.Header.Get("x-sinch-webhook-signature-nonce"),
			r.Header.Get("x-sinch-webhook-signature-timestamp"))
		assert.Equal(a.t, base64.StdEncoding.EncodeToString(mac.Sum(nil)), r.Header.Get("x-sinch-webhook-signature"))
		assert.Equal(a.t, "HmacSHA256", r.Header.Get("x-sinch-webhook-signature-algorithm"))
		a.callbacks = append(a.callbacks, string(body))
		return
	}
	verifier, err := standardwebhooks.NewWebhook(signing)
	assert.NoError(a.t, err)
	assert.NoError(a.t, verifier.Verify(body, r.Header))
	var e received
	assert.NoError(a.t, json.Unmarshal(body, &e))
	assert.Equal(a.t, e.ID, r.Header.Get("webhook-id"))
	a.events = append(a.events, e)
}

// answer makes the application answer with this status from now on, or accept requests if it is 0.
func (a *applicationURLs) answer(status int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.status = status
}

// refusals returns how many requests with this path were not accepted.
func (a *applicationURLs) refusals(path string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.refused[path]
}

// types returns the types of the events received for a batch, or for none, in order.
func (a *applicationURLs) types(batch string) (types []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range a.events {
		if e.Data.BatchID == batch {
			types = append(types, e.Type)
		}
	}
	return types
}

func (a *applicationURLs) gotCallback(body []byte) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Contains(a.callbacks, string(body))
}

// sendsTo configures both destinations of an application.
func sendsTo(a *applicationURLs) func(*config.Config) {
	return func(c *config.Config) {
		events, callbacks := config.DefaultDestination(), config.DefaultDestination()
		events.Name, events.URL, events.Secrets = "events", a.URL+"/events", []config.Secret{signing}
		callbacks.Name, callbacks.URL, callbacks.Format = "callbacks", a.URL+"/callbacks", destinations.FormatSinch
		events.Backoff = config.Backoff{Base: config.Duration(time.Millisecond), Cap: config.Duration(time.Second)}
		callbacks.Backoff = events.Backoff
		c.Destinations = []config.Destination{events, callbacks}
	}
}

// The application hears of all changes, in both formats, also of those during its outage and before a restart.
func TestDestinations(t *testing.T) {
	a := newApplication(t)
	w := newWorld(t, sendsTo(a))
	report := fixtures.Read(t, "cb-rdr-sms-delivered.json")
	inbound := fixtures.Read(t, "cb-mo-text.json")
	require.Equal(t, http.StatusOK, w.callback(report))
	require.Equal(t, http.StatusOK, w.callback(inbound))
	require.Equal(t, http.StatusOK, w.callback([]byte(`{"type":"?"}`)))
	const reported = "01K2S9A1V5K3C8MEX7RQ0YBD4W"
	w.eventually("the events", func() bool { return len(a.types(reported)) == 1 && len(a.types("")) == 2 })
	require.Equal(t, []string{"recipient.status"}, a.types(reported))
	require.ElementsMatch(t, []string{"inbound.received", "callback.quarantined"}, a.types(""))
	w.eventually("the callbacks", func() bool {
		return a.gotCallback(report) && a.gotCallback(inbound) && a.gotCallback([]byte(`{"type":"?"}`))
	})
	require.Len(t, a.callbacks, 3)

	var listed struct {
		Items []struct {
			Name       string
			Configured bool
		}
	}
	w.read("/api/v1/destinations", &listed)
	require.Len(t, listed.Items, 2)
	require.True(t, listed.Items[0].Configured && listed.Items[1].Configured)

	a.answer(http.StatusServiceUnavailable)
	id := w.sendTo(w.gateway(), "per_recipient_final", true, "447700900118", "447700900119")
	w.eventually("the reports", func() bool { return w.batch(id).RecipientsByStatus["Delivered"] == 2 })
	w.eventually("the feedback", func() bool { return w.batch(id).Feedback.Sent == 2 })
	require.NoError(t, w.end())
	a.answer(0)
	w.start()
	w.eventually("all events of the batch", func() bool {
		types := a.types(id)
		return slices.Contains(types, "batch.completed") && slices.Contains(types, "feedback.accepted")
	})
	statuses := 0
	for _, typ := range a.types(id) {
		if typ == "recipient.status" {
			statuses++
		}
	}
	require.Equal(t, 2, statuses)
	require.NoError(t, w.end())
	seen := make(map[string]bool)
	version := int64(0)
	for _, e := range a.events {
		require.False(t, seen[e.ID], "%s is repeated", e.Type)
		seen[e.ID] = true
		if e.Data.BatchID == id {
			require.Greater(t, e.Data.Version, version, "in order")
			version = e.Data.Version
		}
	}
}

// Of two replicas one delivers. When it stops, the other continues, and nothing is lost or repeated.
func TestReplicasTakeTurnsInDelivering(t *testing.T) {
	database := postgres.Database(t)
	a := newApplication(t)
	one := newWorld(t, func(c *config.Config) {
		keepInDatabase(c, database)
		sendsTo(a)(c)
	})
	two := one.beside()
	batch := 0
	report := func(to *world, n int) {
		for range n {
			batch++
			body := fmt.Appendf(nil, `{"type":"recipient_delivery_report_sms","batch_id":"b%d","recipient":"447700900118",`+
				`"code":0,"status":"Delivered","at":"2026-01-31T12:00:00.123Z"}`, batch)
			require.Equal(t, http.StatusOK, to.callback(body))
		}
	}
	report(one, 20)
	report(two, 20)
	received := func() int {
		a.mu.Lock()
		defer a.mu.Unlock()
		return min(len(a.callbacks), len(a.events))
	}
	one.eventually("events of both replicas", func() bool { return received() == 40 })
	var stats struct {
		Replica string
		Leaders map[string]string
	}
	one.read("/api/v1/stats", &stats)
	leader, other := one, two
	if stats.Replica != stats.Leaders["destinations"] {
		leader, other = two, one
	}
	report(other, 20)
	require.NoError(t, leader.end())
	report(other, 20)
	other.eventually("events after the leader has stopped", func() bool { return received() == 80 })
	require.NoError(t, other.end())
	seen := make(map[string]bool)
	for _, body := range a.callbacks {
		require.False(t, seen[body], "repeated")
		seen[body] = true
	}
	require.Len(t, a.events, 80)
}
