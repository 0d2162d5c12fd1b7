package webhook_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
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

func serveAuth(t *testing.T, a webhook.Auth) *publicServer {
	t.Helper()
	return servePublic(t, func(c *webhook.Config) { c.Plans[0].Auth = a })
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
		"plans[0].webhook.auth: no method to verify":           auth(webhook.Auth{}),
		"plans[0].webhook.auth.none: ":                         auth(webhook.Auth{None: true, PathTokens: []string{"t"}}),
		"plans[0].webhook.auth.hmac.secrets[1]: is empty":      auth(bySecrets("s", "")),
		"plans[0].webhook.auth.hmac.secrets: no secret is set": auth(webhook.Auth{HMAC: webhook.HMAC{MaxAge: time.Hour}}),
		"plans[0].webhook.auth.hmac.max_age: must not be negative": auth(webhook.Auth{HMAC: webhook.HMAC{
			Secrets: []string{"s"},
			MaxAge:  -1,
		}}),
		"plans[0].webhook.auth.basic[0].password: ": auth(webhook.Auth{Basic: []access.Basic{{User: "u"}}}),
		"plans[0].webhook.auth.basic[1].username: ": auth(webhook.Auth{
			Basic: []access.Basic{{User: "u", Password: "p"}, {User: "u:v", Password: "p"}},
		}),
		"plans[0].webhook.auth.header.name: is not set": auth(webhook.Auth{
			Header: webhook.Header{Values: []string{"v"}},
		}),
		`plans[0].webhook.auth.header.name: "Host" is reserved by HTTP`: auth(webhook.Auth{
			Header: webhook.Header{Name: "Host", Values: []string{"s"}},
		}),
		"plans[0].webhook.auth.header.values: no secret is set": auth(webhook.Auth{Header: webhook.Header{Name: "X-T"}}),
		"plans[0].webhook.auth.header.values[0]: is empty":      auth(byHeader("")),
		"plans[0].webhook.auth.path_token.values[0]: is empty":  auth(webhook.Auth{PathTokens: []string{""}}),
		"plans[0].webhook.auth.on_failure: \"ignore\"": plans(webhook.Plan{
			ID:   "p",
			Auth: bySecrets("s"), OnFailure: "ignore",
		}),
		"plans[1].webhook.auth: no method to verify": plans(good, webhook.Plan{ID: "q"}),
		"plans[1].id: \"p\" is configured twice":     plans(good, good),
		"plans[0].id: \"\": ":                        plans(webhook.Plan{Auth: bySecrets("s")}),
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
