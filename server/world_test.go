package server_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/config"
	"github.com/dlrloop/dlrloop/server"
	"github.com/dlrloop/dlrloop/simulator"
)

const (
	plan   = "plan-a"
	token  = "token-of-the-plan"
	secret = "plan-secret-example"
)

// world is a complete dlrloop and a simulated Sinch without faults, connected by real sockets.
type world struct {
	t       *testing.T
	sinch   *simulator.Simulator
	origin  string // of Sinch's API
	config  *config.Config
	options server.Options
	server  *server.Server
	stop    context.CancelFunc
	ended   chan error
}

// newWorld starts both. change may modify the configuration before the start.
func newWorld(t *testing.T, change func(*config.Config)) *world {
	t.Helper()
	return newWorldOf(t, simulator.Config{Calm: true, RetryUnit: 20 * time.Millisecond}, change)
}

// newWorldOf is newWorld with a simulator configured by sinch. It sets Plans and Pace itself.
func newWorldOf(t *testing.T, sinch simulator.Config, change func(*config.Config)) *world {
	t.Helper()
	w := &world{t: t, options: server.Options{Version: "test", Log: slog.New(slog.DiscardHandler)}}
	var err error
	sinch.Plans, sinch.Pace = []simulator.Plan{{ID: plan, Token: token, Secret: secret}}, 5*time.Millisecond
	w.sinch, err = simulator.New(sinch)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.sinch.Run(ctx) }()
	api := httptest.NewServer(w.sinch.API())
	w.origin = api.URL
	t.Cleanup(func() {
		w.sinch.ClearFaults()
		api.Close()
		stop()
		require.NoError(t, <-ended)
	})
	w.config = w.configure()
	if change != nil {
		change(w.config)
	}
	w.start()
	t.Cleanup(func() { require.NoError(t, w.end()) })
	return w
}

func (w *world) configure() *config.Config {
	c := config.Default()
	c.Public.Listen, c.Private.Listen = "127.0.0.1:0", "127.0.0.1:0"
	keepIn(w.t, c)
	p := config.DefaultPlan()
	p.ID, p.BaseURL, p.Token = plan, w.origin, config.Secret(token)
	p.Webhook.Auth.HMAC.Secrets = []config.Secret{secret}
	p.Feedback.Coalesce = config.Duration(10 * time.Millisecond)
	p.Feedback.Backoff = config.Backoff{
		Base: config.Duration(10 * time.Millisecond),
		Cap:  config.Duration(100 * time.Millisecond),
	}
	p.Feedback.Timeout = config.Duration(time.Second)
	c.Plans = []config.Plan{p}
	return c
}

// start starts dlrloop with the current configuration.
func (w *world) start() {
	w.t.Helper()
	var err error
	w.server, err = server.Start(w.t.Context(), w.config, w.options)
	require.NoError(w.t, err)
	ctx, stop := context.WithCancel(context.Background())
	w.stop, w.ended = stop, make(chan error, 1)
	go func(s *server.Server, ended chan<- error) { ended <- s.Run(ctx) }(w.server, w.ended)
	require.NoError(w.t, w.sinch.SetCallbackURL(plan, w.webhook()))
}

// end stops dlrloop gracefully.
func (w *world) end() error {
	if w.stop == nil {
		return nil
	}
	w.stop()
	w.stop = nil
	return <-w.ended
}

func (w *world) webhook() string {
	return fmt.Sprintf("http://%s/webhooks/%s", w.server.PublicAddr(), plan)
}

// send sends a batch directly to Sinch and returns its id.
func (w *world) send(kind string, feedback bool, to ...string) string {
	w.t.Helper()
	return w.sendTo(w.origin, kind, feedback, to...)
}

// gateway returns the base URL of dlrloop's gateway.
func (w *world) gateway() string { return "http://" + w.server.PrivateAddr().String() }

// sendTo sends a batch to a base URL and returns its id.
func (w *world) sendTo(origin, kind string, feedback bool, to ...string) string {
	w.t.Helper()
	body, err := json.Marshal(map[string]any{
		"from": "12025550100", "to": to, "body": "hello", "delivery_report": kind, "feedback_enabled": feedback,
	})
	require.NoError(w.t, err)
	r, err := http.NewRequest(http.MethodPost, origin+"/xms/v1/"+plan+"/batches", bytes.NewReader(body))
	require.NoError(w.t, err)
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	status, answer := do(w.t, r)
	require.Equal(w.t, http.StatusCreated, status, "%s", answer)
	var batch struct{ ID string }
	require.NoError(w.t, json.Unmarshal(answer, &batch))
	return batch.ID
}

// callback posts a signed callback to the webhook and returns the status of the answer.
func (w *world) callback(body []byte) int {
	w.t.Helper()
	status, _ := do(w.t, signed(w.t, w.webhook(), body))
	return status
}

// signed returns a callback request with Sinch's signature headers.
func signed(t *testing.T, url string, body []byte) *http.Request {
	t.Helper()
	const nonce, timestamp = "01K2S9AHX7ZC3M5V8EQR0WTB4D", "1755511339"
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%s.%s.%s", body, nonce, timestamp)
	r, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("x-sinch-webhook-signature", base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	r.Header.Set("x-sinch-webhook-signature-nonce", nonce)
	r.Header.Set("x-sinch-webhook-signature-timestamp", timestamp)
	r.Header.Set("x-sinch-webhook-signature-algorithm", "HmacSHA256")
	return r
}

// get requests a path of the private listener.
func (w *world) get(path string) (int, []byte) {
	w.t.Helper()
	r, err := http.NewRequest(http.MethodGet, "http://"+w.server.PrivateAddr().String()+path, nil)
	require.NoError(w.t, err)
	return do(w.t, r)
}

// read decodes an answer of the API into answer.
func (w *world) read(path string, answer any) {
	w.t.Helper()
	status, body := w.get(path)
	require.Equal(w.t, http.StatusOK, status, "%s: %s", path, body)
	require.NoError(w.t, json.Unmarshal(body, answer))
}

func do(t *testing.T, r *http.Request) (int, []byte) {
	t.Helper()
	answer, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return answer.StatusCode, body
}

// batch is a batch in the format of the API.
type batch struct {
	Counts             map[string]int
	RecipientsByStatus map[string]int `json:"recipients_by_status"`
	Total              int
	ClientReference    string `json:"client_reference"`
	Feedback           struct {
		Flag                      string
		Owed, Sent, Dead, Dropped int
		Task                      *struct {
			Attempts int
			Reason   string
		}
		DeadInfo *struct{ Reason, Detail string } `json:"dead_info"`
	}
}

// batch reads a batch from the API. It returns the zero value while the batch is unknown.
func (w *world) batch(id string) (b batch) {
	w.t.Helper()
	status, answer := w.get("/api/v1/plans/" + plan + "/batches/" + id)
	if status != http.StatusNotFound {
		require.Equal(w.t, http.StatusOK, status, "%s", answer)
		require.NoError(w.t, json.Unmarshal(answer, &b))
	}
	return b
}

// eventually polls until done returns true. The limit of a minute does not depend on the machine's speed.
func (w *world) eventually(what string, done func() bool) {
	w.t.Helper()
	limit := time.NewTimer(time.Minute)
	defer limit.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-limit.C:
			require.FailNow(w.t, "stuck", "%s: not after a minute", what)
		}
	}
}
