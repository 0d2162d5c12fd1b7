package webhook_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/handlers/access"
	"github.com/dlrloop/dlrloop/handlers/webhook"
	"github.com/dlrloop/dlrloop/metrics"
)

const (
	signature = "X-Sinch-Webhook-Signature"
	timestamp = "X-Sinch-Webhook-Signature-Timestamp"
	nonce     = "X-Sinch-Webhook-Signature-Nonce"
	algorithm = "X-Sinch-Webhook-Signature-Algorithm"
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

func serveAuth(t *testing.T, a webhook.Auth) *publicServer {
	t.Helper()
	return servePublic(t, func(c *webhook.Config) { c.Plans[0].Auth = a })
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

func TestEveryKindOfCredentials(t *testing.T) {
	basic := func(user, password string) http.Header {
		r := http.Request{Header: make(http.Header)}
		r.SetBasicAuth(user, password)
		return r.Header
	}
	twoUsers := webhook.Auth{Basic: []access.Basic{
		{User: "sinch", Password: "old"}, {User: "sinch", Password: "new:er"},
	}}
	accented := webhook.Auth{Basic: []access.Basic{
		{User: "jörg", Password: "pässwörd"}, {User: "eva", Password: "10€"},
	}}
	for name, c := range map[string]struct {
		auth   webhook.Auth
		header http.Header
		path   string
		status int
	}{
		"basic":                  {twoUsers, basic("sinch", "old"), "", 200},
		"basic, second":          {twoUsers, basic("sinch", "new:er"), "", 200},
		"basic, wrong password":  {twoUsers, basic("sinch", "older"), "", 503},
		"basic, wrong user":      {twoUsers, basic("sinc", "hold"), "", 503},
		"basic, UTF-8":           {accented, basic("jörg", "pässwörd"), "", 200},
		"basic, Latin-1":         {accented, basic("j\xf6rg", "p\xe4ssw\xf6rd"), "", 200},
		"basic, both":            {accented, basic("jörg", "p\xe4ssw\xf6rd"), "", 503},
		"basic, no accent":       {accented, basic("jorg", "password"), "", 503},
		"basic, not in Latin-1":  {accented, basic("eva", "10€"), "", 200},
		"basic, empty":           {twoUsers, basic("", ""), "", 503},
		"basic, none":            {twoUsers, nil, "", 503},
		"basic, bearer":          {twoUsers, http.Header{"Authorization": {"Bearer old"}}, "", 503},
		"header":                 {byHeader("old", "new"), http.Header{"X-Callback-Token": {"old"}}, "", 200},
		"header, second":         {byHeader("old", "new"), http.Header{"X-Callback-Token": {"new"}}, "", 200},
		"header, wrong":          {byHeader("old", "new"), http.Header{"X-Callback-Token": {"ol"}}, "", 503},
		"header, none":           {byHeader("old", "new"), nil, "", 503},
		"header, two":            {byHeader("old"), http.Header{"X-Callback-Token": {"old", "x"}}, "", 200},
		"path token":             {webhook.Auth{PathTokens: []string{"old", "new"}}, nil, "/old", 200},
		"path token, second":     {webhook.Auth{PathTokens: []string{"old", "new"}}, nil, "/new/", 200},
		"path token, wrong":      {webhook.Auth{PathTokens: []string{"old", "new"}}, nil, "/ne", 503},
		"path token, none":       {webhook.Auth{PathTokens: []string{"old", "new"}}, nil, "", 503},
		"path token, and more":   {webhook.Auth{PathTokens: []string{"old", "new"}}, nil, "/old/x", 503},
		"none":                   {webhook.Auth{None: true}, nil, "", 200},
		"none, and a path token": {webhook.Auth{None: true}, nil, "/old", 200},
	} {
		t.Run(name, func(t *testing.T) {
			p := serveAuth(t, c.auth)
			sent := callback{path: "/webhooks/" + plan + c.path, header: c.header, body: report("447700900133").body}
			require.Equal(t, c.status, p.send(t, sent).status)
			require.Len(t, p.kept(t), map[int]int{200: 1}[c.status])
		})
	}
}

// A callback must pass every configured kind.
func TestCredentialsCombine(t *testing.T) {
	body := report("447700900133").body
	auth := webhook.Auth{
		HMAC:       webhook.HMAC{Secrets: []string{"secret"}},
		Basic:      []access.Basic{{User: "u", Password: "p"}},
		Header:     webhook.Header{Name: "x-callback-token", Values: []string{"value"}},
		PathTokens: []string{"token"},
	}
	p := serveAuth(t, auth)
	for missing, want := range map[string]int{"": 200, "hmac": 503, "basic": 503, "header": 503, "path": 503} {
		sent := callback{path: "/webhooks/" + plan, header: make(http.Header), body: body}
		if missing != "hmac" {
			sent.header = sign("secret", body, time.Now())
		}
		if missing != "basic" {
			sent.header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("u:p")))
		}
		if missing != "header" {
			sent.header.Set("X-Callback-Token", "value")
		}
		if missing != "path" {
			sent.path += "/token"
		}
		require.Equal(t, want, p.send(t, sent).status, "without %q", missing)
	}
}

func TestSetPlansReplacesSecretsWhileServing(t *testing.T) {
	body := report("447700900133").body
	p := serveAuth(t, bySecrets("old"))
	old := callback{header: sign("old", body, time.Now()), body: body}
	fresh := callback{header: sign("new", body, time.Now()), body: body}
	require.Equal(t, 503, p.send(t, fresh).status)

	require.NoError(t, p.SetPlans([]webhook.Plan{{ID: plan, Auth: bySecrets("old", "new")}}))
	require.Equal(t, 200, p.send(t, old).status)
	require.Equal(t, 200, p.send(t, fresh).status)

	require.NoError(t, p.SetPlans([]webhook.Plan{{ID: plan, Auth: bySecrets("new")}}))
	require.Equal(t, 503, p.send(t, old).status)
	require.Equal(t, 200, p.send(t, fresh).status)

	require.Error(t, p.SetPlans([]webhook.Plan{{ID: plan, Auth: bySecrets("")}}))
	require.Equal(t, 200, p.send(t, fresh).status, "a refused SetPlans changes nothing")
}

func TestRejectedBasicCallbacksGetAChallenge(t *testing.T) {
	basic := webhook.Auth{Basic: []access.Basic{{User: "u", Password: "p"}}}
	p := servePublic(t, func(c *webhook.Config) {
		c.Plans = []webhook.Plan{{ID: plan, Auth: basic, OnFailure: webhook.RejectOnFailure}}
	})
	r := p.send(t, callback{})
	require.Equal(t, http.StatusUnauthorized, r.status)
	require.Contains(t, r.header.Get("WWW-Authenticate"), "Basic ")
	require.Zero(t, p.count(t, "lossy_responses_total"), "an unauthenticated callback does not count as lost")
}

func TestInvalidPublicConfigsAreRefused(t *testing.T) {
	plans := func(p ...webhook.Plan) webhook.Config { return webhook.Config{Plans: p} }
	auth := func(a webhook.Auth) webhook.Config { return plans(webhook.Plan{ID: "p", Auth: a}) }
	good := webhook.Plan{ID: "p", Auth: bySecrets("s")}
	for want, c := range map[string]webhook.Config{
		"plans[0].webhook.auth: empty":                 auth(webhook.Auth{}),
		"plans[0].webhook.auth.none: ":                 auth(webhook.Auth{None: true, PathTokens: []string{"t"}}),
		"plans[0].webhook.auth.hmac.secrets[1]: empty": auth(bySecrets("s", "")),
		"plans[0].webhook.auth.hmac.secrets: empty":    auth(webhook.Auth{HMAC: webhook.HMAC{MaxAge: time.Hour}}),
		"plans[0].webhook.auth.hmac.max_age: negative": auth(webhook.Auth{HMAC: webhook.HMAC{
			Secrets: []string{"s"},
			MaxAge:  -1,
		}}),
		"plans[0].webhook.auth.basic[0]: ": auth(webhook.Auth{Basic: []access.Basic{{User: "u"}}}),
		"plans[0].webhook.auth.basic[1]: ": auth(webhook.Auth{
			Basic: []access.Basic{{User: "u", Password: "p"}, {User: "u:v", Password: "p"}},
		}),
		"plans[0].webhook.auth.header.name: empty": auth(webhook.Auth{
			Header: webhook.Header{Values: []string{"v"}},
		}),
		"plans[0].webhook.auth.header.values: empty":        auth(webhook.Auth{Header: webhook.Header{Name: "X-T"}}),
		"plans[0].webhook.auth.header.values[0]: empty":     auth(byHeader("")),
		"plans[0].webhook.auth.path_token.values[0]: empty": auth(webhook.Auth{PathTokens: []string{""}}),
		"plans[0].webhook.auth.on_failure: \"ignore\"": plans(webhook.Plan{
			ID:   "p",
			Auth: bySecrets("s"), OnFailure: "ignore",
		}),
		"plans[1].webhook.auth: empty":           plans(good, webhook.Plan{ID: "q"}),
		"plans[1].id: \"p\" is configured twice": plans(good, good),
		"plans[0].id: \"\": ":                    plans(webhook.Plan{Auth: bySecrets("s")}),
		"plans[0].id: \"a/b\": ": plans(webhook.Plan{
			ID:   "a/b",
			Auth: bySecrets("s"),
		}),
		"public.max_body: -1 bytes":                            {MaxBody: -1},
		"public.memory: 1000 bytes are too few":                {MaxBody: 251, Memory: 1000},
		"public: the time-outs must be positive":               {ReadTimeout: -1},
		"public.trusted_proxies: invalid IP address: proxy.in": {TrustedProxies: []string{"proxy.in"}},
	} {
		m := metrics.New(prometheus.NewRegistry(), metrics.Config{})
		_, err := webhook.New(c, nothing{}, m, slog.New(slog.DiscardHandler))
		require.ErrorContains(t, err, want)
	}
}

func TestCredentialsAreNeverPrinted(t *testing.T) {
	a := webhook.Auth{
		HMAC: webhook.HMAC{Secrets: []string{"hidden"}}, PathTokens: []string{"hidden"},
		Header: webhook.Header{Name: "X", Values: []string{"hidden"}},
		Basic:  []access.Basic{{User: "u", Password: "hidden"}},
	}
	c := webhook.Config{Plans: []webhook.Plan{{ID: "p", Auth: a}}}
	encoded, err := json.Marshal(c)
	require.NoError(t, err)
	for _, printed := range []string{fmt.Sprintf("%v %+v %#v %x", a, c, c, a), string(encoded)} {
		require.NotContains(t, printed, "hidden")
	}
}
