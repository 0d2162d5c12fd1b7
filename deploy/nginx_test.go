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

// behindNginx is nginx as it is configured for compose, but on Unix sockets, before three replicas that answer as they are told.
// nginx cannot choose a free port by itself, and nobody else takes a socket of a folder.
type behindNginx struct {
	t                 *testing.T
	folder            string // holds the sockets, named public and gateway
	callbacks, sends  [3]atomic.Int32
	answers           [3]atomic.Int32 // what the replicas answer
	publics, gateways [3]*httptest.Server
}

func startNginx(t *testing.T) *behindNginx {
	t.Helper()
	binary, err := exec.LookPath("nginx")
	if err != nil {
		t.Skip("nginx is not installed")
	}
	folder := t.TempDir()
	b := &behindNginx{t: t, folder: folder}
	text, err := os.ReadFile("compose/nginx.conf")
	require.NoError(t, err)
	replaced := []string{
		"listen 8080;", "listen unix:" + b.socket("public") + ";", "listen 8082;", "listen unix:" + b.socket("gateway") + ";",
		"/tmp/", folder + "/", "resolver 127.0.0.11 valid=5s;", "",
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
		replaced = append(replaced, name+":8080", b.publics[i].Listener.Addr().String(), name+":8082", b.gateways[i].Listener.Addr().String())
	}
	config := filepath.Join(folder, "nginx.conf")
	require.NoError(t, os.WriteFile(config, []byte(strings.NewReplacer(replaced...).Replace(string(text))), 0o600))
	said, err := exec.CommandContext(t.Context(), binary, "-t", "-c", config, "-e", "stderr").CombinedOutput()
	require.NoError(t, err, "%s", said)
	b.run(binary, config)
	return b
}

// older reports whether nginx is too old to know the parameter resolve, which needs 1.27.3.
func older(t *testing.T, binary string) bool {
	t.Helper()
	said, err := exec.CommandContext(t.Context(), binary, "-v").CombinedOutput()
	require.NoError(t, err)
	v := regexp.MustCompile(`nginx/1\.(\d+)\.(\d+)`).FindStringSubmatch(string(said))
	require.NotNil(t, v, "%s", said)
	minor, err := strconv.Atoi(v[1])
	require.NoError(t, err)
	return minor < 28
}

// run runs nginx in one process, which ends with its signal.
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

// answering is a replica's listener: it takes all of the body before it answers as it is told. 0 ends the connection.
func (b *behindNginx) answering(i int, calls *atomic.Int32) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method == http.MethodPost && len(body) == 0 {
			w.WriteHeader(http.StatusBadRequest) // the body did not come along
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

func (b *behindNginx) socket(listener string) string { return filepath.Join(b.folder, listener) }

// call calls a listener: public or gateway.
func (b *behindNginx) call(method, listener, path string) int {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, "http://localhost"+path, strings.NewReader(`{"type":"recipient_delivery_report_sms"}`))
	require.NoError(b.t, err)
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", b.socket(listener))
	}}}
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

func TestNginxLetsNothingElsePass(t *testing.T) {
	b := startNginx(t)
	for path, want := range map[string]int{
		"/webhooks/plan": 200, "/webhooks/plan/token": 200, "/healthz": 200,
		"/": 404, "/metrics": 404, "/readyz": 404, "/api/v1/stats": 404, "/xms/v1/plan/batches": 404, "/webhooks/../metrics": 404, "/healthz/x": 404,
	} {
		assert.Equal(t, want, b.call(http.MethodPost, "public", path), path)
	}
	for path, want := range map[string]int{"/xms/v1/plan/batches": 200, "/webhooks/plan": 404, "/metrics": 404, "/healthz": 404} {
		assert.Equal(t, want, b.call(http.MethodPost, "gateway", path), path)
	}
}

// TestNginxAsksTheNextReplica has replicas fail in every way that is worth another one, whole callbacks being sent again.
func TestNginxAsksTheNextReplica(t *testing.T) {
	for name, statuses := range map[string][]int32{"503": {503, 503, 200}, "connection lost": {0, 0, 200}} {
		t.Run(name, func(t *testing.T) {
			b := startNginx(t)
			b.answer(statuses...)
			for range 6 {
				require.Equal(t, http.StatusOK, b.call(http.MethodPost, "public", "/webhooks/plan"))
			}
			assert.EqualValues(t, 6, b.callbacks[2].Load())
			assert.Positive(t, b.callbacks[0].Load()+b.callbacks[1].Load(), "nobody else was asked")
		})
	}
	t.Run("not there", func(t *testing.T) {
		b := startNginx(t)
		b.publics[0].Close()
		b.publics[1].Close()
		for range 6 {
			require.Equal(t, http.StatusOK, b.call(http.MethodPost, "public", "/webhooks/plan"))
		}
		assert.EqualValues(t, 6, b.callbacks[2].Load())
	})
}

// TestNginxLeavesAnswersAsTheyAre passes on what another replica would say, too, and what Sinch repeats when all fail.
func TestNginxLeavesAnswersAsTheyAre(t *testing.T) {
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

// TestNginxLeavesNobodyOut passes every call on, however many were answered 503 just before, as those without credentials are.
func TestNginxLeavesNobodyOut(t *testing.T) {
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

// TestNginxSendsABatchOnce lets no batch be sent twice, whatever becomes of the call; what was never sent goes to another replica.
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
