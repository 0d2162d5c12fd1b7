package config

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// worded are the parameters that have one of some words; an empty one stands for the default where it may be given.
var worded = []struct {
	name  string
	words []string
}{
	{"sslmode", []string{"", "disable", "allow", "prefer", "require", "verify-ca", "verify-full"}},
	{"sslcertmode", []string{"disable", "allow", "require"}},
	{"target_session_attrs", []string{"any", "read-write", "read-only", "primary", "standby", "prefer-standby"}},
	{"channel_binding", []string{"", "disable", "prefer", "require"}},
	{"min_protocol_version", []string{"", "3.0", "3.2", "latest"}},
	{"max_protocol_version", []string{"", "3.0", "3.2", "latest"}},
	{"default_query_exec_mode", []string{"cache_statement", "cache_describe", "describe_exec", "exec", "simple_protocol"}},
}

// counted are the parameters that have a number or a length of time.
var counted = []struct {
	name, what string
	right      func(string) bool
}{
	{"connect_timeout", "a number of seconds", isNumber},
	{"statement_cache_capacity", "a number", isNumber},
	{"description_cache_capacity", "a number", isNumber},
	{"pool_max_conns", "a number from 1 on", func(s string) bool { return isNumber(s) && s != "0" }},
	{"pool_min_conns", "a number", isNumber},
	{"pool_min_idle_conns", "a number", isNumber},
	{"pool_max_conn_lifetime", "a length of time, such as 1h", isLength},
	{"pool_max_conn_lifetime_jitter", "a length of time, such as 6m", isLength},
	{"pool_max_conn_idle_time", "a length of time, such as 30m", isLength},
	{"pool_health_check_period", "a length of time, such as 1m", isLength},
	{"pool_ping_timeout", "a length of time, such as 5s", isLength},
}

func isNumber(s string) bool {
	_, err := strconv.ParseUint(s, 10, 31)
	return err == nil
}

func isLength(s string) bool {
	_, err := time.ParseDuration(s)
	return err == nil
}

// maxPEM is far more than all certificates of a system take.
const maxPEM = 4 << 20

// checkFiles reads the files with certificates and keys.
func (s settings) checkFiles() error {
	if root := s["sslrootcert"]; root != "" && root != "system" {
		content, err := readPEM("sslrootcert", root)
		if err != nil {
			return err
		}
		if !x509.NewCertPool().AppendCertsFromPEM(content) {
			return fmt.Errorf("sslrootcert: %s: holds no certificate in PEM", root)
		}
	}
	cert, key := s["sslcert"], s["sslkey"]
	switch {
	case s["sslcertmode"] == "disable" || cert == "" && key == "":
		return nil
	case key == "":
		return errors.New("sslkey: is not set, and sslcert is; both are needed")
	case cert == "":
		return errors.New("sslcert: is not set, and sslkey is; both are needed")
	}
	return checkPair(cert, key)
}

// checkPair is an error unless the files hold a certificate and its key. A key that has a password may be right.
func checkPair(cert, key string) error {
	keyPEM, err := readPEM("sslkey", key)
	if err != nil {
		return err
	}
	certPEM, err := readPEM("sslcert", cert)
	if err != nil {
		return err
	}
	if block, _ := pem.Decode(keyPEM); block != nil && block.Headers["DEK-Info"] != "" {
		return nil
	}
	if _, err := tls.X509KeyPair(certPEM, keyPEM); err != nil {
		return fmt.Errorf("sslcert: %s: no certificate of the key in %s: %w", cert, key, err)
	}
	return nil
}

func readPEM(name, path string) ([]byte, error) {
	content, _, err := readLimited(path, maxPEM)
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %s", name, path, unreadable(err, "put it there, or name another file"))
	}
	return content, nil
}
