package destinations

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store"
)

// newCertificate writes a self-signed certificate for 127.0.0.1 and its key.
func newCertificate(t *testing.T) (certFile, keyFile string, pair tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: private},
	} {
		require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(block), 0o600))
	}
	pair, err = tls.LoadX509KeyPair(certFile, keyFile)
	require.NoError(t, err)
	return certFile, keyFile, pair
}

func TestCertificates(t *testing.T) {
	serverCert, _, serverPair := newCertificate(t)
	clientCert, clientKey, clientPair := newCertificate(t)
	clients := x509.NewCertPool()
	clients.AddCert(clientPair.Leaf)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.TLS = &tls.Config{
		Certificates: []tls.Certificate{serverPair}, ClientCAs: clients, ClientAuth: tls.RequireAndVerifyClientCert,
	}
	server.Config.ErrorLog = quiet()
	server.StartTLS()
	t.Cleanup(server.Close)
	for _, test := range []struct {
		ca, cert, key string
		want          store.DeliveryReason
	}{
		{serverCert, clientCert, clientKey, store.DeliveryAccepted},
		{"", clientCert, clientKey, store.DeliveryTLS},
		{clientCert, clientCert, clientKey, store.DeliveryTLS},
	} {
		s := senderFor(t, server.URL, func(d *Destination) { d.CAFile, d.CertFile, d.KeyFile = test.ca, test.cert, test.key })
		a, err := s.send(t.Context(), []*store.Event{eventOf("b", 1)})
		require.NoError(t, err)
		require.Equal(t, test.want, a.reason, a.detail)
	}
	s := senderFor(t, server.URL, func(d *Destination) { d.CAFile = serverCert })
	a, err := s.send(t.Context(), []*store.Event{eventOf("b", 1)})
	require.NoError(t, err)
	require.NotEqual(t, store.DeliveryAccepted, a.reason, "the server requires a client certificate")
}

// quiet discards what a server logs.
func quiet() *log.Logger { return log.New(io.Discard, "", 0) }
