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

// enumParameters lists the parameters of pgx that accept only certain words. An empty word selects the default.
var enumParameters = []struct {
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

// numericParameters lists the parameters of pgx that accept a number or a duration.
var numericParameters = []struct {
	name, what string
	valid      func(string) bool
}{
	{"connect_timeout", "a number of seconds", isNumber},
	{"statement_cache_capacity", "a number", isNumber},
	{"description_cache_capacity", "a number", isNumber},
	{"pool_max_conns", "a number of at least 1", func(s string) bool { return isNumber(s) && s != "0" }},
	{"pool_min_conns", "a number", isNumber},
	{"pool_min_idle_conns", "a number", isNumber},
	{"pool_max_conn_lifetime", "a duration, such as 1h", isLength},
	{"pool_max_conn_lifetime_jitter", "a duration, such as 6m", isLength},
	{"pool_max_conn_idle_time", "a duration, such as 30m", isLength},
	{"pool_health_check_period", "a duration, such as 1m", isLength},
	{"pool_ping_timeout", "a duration, such as 5s", isLength},
}

func isNumber(s string) bool {
	_, err := strconv.ParseUint(s, 10, 31)
	return err == nil
}

func isLength(s string) bool {
	_, err := time.ParseDuration(s)
	return err == nil
}

// maxPEM limits the size of a PEM file in bytes. It is far above the size of a system's certificate bundle.
const maxPEM = 4 << 20

// checkFiles returns an error if a certificate or key file is missing or unusable.
func (s settings) checkFiles() error {
	if root := s["sslrootcert"]; root != "" && root != "system" {
		content, err := readPEM("sslrootcert", root)
		if err != nil {
			return err
		}
		if !x509.NewCertPool().AppendCertsFromPEM(content) {
			return fmt.Errorf("sslrootcert: %s: contains no PEM certificate", root)
		}
	}
	cert, key := s["sslcert"], s["sslkey"]
	switch {
	case s["sslcertmode"] == "disable" || cert == "" && key == "":
		return nil
	case key == "":
		return errors.New("sslkey: is not set, but sslcert is; set both or none")
	case cert == "":
		return errors.New("sslcert: is not set, but sslkey is; set both or none")
	}
	return checkPair(cert, key)
}

// checkPair returns an error unless the files hold a certificate and its key. An encrypted key is not checked.
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
		return fmt.Errorf("sslcert: %s: does not match the key in %s: %w", cert, key, err)
	}
	return nil
}

func readPEM(name, path string) ([]byte, error) {
	content, _, err := readLimited(path, maxPEM)
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %s", name, path, readError(err, "create it, or name another file"))
	}
	return content, nil
}
