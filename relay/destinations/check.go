package destinations

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/dlrloop/dlrloop/sinch"
	"github.com/dlrloop/dlrloop/store"
)

// Check calls report for each invalid field. member is the configuration key of the field, such as url or secrets[1],
// and text says what is wrong. Check reads the certificate files, but makes no connection. Numbers have no upper limit.
func (d Destination) Check(report func(member, text string)) {
	if !regexp.MustCompile(`^[a-z0-9._-]{1,64}$`).MatchString(d.Name) {
		report("name", fmt.Sprintf("%q is not a name: use a-z, 0-9, \".\", \"_\" and \"-\", at most 64 characters", d.Name))
	}
	if _, err := parseURL(d.URL); err != nil {
		report("url", err.Error())
	}
	d.checkFormat(report)
	if err := sinch.CheckToken(sinch.Secret(d.Token)); err != nil {
		report("token", err.Error())
	}
	d.checkFiles(report)
	d.Backoff.Check(func(member, text string) { report("backoff."+member, text) })
	for member, negative := range map[string]bool{
		"timeout": d.Timeout < 0, "rate": d.Rate < 0, "workers": d.Workers < 0, "give_up": d.GiveUp < 0,
		"max_pending": d.MaxPending < 0, "max_events": d.MaxEvents < 0,
	} {
		if negative {
			report(member, "must not be negative")
		}
	}
}

// parseURL parses and checks the URL of a destination: http or https, with a host, without a user name or a fragment.
// Its errors do not contain the URL, which may contain a secret.
func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case text == "":
		return nil, errors.New("is not set; write the URL that receives the events, such as https://app.example.com/reports")
	case err != nil:
		return nil, errors.New("is not a URL; write one such as https://app.example.com/reports")
	case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		return nil, errors.New("must begin with https:// or http:// and name a host")
	case u.User != nil:
		return nil, errors.New("contains a user name; use token or a client certificate instead")
	case u.Fragment != "" || strings.HasSuffix(text, "#"):
		return nil, errors.New("contains a fragment (#), which HTTP does not send; remove it")
	}
	return u, nil
}

// checkFormat calls report, like Check, if Format is unknown, or if Secrets, MaxEvents or Events do not suit it.
func (d Destination) checkFormat(report func(member, text string)) {
	switch d.Format {
	case "", FormatEvents:
		d.checkSecrets(report)
	case FormatSinch:
		if len(d.Secrets) > 0 {
			report("secrets", "sign only the format events; a destination of the format sinch gets Sinch's own signature")
		}
		if d.MaxEvents > 1 {
			report("max_events", "is only for the format events: Sinch sends one callback a request")
		}
	default:
		report("format", fmt.Sprintf("%q is not a valid value; use %s or %s", d.Format, FormatEvents, FormatSinch))
		return
	}
	types := d.Format.EventTypes()
	for i, t := range d.Events {
		if !slices.Contains(types, t) {
			report(fmt.Sprintf("events[%d]", i), fmt.Sprintf("%q is not a type of this format; use any of %s", t, list(types)))
		}
	}
}

func list(types []store.EventType) string {
	words := make([]string, len(types))
	for i, t := range types {
		words[i] = string(t)
	}
	return strings.Join(words, ", ")
}

// minSecret and maxSecret limit the length of a signing secret in bytes, as Standard Webhooks demands.
const minSecret, maxSecret = 24, 64

func (d Destination) checkSecrets(report func(member, text string)) {
	switch {
	case len(d.Secrets) == 0:
		report("secrets", "is not set; the application verifies each request with it. Create one: "+
			"echo whsec_$(openssl rand -base64 32)")
	case len(d.Secrets) > 2:
		report("secrets", "has more than two secrets: keep the new one and, until the application knows it, the old one")
	}
	for i, s := range d.Secrets {
		if err := CheckSecret(s); err != nil {
			report(fmt.Sprintf("secrets[%d]", i), err.Error())
		}
	}
}

// CheckSecret returns an error if s is not a signing secret of Standard Webhooks: whsec_ followed by the base64 of 24
// to 64 bytes. The error does not contain the secret.
func CheckSecret(s string) error {
	encoded, found := strings.CutPrefix(s, "whsec_")
	if !found {
		return errors.New("does not begin with whsec_; create a secret with: echo whsec_$(openssl rand -base64 32)")
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	switch {
	case err != nil:
		return errors.New("is not base64 after whsec_; create a secret with: echo whsec_$(openssl rand -base64 32)")
	case len(key) < minSecret || len(key) > maxSecret:
		return fmt.Errorf("has %d bytes; a secret has %d to %d: echo whsec_$(openssl rand -base64 32)",
			len(key), minSecret, maxSecret)
	}
	return nil
}

func (d Destination) checkFiles(report func(member, text string)) {
	switch {
	case d.CertFile == "" && d.KeyFile != "":
		report("cert_file", "is not set; key_file needs the certificate of the key")
	case d.CertFile != "" && d.KeyFile == "":
		report("key_file", "is not set; cert_file needs its private key")
	case d.CertFile != "":
		if _, err := tls.LoadX509KeyPair(d.CertFile, d.KeyFile); err != nil {
			report("cert_file", err.Error())
		}
	}
	if d.CAFile != "" {
		if _, err := readCAs(d.CAFile); err != nil {
			report("ca_file", err.Error())
		}
	}
}

// readCAs reads the certificates of a PEM file into a new pool. It returns an error if the file has none.
func readCAs(path string) (*x509.CertPool, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(content) {
		return nil, fmt.Errorf("%s contains no certificate in PEM format", path)
	}
	return pool, nil
}
