package server_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/config"
	"github.com/dlrloop/dlrloop/handlers/webhook"
	"github.com/dlrloop/dlrloop/server"
	"github.com/dlrloop/dlrloop/store"
)

// ask calls Sinch's API through the gateway.
func (w *world) ask(method, tail, body string) (int, []byte) {
	w.t.Helper()
	r, err := http.NewRequest(method, "http://"+w.server.GatewayAddr().String()+"/xms/v1/"+plan+tail,
		strings.NewReader(body))
	require.NoError(w.t, err)
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	return do(w.t, r)
}

// TestGatewayDefaultsCompleteASend sends a batch that only sets feedback_enabled: the gateway adds the report kind
// and the callback URL, so that its feedback is sent.
func TestGatewayDefaultsCompleteASend(t *testing.T) {
	var w *world
	front := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: w.server.PublicAddr().String()}).ServeHTTP(rw, r)
	}))
	t.Cleanup(front.Close)
	w = newWorld(t, func(c *config.Config) { c.Public.URL, c.Gateway.Defaults = front.URL, true })
	require.NoError(t, w.sinch.SetCallbackURL(plan, nowhere)) // the plan's own URL
	status, answer := w.ask(http.MethodPost, "/batches",
		`{"from":"12025550100","to":["`+number+`","12025550144"],"body":"hello","feedback_enabled":true}`)
	require.Equal(t, http.StatusCreated, status, "%s", answer)
	var sent struct {
		ID             string
		DeliveryReport string `json:"delivery_report"`
		CallbackURL    string `json:"callback_url"`
	}
	require.NoError(t, json.Unmarshal(answer, &sent))
	require.Equal(t, "per_recipient_final", sent.DeliveryReport)
	require.Equal(t, front.URL+"/webhooks/"+plan, sent.CallbackURL)
	w.eventually("feedback of both", func() bool { return w.batch(sent.ID).Feedback.Sent == 2 })
	_, metrics := w.get("/metrics")
	assert.Contains(t, string(metrics), `dlrloop_gateway_requests_total{operation="send",outcome="2xx"} 1`+"\n")
	assert.Contains(t, string(metrics), `dlrloop_batch_lookups_total{plan="plan-a",result="found"} 0`+"\n",
		"the gateway recorded the batch before its first report")
}

// TestOnlyConfirmedRecipientsGetFeedback confirms one of two delivered recipients of a batch, and another batch as
// a whole.
func TestOnlyConfirmedRecipientsGetFeedback(t *testing.T) {
	w := newWorld(t, func(c *config.Config) { c.Plans[0].Feedback.On = store.OnConfirmed })
	one := w.sendTo(w.gateway(), "per_recipient_final", true, number, "12025550144")
	all := w.sendTo(w.gateway(), "per_recipient_final", true, number, "12025550144")
	w.eventually("all are delivered", func() bool {
		return w.batch(one).RecipientsByStatus["Delivered"] == 2 && w.batch(all).RecipientsByStatus["Delivered"] == 2
	})
	require.Empty(t, w.sinch.Ledger().Feedback)

	status, answer := w.ask(http.MethodPost, "/batches/"+one+"/delivery_feedback", `{"recipients":["+`+number+`"]}`)
	require.Equal(t, http.StatusAccepted, status, "%s", answer)
	require.Empty(t, answer)
	status, _ = w.ask(http.MethodPost, "/batches/"+all+"/delivery_feedback", `{"recipients":[]}`)
	require.Equal(t, http.StatusAccepted, status)
	w.eventually("both are sent on", func() bool { return len(w.sinch.Ledger().Feedback) == 2 })
	for _, call := range w.sinch.Ledger().Feedback {
		require.True(t, call.Applied)
		if call.Batch == all {
			require.True(t, call.WholeBatch)
			continue
		}
		require.Equal(t, []string{number}, call.Recipients)
	}
	unwanted := w.sendTo(w.gateway(), "none", false, number)
	status, _ = w.ask(http.MethodPost, "/batches/"+unwanted+"/delivery_feedback", `{"recipients":["`+number+`"]}`)
	require.Equal(t, http.StatusNotFound, status)
}

// TestAGatewayListener serves the gateway on its own listener with HTTPS.
func TestAGatewayListener(t *testing.T) {
	pair := server.NewPair(t, time.Hour)
	files := pair.Write(t, t.TempDir())
	pool := x509.NewCertPool()
	pool.AddCert(pair.Certificate)
	w := newWorld(t, func(c *config.Config) {
		c.Gateway.Listen, c.Gateway.TLS = "127.0.0.1:0", files
	})
	require.NotEqual(t, w.server.PrivateAddr(), w.server.GatewayAddr())
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	defer client.CloseIdleConnections()
	get := func(path string) int {
		r, err := http.NewRequest(http.MethodGet, "https://"+w.server.GatewayAddr().String()+path, nil)
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+token)
		a, err := client.Do(r)
		require.NoError(t, err)
		require.NoError(t, a.Body.Close())
		return a.StatusCode
	}
	require.Equal(t, http.StatusOK, get("/xms/v1/"+plan+"/batches"))
	require.Equal(t, http.StatusOK, get("/healthz"))
	for _, path := range []string{"/metrics", "/api/v1/stats", "/", "/webhooks/" + plan} {
		require.Equal(t, http.StatusNotFound, get(path), path)
	}
	status, _ := w.get("/xms/v1/" + plan + "/batches")
	require.Equal(t, http.StatusNotFound, status, "the private listener must not serve the gateway as well")

	address := w.server.GatewayAddr().String()
	require.NoError(t, w.end())
	_, err := net.Dial("tcp", address)
	require.Error(t, err)
}

// TestShutdownWaitsForASend stops dlrloop during a send: the caller gets the answer, and the batch is recorded.
func TestShutdownWaitsForASend(t *testing.T) {
	for name, listen := range map[string]string{"on the private listener": "", "on its own": "127.0.0.1:0"} {
		t.Run(name, func(t *testing.T) {
			arrived, goOn := make(chan struct{}), make(chan struct{})
			slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				close(arrived)
				<-goOn
				w.WriteHeader(http.StatusCreated)
				_, _ = io.WriteString(w,
					`{"id":"01K2","to":["12025550144"],"created_at":"2025-08-18T10:00:00Z","delivery_report":"none"}`)
			}))
			t.Cleanup(slow.Close)
			w := newWorld(t, func(c *config.Config) {
				c.Gateway.Listen, c.Plans[0].BaseURL = listen, slow.URL
			})
			answered := make(chan int, 1)
			go func() {
				status, _ := w.ask(http.MethodPost, "/batches", "{}")
				answered <- status
			}()
			<-arrived
			w.stop()
			w.stop = nil
			select {
			case err := <-w.ended:
				require.Fail(t, "the server stopped during a send", "%v", err)
			case <-time.After(50 * time.Millisecond): // a correct server never fails here; one that does not wait usually does
			}
			close(goOn)
			require.Equal(t, http.StatusCreated, <-answered)
			require.NoError(t, <-w.ended)
			w.start()
			require.Equal(t, "unwanted", w.batch("01K2").Feedback.Flag)
		})
	}
}

// TestThePrivateListenerServesTheGatewayAndTheAPI requires that the gateway's callers need no private credential, since
// Sinch checks their token, and that the callers of all other paths need one.
func TestThePrivateListenerServesTheGatewayAndTheAPI(t *testing.T) {
	w := newWorld(t, func(c *config.Config) { c.Private.Credentials.Tokens = []config.Secret{"private"} })
	status, answer := w.ask(http.MethodGet, "/batches", "")
	require.Equal(t, http.StatusOK, status, "%s", answer)
	for _, path := range []string{"/", "/metrics", "/api/v1/stats", "/xms", "/xms/v2/" + plan} {
		status, _ := w.get(path)
		require.Equal(t, http.StatusUnauthorized, status, path)
	}
}

func TestThePlansTokenReplacesTheCallersToken(t *testing.T) {
	w := newWorld(t, func(c *config.Config) {
		c.Private.Credentials.Tokens = []config.Secret{"of-the-application"}
		c.Plans[0].Gateway.Token = config.PlanToken
	})
	status, _ := w.ask(http.MethodGet, "/batches", "")
	require.Equal(t, http.StatusUnauthorized, status, "Sinch's token is not a credential of the gateway")
	r, err := http.NewRequest(http.MethodGet, w.gateway()+"/xms/v1/"+plan+"/batches", nil)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer of-the-application")
	status, answer := do(t, r)
	require.Equal(t, http.StatusOK, status, "%s", answer)
}

func TestStartFailsWithAnInvalidGateway(t *testing.T) {
	w := newWorld(t, nil)
	require.NoError(t, w.end())
	start := func(change func(*config.Config), why string) {
		t.Helper()
		c := *w.config
		c.Plans = append([]config.Plan(nil), c.Plans...)
		change(&c)
		_, err := server.Start(t.Context(), &c, w.options)
		require.ErrorContains(t, err, why)
	}
	start(func(c *config.Config) { c.Plans[0].Gateway.Token = config.PlanToken }, "set private.credentials")
	start(func(c *config.Config) { c.Gateway.Listen = w.sinchAddress() }, "gateway listener")
	start(func(c *config.Config) {
		c.Gateway.Listen, c.Gateway.TLS = "127.0.0.1:0", config.TLS{CertFile: "gone", KeyFile: "gone"}
	}, "gateway listener")
}

// sinchAddress returns an address that is in use.
func (w *world) sinchAddress() string { return strings.TrimPrefix(w.origin, "http://") }

// TestReloadChangesThePathTokenOfCallbackURLs checks that sends get the new token after a reload.
func TestReloadChangesThePathTokenOfCallbackURLs(t *testing.T) {
	w := newWorld(t, nil)
	require.NoError(t, w.end())
	reloads, next := make(chan struct{}), make(chan *config.Config, 1)
	w.options.Reloads, w.options.Reload = reloads, func() (*config.Config, error) { return <-next, nil }
	w.config.Public.URL, w.config.Gateway.Defaults = "https://dlr.example.com", true
	w.config.Plans[0].Webhook.Auth = config.Auth{
		PathToken: config.PathToken{Values: []config.Secret{"first"}},
		OnFailure: webhook.RetryOnFailure,
	}
	w.start()
	callback := func() string {
		_, answer := w.ask(http.MethodPost, "/batches", `{"from":"12025550100","to":["`+number+
			`"],"body":"x","delivery_report":"summary","send_at":"2999-01-01T00:00:00Z"}`)
		var sent struct {
			CallbackURL string `json:"callback_url"`
		}
		require.NoError(t, json.Unmarshal(answer, &sent), "%s", answer)
		return sent.CallbackURL
	}
	require.Equal(t, "https://dlr.example.com/webhooks/"+plan+"/first", callback())
	c := *w.config
	c.Public.URL = "https://after-a-restart.example.com"
	c.Plans = append([]config.Plan(nil), c.Plans...)
	c.Plans[0].Webhook.Auth.PathToken.Values = []config.Secret{"second", "first"}
	next <- &c
	reloads <- struct{}{}
	reloads <- struct{}{} // received only after the first reload
	require.Equal(t, "https://dlr.example.com/webhooks/"+plan+"/second", callback())
	next <- &c
}

// TestAGatewayWithoutPlanCredentials has a plan whose applications have their own token. dlrloop makes no calls
// itself.
func TestAGatewayWithoutPlanCredentials(t *testing.T) {
	w := newWorld(t, func(c *config.Config) { c.Plans[0].Token, c.Plans[0].Feedback.On = "", store.OnOff })
	id := w.sendTo(w.gateway(), "per_recipient_final", false, number)
	w.eventually("the report has arrived", func() bool { return w.batch(id).RecipientsByStatus["Delivered"] == 1 })
}

// TestNoListenerAcceptsTraceOrConnect sends all listeners methods that would echo a token or open a tunnel.
func TestNoListenerAcceptsTraceOrConnect(t *testing.T) {
	w := newWorld(t, func(c *config.Config) { c.Gateway.Listen = "127.0.0.1:0" })
	for _, address := range []net.Addr{w.server.PublicAddr(), w.server.PrivateAddr(), w.server.GatewayAddr()} {
		for _, line := range []string{
			"TRACE / ", "TRACE /healthz ", "TRACE /webhooks/" + plan + " ", "TRACE /xms/v1/" + plan + "/batches ",
			"TRACE /nowhere ",
			"CONNECT sinch.example.com:443 ", "CONNECT /xms/v1/" + plan + "/batches ", "CONNECT / ",
		} {
			c, err := net.Dial("tcp", address.String())
			require.NoError(t, err)
			_, err = io.WriteString(c, line+"HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "+token+"\r\n\r\n")
			require.NoError(t, err)
			a, err := http.ReadResponse(bufio.NewReader(c), nil)
			require.NoError(t, err)
			require.Equal(t, http.StatusMethodNotAllowed, a.StatusCode, "%s at %s", line, address)
			require.NoError(t, c.Close())
		}
	}
}
