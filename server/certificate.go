package server

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/dlrloop/dlrloop/config"
)

// certificateInterval is how often a running server reads its TLS files again, to use a renewed certificate without a
// restart.
const certificateInterval = 10 * time.Second

// certificate holds the TLS certificate and key of a listener, as last read from valid files. TLS handshakes may use it
// concurrently, but only one goroutine may call read.
type certificate struct {
	files  config.TLS
	served atomic.Pointer[tls.Certificate]
	failed string // the error of the last read, empty after a success
}

func newCertificate(files config.TLS) (*certificate, error) {
	c := &certificate{files: files}
	_, err := c.read()
	return c, err
}

// read reads the certificate and key files again, and reports whether the certificate has changed. If they are invalid,
// it returns an error and the listener goes on with the previous certificate and key.
func (c *certificate) read() (changed bool, err error) {
	chain, err := readPEM(c.files.CertFile)
	if err != nil {
		return false, err
	}
	key, err := readPEM(c.files.KeyFile)
	if err != nil {
		return false, err
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return false, err
	}
	old := c.served.Swap(&pair)
	return old == nil || !slices.EqualFunc(old.Certificate, pair.Certificate, bytes.Equal), nil
}

// readPEM returns the content of a file. If the file ends within a PEM block, it is probably still being written, and
// readPEM returns an error, because tls.X509KeyPair would accept the incomplete certificate chain.
func readPEM(path string) ([]byte, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	rest := content
	for block, more := pem.Decode(rest); block != nil; block, more = pem.Decode(rest) {
		rest = more
	}
	if bytes.Contains(rest, []byte("-----BEGIN ")) {
		return nil, fmt.Errorf("%s: the file ends within a PEM block", path)
	}
	return content, nil
}

// expiry returns when the first of the certificates in the present chain expires. Method read must have succeeded
// before.
func (c *certificate) expiry() time.Time {
	var first time.Time
	for _, der := range c.served.Load().Certificate {
		parsed, err := x509.ParseCertificate(der)
		if err == nil && (first.IsZero() || parsed.NotAfter.Before(first)) {
			first = parsed.NotAfter
		}
	}
	return first
}

// config returns the TLS configuration of a listener. Each handshake uses the certificate from the last successful
// read.
func (c *certificate) config() *tls.Config {
	return &tls.Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.served.Load(), nil },
		MinVersion:     tls.VersionTLS12, NextProtos: []string{"http/1.1"},
	}
}
