package server_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/config"
	"github.com/dlrloop/dlrloop/dlr/fixtures"
	"github.com/dlrloop/dlrloop/server"
)

// served returns the certificate that a listener serves.
func served(t *testing.T, address net.Addr) []byte {
	t.Helper()
	//nolint:gosec // the test compares the certificate
	c, err := tls.Dial("tcp", address.String(), &tls.Config{InsecureSkipVerify: true})
	require.NoError(t, err)
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].Raw
}

// TestReloadsReadCertificatesAndSecrets changes both, with an incomplete certificate at first. Neither reload depends
// on the other.
func TestReloadsReadCertificatesAndSecrets(t *testing.T) {
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "config.yaml")
	first, second := server.NewPair(t, time.Hour), server.NewPair(t, 2*time.Hour)
	files := first.Write(t, dir)
	text := func(secret string) string {
		tls := fmt.Sprintf("{cert_file: %q, key_file: %q}", files.CertFile, files.KeyFile)
		return fmt.Sprintf("public: {listen: \"127.0.0.1:0\", tls: %s}\nprivate: {listen: \"127.0.0.1:0\"}\n"+
			"gateway: {listen: \"127.0.0.1:0\", tls: %s}\nstore: {path: %q}\nplans:\n  - id: %s\n    base_url: "+
			"http://127.0.0.1:1\n"+
			"    token: t\n    webhook: {auth: {hmac: {secrets: [%s]}}}\n", tls, tls, filepath.Join(dir, "data"), plan, secret)
	}
	require.NoError(t, os.WriteFile(file, []byte(text("another secret")), 0o600))
	c, err := config.Load(file, nil)
	require.NoError(t, err)

	reloads := make(chan struct{})
	w := newWorld(t, nil)
	require.NoError(t, w.end())
	w.config = c
	w.options.Reloads, w.options.Reload = reloads, func() (*config.Config, error) { return config.Reload(file, nil) }
	w.start()
	callback := func() int {
		r := signed(t, "https://"+w.server.PublicAddr().String()+"/webhooks/"+plan,
			fixtures.Read(t, "cb-rdr-sms-delivered.json"))
		//nolint:gosec // as in served
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
		defer client.CloseIdleConnections()
		a, err := client.Do(r)
		require.NoError(t, err)
		require.NoError(t, a.Body.Close())
		return a.StatusCode
	}
	listeners := func(pair server.Pair) {
		require.Equal(t, pair.Raw, served(t, w.server.PublicAddr()))
		require.Equal(t, pair.Raw, served(t, w.server.GatewayAddr()))
		_, metrics := w.get("/metrics")
		for _, listener := range []string{"public", "gateway"} {
			require.Contains(t, string(metrics),
				fmt.Sprintf("dlrloop_tls_certificate_expiry_timestamp_seconds{listener=%q} %g\n", listener,
					float64(pair.NotAfter.Unix())))
		}
	}
	hangup := func() {
		reloads <- struct{}{}
		reloads <- struct{}{} // received only after the first reload
	}
	hangup()
	listeners(first)
	require.Equal(t, http.StatusServiceUnavailable, callback())

	require.NoError(t, os.WriteFile(file, []byte(text(secret)), 0o600))
	require.NoError(t, os.WriteFile(files.CertFile, second.Chain, 0o600))
	hangup()
	listeners(first)
	require.Equal(t, http.StatusOK, callback(), "the secret is reloaded although the certificate is not")
	_, metrics := w.get("/metrics")
	require.Contains(t, string(metrics), "dlrloop_config_last_reload_successful 0\n")

	require.NoError(t, os.WriteFile(files.KeyFile, second.Key, 0o600))
	require.NoError(t, os.WriteFile(file, []byte("plans: ["), 0o600))
	hangup()
	listeners(second)
	require.Equal(t, http.StatusOK, callback(), "an invalid configuration changes nothing")

	require.NoError(t, os.WriteFile(file, []byte(text(secret)), 0o600))
	hangup()
	_, metrics = w.get("/metrics")
	require.Contains(t, string(metrics), "dlrloop_config_last_reload_successful 1\n")
}
