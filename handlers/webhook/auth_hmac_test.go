package webhook_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/handlers/webhook"
)

// sign returns the headers of Sinch's signature of body.
func sign(secret string, body []byte, at time.Time) http.Header {
	return signAs(secret, body, "01K2S9AHX7ZC3M5V8EQR0WTB4D", strconv.FormatInt(at.Unix(), 10))
}

// signAs signs body with the given nonce and timestamp.
func signAs(secret string, body []byte, once, seconds string) http.Header {
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%s.%s.%s", body, once, seconds)
	return http.Header{
		signature: {base64.StdEncoding.EncodeToString(mac.Sum(nil))},
		timestamp: {seconds}, nonce: {once}, algorithm: {"HmacSHA256"},
	}
}

func bySecrets(secrets ...string) webhook.Auth {
	return webhook.Auth{HMAC: webhook.HMAC{Secrets: secrets}}
}

// The fixture was accepted by one of Sinch's own client libraries.
func TestSinchsSignatureIsAccepted(t *testing.T) {
	signed := readSigned(t)
	genuine := func() callback {
		c := callback{header: make(http.Header), body: []byte(signed.Body)}
		for name, value := range signed.Headers {
			c.header.Set(name, value)
		}
		return c
	}
	for name, c := range map[string]struct {
		change func(*callback)
		status int
	}{
		"genuine":              {func(*callback) {}, 200},
		"no algorithm":         {func(c *callback) { c.header.Del(algorithm) }, 200},
		"algorithm in capital": {func(c *callback) { c.header.Set(algorithm, "HMACSHA256") }, 200},
		"other algorithm":      {func(c *callback) { c.header.Set(algorithm, "HmacSHA1") }, 503},
		"second value wrong":   {func(c *callback) { c.header.Add(signature, "x") }, 200},
		"first value wrong": {
			func(c *callback) { c.header[signature] = []string{"x", c.header.Get(signature)} },
			503,
		},
		"no signature":    {func(c *callback) { c.header.Del(signature) }, 503},
		"no nonce":        {func(c *callback) { c.header.Del(nonce) }, 503},
		"no timestamp":    {func(c *callback) { c.header.Del(timestamp) }, 503},
		"other nonce":     {func(c *callback) { c.header.Set(nonce, "01K2S9AHX7ZC3M5V8EQR0WTB4E") }, 503},
		"other timestamp": {func(c *callback) { c.header.Set(timestamp, "1755511340") }, 503},
		"newline added":   {func(c *callback) { c.body = append(c.body, '\n') }, 503},
		"digit changed":   {func(c *callback) { c.body[len(c.body)/2]++ }, 503},
		"not padded": {func(c *callback) {
			c.header.Set(signature,
				strings.TrimRight(c.header.Get(signature), "="))
		}, 503},
		"shifted dot": {func(c *callback) {
			c.header.Set(nonce, c.header.Get(nonce)+"."+c.header.Get(timestamp)[:1])
			c.header.Set(timestamp, c.header.Get(timestamp)[1:])
		}, 503},
	} {
		t.Run(name, func(t *testing.T) {
			p := serveAuth(t, bySecrets(signed.Secret))
			sent := genuine()
			c.change(&sent)
			require.Equal(t, c.status, p.send(t, sent).status)
			require.Equal(t, map[int]int{200: 1}[c.status], p.count(t, "callbacks_total", "outcome=stored"))
			require.Equal(t, map[int]int{503: 1}[c.status], p.count(t, "callbacks_total", "outcome=unauthorized"))
		})
	}
}

// TestNoByteMovesFromTheBodyToTheNonce moves the boundaries between body, nonce and timestamp of a signed callback: a
// signature must be valid for only one body.
func TestNoByteMovesFromTheBodyToTheNonce(t *testing.T) {
	body := []byte(`{"type":"recipient_delivery_report_sms","batch_id":"b1","recipient":"447700900133","code":0,` +
		`"status":"Delivered","at":"2026-01-31T12:00:00.123Z","operator":"a.b"}`)
	header := sign("s", body, time.Now())
	signed := string(body) + "." + header.Get(nonce) + "." + header.Get(timestamp)
	p := serveAuth(t, bySecrets("s"))
	moved := 0
	for i := range signed {
		for j := i + 1; j < len(signed); j++ {
			if signed[i] != '.' || signed[j] != '.' || i == len(body) {
				continue
			}
			forged := header.Clone()
			forged.Set(nonce, signed[i+1:j])
			forged.Set(timestamp, signed[j+1:])
			require.Equal(t, 503, p.send(t, callback{header: forged, body: []byte(signed[:i])}).status)
			moved++
		}
	}
	require.Equal(t, 5, moved)
	require.Empty(t, p.kept(t))
	require.Empty(t, p.quarantined(t))
	require.Equal(t, 200, p.send(t, callback{header: header, body: body}).status)
}

func TestCharactersOfNonceAndTimestamp(t *testing.T) {
	body := report("447700900133").body
	p := serveAuth(t, bySecrets("s"))
	for _, c := range []struct {
		nonce, timestamp string
		status           int
	}{
		{"01K2S9AHX7ZC3M5V8EQR0WTB4D", "1736760161", 200},
		{"f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "0", 200},
		{"abc_XYZ-09", "1736760161", 200},
		{"a.b", "1736760161", 503},
		{".", "1736760161", 503},
		{"a b", "1736760161", 503},
		{`a"b`, "1736760161", 503},
		{"a,b", "1736760161", 503},
		{"a+b/c=", "1736760161", 503},
		{"ä", "1736760161", 503},
		{"{}", "1736760161", 503},
		{"n", "1736760161.5", 503},
		{"n", "-1", 503},
		{"n", "+1736760161", 503},
		{"n", "2025-01-13T09:22:41Z", 503},
		{"n", "0x10", 503},
		{"n", "1_0", 503},
		{"n", "١", 503},
	} {
		sent := callback{header: signAs("s", body, c.nonce, c.timestamp), body: body}
		require.Equal(t, c.status, p.send(t, sent).status, c)
	}
}

func TestASignatureMayCoverTheBodyBeforeOrAfterCompression(t *testing.T) {
	p := serveAuth(t, bySecrets("s"))
	plain := report("447700900133").body
	packed := zipped(t, plain)
	require.Equal(t, 200, p.send(t, callback{header: sign("s", plain, time.Now()), body: packed}).status)
	require.Equal(t, 200, p.send(t, callback{header: sign("s", packed, time.Now()), body: packed}).status)
	require.Equal(t, 503, p.send(t, callback{header: sign("t", packed, time.Now()), body: packed}).status)
	require.Equal(t, []string{string(plain)}, p.kept(t))
}

func TestOnlySignedBodiesAreQuarantined(t *testing.T) {
	p := serveAuth(t, bySecrets("s"))
	odd := zipped(t, report("447700900133").body)[:30]
	require.Equal(t, 503, p.send(t, callback{header: sign("t", odd, time.Now()), body: odd}).status)
	require.Equal(t, 200, p.send(t, callback{header: sign("s", odd, time.Now()), body: odd}).status)
	require.Equal(t, []string{string(odd)}, p.quarantined(t))
}

func TestMaxAgeOfSignatures(t *testing.T) {
	body := report("447700900133").body
	for name, c := range map[string]struct {
		maxAge time.Duration
		age    time.Duration
		status int
	}{
		"any age":       {0, 1000 * time.Hour, 200},
		"young enough":  {time.Hour, 50 * time.Minute, 200},
		"too old":       {time.Hour, 70 * time.Minute, 503},
		"a bit ahead":   {time.Hour, -50 * time.Minute, 200},
		"too far ahead": {time.Hour, -70 * time.Minute, 503},
	} {
		t.Run(name, func(t *testing.T) {
			p := serveAuth(t, webhook.Auth{HMAC: webhook.HMAC{Secrets: []string{"s"}, MaxAge: c.maxAge}})
			sent := callback{header: sign("s", body, time.Now().Add(-c.age)), body: body}
			require.Equal(t, c.status, p.send(t, sent).status)
		})
	}
	t.Run("no number", func(t *testing.T) {
		p := serveAuth(t, webhook.Auth{HMAC: webhook.HMAC{Secrets: []string{"s"}, MaxAge: time.Hour}})
		for _, seconds := range []string{"now", "99999999999999999999"} {
			require.Equal(t, 503, p.send(t, callback{header: signAs("s", body, "n", seconds), body: body}).status)
		}
	})
}
