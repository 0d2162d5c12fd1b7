package server_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/config"
	"github.com/dlrloop/dlrloop/dlr/fixtures"
	"github.com/dlrloop/dlrloop/server"
)

// TestDrains stops a server with a shutdown delay: it is not ready at once and accepts callbacks until the delay is
// over.
func TestDrains(t *testing.T) {
	w := newWorld(t, func(c *config.Config) { c.ShutdownDelay = config.Duration(2 * time.Second) })
	status, _ := w.get("/readyz")
	require.Equal(t, http.StatusOK, status)
	w.stop()
	w.eventually("not ready", func() bool {
		status, _ := w.get("/readyz")
		return status == http.StatusServiceUnavailable
	})
	assert.Equal(t, http.StatusOK, w.callback(fixtures.Read(t, "cb-rdr-sms-delivered.json")))
	status, _ = w.get("/healthz")
	assert.Equal(t, http.StatusOK, status)
	require.NoError(t, <-w.ended)
	w.stop = nil
	_, err := net.Dial("tcp", w.server.PublicAddr().String())
	require.Error(t, err)

	w.config.ShutdownDelay = 0
	w.start()
	assert.Equal(t, map[string]int{"Delivered": 1}, w.batch("01K2S9A1V5K3C8MEX7RQ0YBD4W").Counts)
}

// TestReload changes a webhook's secret, and reloads an invalid configuration.
func TestReload(t *testing.T) {
	reloads, next := make(chan struct{}), make(chan func() (*config.Config, error), 1)
	w := newWorld(t, nil)
	require.NoError(t, w.end())
	w.options.Reloads = reloads
	w.options.Reload = func() (*config.Config, error) { return (<-next)() }
	w.start()
	with := func(secrets ...config.Secret) func() (*config.Config, error) {
		return func() (*config.Config, error) {
			c := *w.config
			c.Plans = append([]config.Plan(nil), w.config.Plans...)
			c.Plans[0].Webhook.Auth.HMAC.Secrets = secrets
			return &c, nil
		}
	}
	reload := func(load func() (*config.Config, error)) {
		next <- load
		reloads <- struct{}{}
		reloads <- struct{}{} // received only after the first reload
		next <- load
	}
	body := fixtures.Read(t, "cb-rdr-sms-delivered.json")
	require.Equal(t, http.StatusOK, w.callback(body))
	reload(with("another secret"))
	require.Equal(t, http.StatusServiceUnavailable, w.callback(body), "Sinch will retry")
	reload(func() (*config.Config, error) { return nil, errors.New("wrong") })
	_, metrics := w.get("/metrics")
	assert.Contains(t, string(metrics), "dlrloop_config_last_reload_successful 0\n")
	reload(with("another secret", secret))
	require.Equal(t, http.StatusOK, w.callback(body))
}

// TestStartFails checks the errors of Start, and that a failed start releases its resources.
func TestStartFails(t *testing.T) {
	w := newWorld(t, nil)
	require.NoError(t, w.end())
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	w.config.Private.Listen = taken.Addr().String()
	_, err = server.Start(t.Context(), w.config, w.options)
	require.ErrorContains(t, err, "private listener")

	w.config.Private.Listen = "0.0.0.0:0"
	_, err = server.Start(t.Context(), w.config, w.options)
	require.ErrorContains(t, err, "credentials")

	w.config.Private.Listen = "127.0.0.1:0"
	w.start() // the failed starts have released the directory
	_, err = server.Start(t.Context(), w.config, w.options)
	require.ErrorContains(t, err, "in use by another process")
}

// TestListenerFails checks that Run ends if a listener fails.
func TestListenerFails(t *testing.T) {
	w := newWorld(t, nil)
	require.NoError(t, w.end())
	s, err := server.Start(t.Context(), w.config, w.options)
	require.NoError(t, err)
	require.NoError(t, server.ClosePublic(s))
	require.ErrorContains(t, s.Run(context.Background()), "public listener")
}

// TestLastLine checks that the last log line has an error only if there was one.
func TestLastLine(t *testing.T) {
	var text bytes.Buffer
	last := func() string { return text.String()[strings.LastIndex(strings.TrimSpace(text.String()), "\n")+1:] }
	w := newWorld(t, nil)
	require.NoError(t, w.end())
	w.options.Log = slog.New(slog.NewTextHandler(&text, nil))
	w.start()
	require.NoError(t, w.end())
	assert.True(t, strings.HasSuffix(last(), " msg=stopped\n"), last())

	s, err := server.Start(t.Context(), w.config, w.options)
	require.NoError(t, err)
	require.NoError(t, server.ClosePublic(s))
	require.Error(t, s.Run(context.Background()))
	assert.Contains(t, last(), ` msg=stopped error="public listener: `)
}
