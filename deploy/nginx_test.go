package deploy_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// behindNginx is nginx with the configuration for compose, in front of three replicas whose answers a test sets. nginx
// listens on Unix sockets: it cannot choose a free port itself, and no other process uses a socket in its directory.
type behindNginx struct {
	t                 *testing.T
	dir               string // holds the sockets, named public and gateway
	callbacks, sends  [3]atomic.Int32
	answers           [3]atomic.Int32 // the replicas' statuses; 0 closes the connection
	publics, gateways [3]*httptest.Server
}

func startNginx(t *testing.T) *behindNginx {
	t.Helper()
	binary, err := exec.LookPath("nginx")
	if err != nil {
		t.Skip("nginx is not installed")
	}
	dir := t.TempDir()
	b := &behindNginx{t: t, dir: dir}
	text, err := os.ReadFile("compose/nginx.conf")
	require.NoError(t, err)
	replaced := []string{
		"listen 8080;", "listen unix:" + b.socket("public") + ";", "listen 8082;", "listen unix:" + b.socket("gateway") + ";",
		"/tmp/", dir + "/", "resolver 127.0.0.11 valid=5s;", "",
	}
	if older(t, binary) {
		replaced = append(replaced, " resolve ", " ")
	}
	for i := range 3 {
		b.answers[i].Store(http.StatusOK)
		b.publics[i] = httptest.NewServer(b.answering(i, &b.callbacks[i]))
		b.gateways[i] = httptest.NewServer(b.answering(i, &b.sends[i]))
		t.Cleanup(b.publics[i].Close)
		t.Cleanup(b.gateways[i].Close)
		name := "dlrloop-" + strconv.Itoa(i+1)
		replaced = append(replaced, name+":8080", b.publics[i].Listener.Addr().String(),
			name+":8082", b.gateways[i].Listener.Addr().String())
	}
	config := filepath.Join(dir, "nginx.conf")
	require.NoError(t, os.WriteFile(config, []byte(strings.NewReplacer(replaced...).Replace(string(text))), 0o600))
	output, err := exec.CommandContext(t.Context(), binary, "-t", "-c", config, "-e", "stderr").CombinedOutput()
	require.NoError(t, err, "%s", output)
	b.run(binary, config)
	return b
}

// older reports whether nginx does not support the parameter resolve, which needs 1.27.3.
func older(t *testing.T, binary string) bool {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), binary, "-v").CombinedOutput()
	require.NoError(t, err)
	v := regexp.MustCompile(`nginx/1\.(\d+)\.(\d+)`).FindStringSubmatch(string(output))
	require.NotNil(t, v, "%s", output)
	minor, err := strconv.Atoi(v[1])
	require.NoError(t, err)
	return minor < 28
}

// run starts nginx as one process and stops it at the end of the test.
func (b *behindNginx) run(binary, config string) {
	b.t.Helper()
	c := exec.Command(binary, "-c", config, "-e", "stderr", "-g", "daemon off; master_process off;")
	require.NoError(b.t, c.Start())
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	b.t.Cleanup(func() {
		require.NoError(b.t, c.Process.Signal(syscall.SIGTERM))
		require.NoError(b.t, <-ended)
	})
	require.Eventually(b.t, func() bool {
		connection, err := net.Dial("unix", b.socket("public"))
		return err == nil && connection.Close() == nil
	}, time.Minute, 10*time.Millisecond)
}

// answering returns the listener of replica i. It reads the whole body, counts the call and answers with the status in
// answers.
func (b *behindNginx) answering(i int, calls *atomic.Int32) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method == http.MethodPost && len(body) == 0 {
			w.WriteHeader(http.StatusBadRequest) // the body is missing
			return
		}
		calls.Add(1)
		status := int(b.answers[i].Load())
		if status == 0 {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(status)
	})
}

func (b *behindNginx) socket(listener string) string { return filepath.Join(b.dir, listener) }

// call sends a request to a listener, public or gateway, and returns the status of the answer.
func (b *behindNginx) call(method, listener, path string) int {
	b.t.Helper()
	body := strings.NewReader(`{"type":"recipient_delivery_report_sms"}`)
	r, err := http.NewRequestWithContext(b.t.Context(), method, "http://localhost"+path, body)
	require.NoError(b.t, err)
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", b.socket(listener))
	}
	client := &http.Client{Transport: &http.Transport{DialContext: dial}}
	defer client.CloseIdleConnections()
	answer, err := client.Do(r)
	require.NoError(b.t, err)
	require.NoError(b.t, answer.Body.Close())
	return answer.StatusCode
}

func (b *behindNginx) answer(statuses ...int32) {
	for i, s := range statuses {
		b.answers[i].Store(s)
	}
}

func total(counts *[3]atomic.Int32) (sum int) {
	for i := range counts {
		sum += int(counts[i].Load())
	}
	return sum
}

func TestNginxForwardsOnlyKnownPaths(t *testing.T) {
	b := startNginx(t)
	for path, want := range map[string]int{
		"/webhooks/plan": 200, "/webhooks/plan/token": 200, "/healthz": 200,
		"/": 404, "/metrics": 404, "/readyz": 404, "/api/v1/stats": 404, "/xms/v1/plan/batches": 404,
		"/webhooks/../metrics": 404, "/healthz/x": 404,
	} {
		assert.Equal(t, want, b.call(http.MethodPost, "public", path), path)
	}
	for path, want := range map[string]int{
		"/xms/v1/plan/batches": 200, "/webhooks/plan": 404, "/metrics": 404, "/healthz": 404,
	} {
		assert.Equal(t, want, b.call(http.MethodPost, "gateway", path), path)
	}
}

// TestNginxTriesTheNextReplica checks that nginx repeats the whole callback at another replica after a failure.
func TestNginxTriesTheNextReplica(t *testing.T) {
	for name, statuses := range map[string][]int32{"503": {503, 503, 200}, "connection lost": {0, 0, 200}} {
		t.Run(name, func(t *testing.T) {
			b := startNginx(t)
			b.answer(statuses...)
			for range 6 {
				require.Equal(t, http.StatusOK, b.call(http.MethodPost, "public", "/webhooks/plan"))
			}
			assert.EqualValues(t, 6, b.callbacks[2].Load())
			assert.Positive(t, b.callbacks[0].Load()+b.callbacks[1].Load(), "no other replica was called")
		})
	}
	t.Run("connection refused", func(t *testing.T) {
		b := startNginx(t)
		b.publics[0].Close()
		b.publics[1].Close()
		for range 6 {
			require.Equal(t, http.StatusOK, b.call(http.MethodPost, "public", "/webhooks/plan"))
		}
		assert.EqualValues(t, 6, b.callbacks[2].Load())
	})
}

// TestNginxForwardsAnswers checks that nginx forwards an answer that another replica would repeat, and a 503 if all
// replicas answer 503.
func TestNginxForwardsAnswers(t *testing.T) {
	for _, status := range []int32{401, 404, 413, 429, 500} {
		b := startNginx(t)
		b.answer(status, status, status)
		assert.EqualValues(t, status, b.call(http.MethodPost, "public", "/webhooks/plan"))
		assert.Equal(t, 1, total(&b.callbacks), "%d", status)
	}
	b := startNginx(t)
	b.answer(503, 503, 503)
	assert.Equal(t, http.StatusServiceUnavailable, b.call(http.MethodPost, "public", "/webhooks/plan"))
	assert.Equal(t, 3, total(&b.callbacks))
}

// TestNginxKeepsEveryReplica checks that no number of 503 answers takes a replica out of service: callers without
// credentials get a 503, too.
func TestNginxKeepsEveryReplica(t *testing.T) {
	b := startNginx(t)
	b.answer(503, 503, 503)
	for range 6 {
		require.Equal(t, http.StatusServiceUnavailable, b.call(http.MethodPost, "public", "/webhooks/plan"))
	}
	assert.Equal(t, 18, total(&b.callbacks))
	b.answer(200, 200, 200)
	for range 6 {
		require.Equal(t, http.StatusOK, b.call(http.MethodPost, "public", "/webhooks/plan"))
		require.Equal(t, http.StatusOK, b.call(http.MethodGet, "public", "/healthz"))
	}
	for i := range b.callbacks {
		assert.Equal(t, int32(10), b.callbacks[i].Load(), "replica %d", i+1)
	}
}

// TestNginxSendsABatchOnce checks that nginx never repeats a send that a replica received, and that it repeats a send
// that no replica received.
func TestNginxSendsABatchOnce(t *testing.T) {
	for _, status := range []int32{0, 503} {
		b := startNginx(t)
		b.answer(status, status, status)
		assert.GreaterOrEqual(t, b.call(http.MethodPost, "gateway", "/xms/v1/plan/batches"), 502)
		assert.Equal(t, 1, total(&b.sends), "%d", status)
	}
	b := startNginx(t)
	b.gateways[0].Close()
	b.gateways[1].Close()
	assert.Equal(t, http.StatusOK, b.call(http.MethodPost, "gateway", "/xms/v1/plan/batches"))
	assert.Equal(t, 1, total(&b.sends))
}
