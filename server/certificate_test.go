package server

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/config"
	"github.com/dlrloop/dlrloop/metrics"
)

// renewed is a server whose public listener has a certificate and reads its files regularly.
type renewed struct {
	t        *testing.T
	files    config.TLS
	server   *Server
	registry *prometheus.Registry
	log      logText
}

// logText is a log that can be read while it is written.
type logText struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// renewing runs f in a synctest bubble with a server that serves the pair first.
func renewing(t *testing.T, first Pair, f func(r *renewed)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := &renewed{t: t, files: first.Write(t, dir), registry: prometheus.NewRegistry()}
		c, err := newCertificate(r.files)
		require.NoError(t, err)
		log := slog.New(slog.NewTextHandler(&r.log, nil))
		r.server = &Server{
			log: log, metrics: metrics.New(r.registry, metrics.Config{}),
			public: &listener{name: "public", certificate: c},
		}
		go func() { _ = r.server.reload(t.Context()) }()
		synctest.Wait()
		f(r)
	})
}

// later waits until the server has read the files once, and returns the certificate that it serves then.
func (r *renewed) later() []byte {
	r.t.Helper()
	time.Sleep(certificateInterval)
	synctest.Wait()
	pair, err := r.server.public.certificate.config().GetCertificate(nil)
	require.NoError(r.t, err)
	return pair.Certificate[0]
}

func (r *renewed) exports(succeeded int, expiry time.Time) {
	r.t.Helper()
	got, err := testutil.GatherAndCount(r.registry, "dlrloop_tls_certificate_expiry_timestamp_seconds")
	require.NoError(r.t, err)
	require.Equal(r.t, 1, got, "only the listener with a certificate")
	families, err := r.registry.Gather()
	require.NoError(r.t, err)
	for _, f := range families {
		switch f.GetName() {
		case "dlrloop_tls_certificate_expiry_timestamp_seconds":
			require.EqualValues(r.t, expiry.Unix(), f.GetMetric()[0].GetGauge().GetValue())
		case "dlrloop_config_last_reload_successful":
			require.EqualValues(r.t, succeeded, f.GetMetric()[0].GetGauge().GetValue())
		}
	}
}

// TestACertificateIsRenewed replaces the files in place, and then as Kubernetes does, by changing the target of a
// link.
func TestACertificateIsRenewed(t *testing.T) {
	first, second, third := NewPair(t, time.Hour), NewPair(t, 2*time.Hour), NewPair(t, time.Minute)
	renewing(t, first, func(r *renewed) {
		require.Equal(r.t, first.Raw, r.later())
		r.exports(1, first.NotAfter)
		second.Write(r.t, filepath.Dir(r.files.CertFile))
		require.Equal(r.t, second.Raw, r.later())
		r.exports(1, second.NotAfter)

		elsewhere := third.Write(r.t, r.t.TempDir())
		for link, target := range map[string]string{
			r.files.CertFile: elsewhere.CertFile, r.files.KeyFile: elsewhere.KeyFile,
		} {
			require.NoError(r.t, os.Symlink(target, link+".new"))
			require.NoError(r.t, os.Rename(link+".new", link))
		}
		require.Equal(r.t, third.Raw, r.later())
		r.exports(1, third.NotAfter)
		require.Equal(r.t, 2, strings.Count(r.log.String(), "certificate reloaded"))
		require.NotContains(r.t, r.log.String(), "WARN")
	})
}

// TestIncompleteFilesKeepTheOldPair checks that the last valid pair is served while the files are invalid.
func TestIncompleteFilesKeepTheOldPair(t *testing.T) {
	first, second, other := NewPair(t, time.Hour), NewPair(t, 2*time.Hour), NewPair(t, time.Hour)
	chain := append(bytes.Clone(second.Chain), other.Chain...)
	for name, c := range map[string]struct{ cert, key []byte }{
		"the key is still the old one":            {second.Chain, first.Key},
		"the certificate is still the old one":    {first.Chain, second.Key},
		"the key is cut":                          {second.Chain, second.Key[:len(second.Key)/2]},
		"the certificate is cut":                  {second.Chain[:len(second.Chain)/2], second.Key},
		"the chain is cut":                        {chain[:len(chain)-20], second.Key},
		"the chain is cut behind its last header": {chain[:len(second.Chain)+30], second.Key},
		"the certificate is empty":                {nil, second.Key},
		"the key is empty":                        {second.Chain, nil},
		"both are swapped":                        {second.Key, second.Chain},
		"not PEM":                                 {[]byte("<html>"), second.Key},
	} {
		t.Run(name, func(t *testing.T) {
			renewing(t, first, func(r *renewed) {
				write := func(cert, key []byte) {
					require.NoError(r.t, os.WriteFile(r.files.CertFile, cert, 0o600))
					require.NoError(r.t, os.WriteFile(r.files.KeyFile, key, 0o600))
				}
				write(c.cert, c.key)
				for range 3 {
					require.Equal(r.t, first.Raw, r.later())
				}
				r.exports(0, first.NotAfter)
				require.Equal(r.t, 1, strings.Count(r.log.String(), "certificate not reloaded"), "%s", &r.log)
				require.NoError(r.t, os.Remove(r.files.KeyFile))
				require.Equal(r.t, first.Raw, r.later())
				write(chain, second.Key)
				require.Equal(r.t, second.Raw, r.later())
				r.exports(1, other.NotAfter)
			})
		})
	}
}
