package api

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/handlers/access"
	"github.com/dlrloop/dlrloop/handlers/handlerstest"
)

func TestAReachablePrivateListenerRequiresCredentials(t *testing.T) {
	credentials := Config{Bearer: []string{"t"}}
	for _, address := range []string{
		"", ":8081", "0.0.0.0:8081", "[::]:8081", "10.0.0.7:8081", "[fe80::1%eth0]:8081", "dlr.example.com:8081",
		"localhost", "127.0.0.1",
		"localhost.example.com:80", "[::ffff:10.0.0.7]:8081",
	} {
		t.Run(address, func(t *testing.T) {
			_, err := New(Config{Listen: address}, nil, http.NotFoundHandler(), handlerstest.Quiet())
			require.ErrorContains(t, err, fmt.Sprintf("private.listen: other machines can reach %q", address))
			require.ErrorContains(t, err, "listen on loopback (127.0.0.1:8081), or set private.credentials")

			credentials.Listen = address
			_, err = New(credentials, nil, http.NotFoundHandler(), handlerstest.Quiet())
			require.NoError(t, err)
		})
	}
	for _, address := range []string{
		"127.0.0.1:8081", "127.8.9.1:0", "localhost:8081", "LOCALHOST:8081", "[::1]:8081", "[::ffff:127.0.0.1]:8081",
	} {
		_, err := New(Config{Listen: address}, nil, http.NotFoundHandler(), handlerstest.Quiet())
		require.NoError(t, err, address)
	}
}

func TestInvalidPrivateCredentialsAreRefused(t *testing.T) {
	for name, c := range map[string]Config{
		"basic[1].username: is not":      {Basic: []access.Basic{{User: "a", Password: "b"}, {User: "", Password: "b"}}},
		"basic[0].password: no password": {Basic: []access.Basic{{User: "a", Password: ""}}},
		"contains a colon":               {Basic: []access.Basic{{User: "a:b", Password: "c"}}},
		"tokens[1]: is empty":            {Bearer: []string{"a", ""}},
		"begins or ends with a space":    {Bearer: []string{" a"}},
	} {
		c.Listen = "127.0.0.1:0"
		_, err := New(c, nil, http.NotFoundHandler(), handlerstest.Quiet())
		require.ErrorContains(t, err, name)
	}
}

func TestCredentialsOfThePrivateListener(t *testing.T) {
	s := serve(t, Config{
		Listen: ":8081",
		Basic: []access.Basic{
			{User: "ops", Password: "old: secret"},
			{User: "ops", Password: "new"},
			{User: "prometheus", Password: "scrape"},
			{User: "jörg", Password: "pässwörd"},
		},
		Bearer: []string{"token-1", "token-2"},
	}, handlerstest.OpenStore(t), handlerstest.Quiet())
	for authorization, open := range map[string]bool{
		handlerstest.BasicHeader("ops:old: secret"):                  true,
		handlerstest.BasicHeader("ops:new"):                          true,
		handlerstest.BasicHeader("prometheus:scrape"):                true,
		handlerstest.BasicHeader("jörg:pässwörd"):                    true,
		handlerstest.BasicHeader("j\xf6rg:p\xe4ssw\xf6rd"):           true,
		"basic" + handlerstest.BasicHeader("ops:new")[len("Basic"):]: true,
		"Bearer token-1":                       true,
		"bearer  token-2":                      true,
		"":                                     false,
		handlerstest.BasicHeader("ops:scrape"): false,
		handlerstest.BasicHeader("ops:"):       false,
		handlerstest.BasicHeader("ops"):        false,
		"Basic not base64":                     false,
		handlerstest.BasicHeader("token-1"):    false,
		handlerstest.BasicHeader(":token-1"):   false,
		"Bearer ":                              false,
		"Bearer":                               false,
		"Bearer token-12":                      false,
		"Bearer token":                         false,
		"Bearer ops:new":                       false,
		"Digest token-1":                       false,
		"token-1":                              false,
	} {
		t.Run(authorization, func(t *testing.T) {
			for _, address := range []string{"/", "/metrics", "/openapi.yaml", "/api/v1/stats"} {
				a := s.call(t, http.MethodGet, address, "", http.Header{"Authorization": {authorization}})
				if open {
					require.Equal(t, http.StatusOK, a.StatusCode, address)
					continue
				}
				require.Equal(t, http.StatusUnauthorized, a.StatusCode, address)
				challenges := []string{`Basic realm="dlrloop", charset="UTF-8"`, `Bearer realm="dlrloop"`}
				require.Equal(t, challenges, a.Header.Values("WWW-Authenticate"))
				require.Contains(t, a.Problem(t).Type, "#unauthorized")
			}
		})
	}
}

func TestEverythingButHealthRequiresCredentials(t *testing.T) {
	s := serve(t, Config{Bearer: []string{"token"}}, handlerstest.OpenStore(t), handlerstest.Quiet())
	for _, address := range []string{"/healthz", "/readyz"} {
		require.Equal(t, http.StatusOK, s.get(t, address).StatusCode, address)
	}
	closed := func(method, address string) {
		a := s.call(t, method, address, "", nil)
		require.Equal(t, http.StatusUnauthorized, a.StatusCode, "%s %s", method, address)
		require.Equal(t, []string{`Bearer realm="dlrloop"`}, a.Header.Values("WWW-Authenticate"))
	}
	s.document.operations(func(method, path string, item *pathItem, _ *operation) {
		if path != "/healthz" && path != "/readyz" {
			closed(method, example(path, item))
		}
	})
	closed(http.MethodGet, "/nowhere")
	closed(http.MethodDelete, "/api/v1/batches")
}

func TestHostsAcceptedWithoutCredentials(t *testing.T) {
	s := serve(t, Config{}, handlerstest.OpenStore(t), handlerstest.Quiet())
	for host, open := range map[string]bool{
		"localhost":              true,
		"localhost:8081":         true,
		"LocalHost:8081":         true,
		"dlr.localhost":          true,
		"127.0.0.1:8081":         true,
		"[::1]:8081":             true,
		"[::1]":                  true,
		"10.1.2.3":               true,
		"evil.example.com":       false,
		"evil.example.com:8081":  false,
		"localhost.example.com":  false,
		"127.0.0.1.example.com":  false,
		"notlocalhost":           false,
		"127.0.0.1.nip.io:8081":  false,
		"localhost.evil.example": false,
	} {
		a := s.call(t, http.MethodGet, "/api/v1/stats", "", http.Header{"Host": {host}})
		if open {
			require.Equal(t, http.StatusOK, a.StatusCode, host)
			continue
		}
		require.Equal(t, http.StatusMisdirectedRequest, a.StatusCode, host)
		require.Contains(t, a.Problem(t).Detail, "accepts only localhost")
		a = s.call(t, http.MethodGet, "/healthz", "", http.Header{"Host": {host}})
		require.Equal(t, http.StatusOK, a.StatusCode)
	}
	guarded := serve(t, Config{Bearer: []string{"t"}}, handlerstest.OpenStore(t), handlerstest.Quiet())
	header := http.Header{"Host": {"dlr.example.com"}, "Authorization": {"Bearer t"}}
	a := guarded.call(t, http.MethodGet, "/api/v1/stats", "", header)
	require.Equal(t, http.StatusOK, a.StatusCode)
}

func TestOtherSitesCannotRequeue(t *testing.T) {
	s := serveSample(t)
	for name, header := range map[string]http.Header{
		"a cross-site request":             {"Sec-Fetch-Site": {"cross-site"}},
		"a same-site request":              {"Sec-Fetch-Site": {"same-site"}},
		"a browser without Sec-Fetch-Site": {"Origin": {"https://evil.example.com"}},
	} {
		a := s.call(t, http.MethodPost, "/api/v1/feedback/requeue", `{"all": true}`, header)
		require.Equal(t, http.StatusForbidden, a.StatusCode, name)
	}
	a := s.call(t, http.MethodPost, "/api/v1/feedback/requeue", `{"all": true}`, http.Header{"Origin": {s.URL}})
	require.JSONEq(t, `{"batches": 1, "recipients": 2, "more": false}`, string(a.Content))
}

func TestPrivateConfigHidesItsSecrets(t *testing.T) {
	c := Config{Basic: []access.Basic{{User: "ops", Password: "hush"}}, Bearer: []string{"hush"}}
	encoded, err := json.Marshal(c)
	require.NoError(t, err)
	pair, err := json.Marshal(c.Basic)
	require.NoError(t, err)
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("start", "config", c)
	slog.New(slog.NewTextHandler(&log, nil)).Info("start", "config", c, "pair", c.Basic[0])
	shown := fmt.Sprintf("%v %+v %#v %s %q %v %#v", c, c, c, c, c, c.Basic, c.Basic[0])
	require.NotContains(t, shown+string(encoded)+string(pair)+log.String(), "hush")
	require.Contains(t, shown, "***")
}
