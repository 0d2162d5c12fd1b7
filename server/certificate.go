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

// certificateInterval is how often a running server reads its TLS files.
const certificateInterval = 10 * time.Second

// certificate is the pair of certificate and key that a listener uses: the last one that its files held together. Only one
// goroutine calls read.
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

// read reads the files and reports whether they hold another certificate than before. After an error, for instance while one of
// the files is half written, the listener goes on with the pair that it has.
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

// readPEM reads a file of whole PEM blocks. A chain that ends within a block would work, but without its intermediate
// certificates.
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
		return nil, fmt.Errorf("%s: ends within a PEM block", path)
	}
	return content, nil
}

// expiry is the time at which the first certificate of the chain expires.
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

// config is the TLS configuration of a listener. A handshake uses the pair of its moment.
func (c *certificate) config() *tls.Config {
	return &tls.Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.served.Load(), nil },
		MinVersion:     tls.VersionTLS12, NextProtos: []string{"http/1.1"},
	}
}
