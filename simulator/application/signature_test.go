package application

import (
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestReferenceSignature checks the example of the Standard Webhooks libraries.
func TestReferenceSignature(t *testing.T) {
	a, err := New(Config{Secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"})
	require.NoError(t, err)
	h := http.Header{}
	h.Set("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek")
	h.Set("webhook-timestamp", "1614265330")
	const right = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
	body := []byte(`{"test": 2432232314}`)
	at := time.Unix(1614265330, 0)
	for name, c := range map[string]struct {
		signature string
		now       time.Time
		fails     string
	}{
		"right":               {right, at, ""},
		"right, among others": {"v1a,abc v1,AAAA " + right, at, ""},
		"a little old":        {right, at.Add(5 * time.Minute), ""},
		"a little early":      {right, at.Add(-5 * time.Minute), ""},
		"too old":             {right, at.Add(301 * time.Second), "differs from the clock by 5m1s"},
		"too early":           {right, at.Add(-301 * time.Second), "differs from the clock by 5m1s"},
		"another version":     {strings.Replace(right, "v1", "v2", 1), at, "no v1 signature"},
		"wrong":               {strings.Replace(right, "g0", "g1", 1), at, "no v1 signature"},
		"cut off":             {right[:20], at, "no v1 signature"},
		"none":                {"", at, "no v1 signature"},
	} {
		h.Set("webhook-signature", c.signature)
		err := a.verifyEvents(h, body, c.now)
		if c.fails == "" {
			assert.NoError(t, err, name)
		} else {
			assert.ErrorContains(t, err, c.fails, name)
		}
	}
}

func TestRefusesWrongSignatures(t *testing.T) {
	r := newRelay(t, Config{Secret: secret, CallbackSecret: callbackSecret, Calm: true})
	event := recipientStatus("b", 1, "Delivered")
	refused := 0
	for name, change := range map[string]func(*http.Request){
		"no signature":    func(q *http.Request) { q.Header.Del("webhook-signature") },
		"no timestamp":    func(q *http.Request) { q.Header.Del("webhook-timestamp") },
		"no id":           func(q *http.Request) { q.Header.Del("webhook-id") },
		"other timestamp": func(q *http.Request) { q.Header.Set("webhook-timestamp", "1614265330") },
		"a date":          func(q *http.Request) { q.Header.Set("webhook-timestamp", "2026-03-01T10:00:00Z") },
		"other id":        func(q *http.Request) { q.Header.Set("webhook-id", "evt_b2") },
	} {
		q := r.request("evt_b1", event)
		change(q)
		assert.Equal(t, http.StatusUnauthorized, r.status(q), name)
		refused++
	}
	q := r.request("evt_b1", event)
	changed := r.request("evt_b1", strings.Replace(event, "Delivered", "Failed", 1))
	changed.Header = q.Header
	assert.Equal(t, http.StatusUnauthorized, r.status(changed), "another body")
	refused++
	assert.Equal(t, refused, r.app.Ledger().SignatureFailures)
	assert.Zero(t, r.app.Ledger().Events)
	assert.Equal(t, http.StatusNoContent, r.status(q), "the right body")
}

func TestAcceptsCallbacksOfSinch(t *testing.T) {
	var seen []string
	r := newRelay(t, Config{
		CallbackSecret: callbackSecret, Calm: true, Observe: func(e Event) { seen = append(seen, e.String()) },
	})
	read := func(name string) string {
		body, err := os.ReadFile("../../dlr/fixtures/" + name)
		require.NoError(t, err)
		return string(body)
	}
	report, inbound := read("cb-rdr-sms-delivered.json"), read("cb-mo-text.json")
	for _, body := range []string{report, inbound, read("cb-dr-sms-full.json"), report, inbound} {
		require.Equal(t, http.StatusNoContent, r.status(r.callback(body)), "%v", r.app.Ledger().Problems)
	}
	l := r.app.Ledger()
	assert.Equal(t, 3, l.Events)
	assert.Equal(t, 2, l.Repeats)
	assert.Equal(t, map[string]int{
		"recipient_delivery_report_sms": 1, "delivery_report_sms": 1, "mo_text": 1,
	}, l.ByType)
	assert.Equal(t, "inbound_01K2SEJ4R7X0VQ8D3HTM6BKCYZ", r.app.Events()[1].ID)
	assert.Contains(t, seen[0], "Delivered 0")
	assert.NotContains(t, strings.Join(seen, ""), "12025550180")

	q := r.callback(report)
	q.Header.Set("x-sinch-webhook-signature-nonce", "other")
	assert.Equal(t, http.StatusUnauthorized, r.status(q))
	q = r.callback(report)
	q.Header.Del("x-sinch-webhook-signature")
	assert.Equal(t, http.StatusUnauthorized, r.status(q))
	q = r.callback(report)
	q.Header.Set("x-sinch-webhook-signature-algorithm", "HmacSHA1")
	assert.Equal(t, http.StatusUnauthorized, r.status(q))
	assert.Equal(t, http.StatusBadRequest, r.status(r.callback(`{}`)))
	assert.Equal(t, 3, r.app.Ledger().SignatureFailures)

	onlyEvents := newRelay(t, Config{Secret: secret, Calm: true})
	assert.Equal(t, http.StatusUnauthorized, onlyEvents.status(onlyEvents.callback(report)))
	any := newRelay(t, Config{Calm: true})
	q = any.callback(report)
	q.Header.Del("x-sinch-webhook-signature")
	assert.Equal(t, http.StatusNoContent, any.status(q), "without a secret nothing is verified")
}
