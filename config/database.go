package config

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
)

// Database describes which database a connection string names. It holds no secret.
type Database struct {
	Hosts   []string // host:port each, in the order in which they are tried; a host that is a directory holds a socket
	Name    string   // empty: the same as the user
	User    string   // empty: the operating system's user
	SSLMode string
}

// ReadDatabase parses a connection string of PostgreSQL: a URL or keywords and values. Variables in environ, PGHOST
// and the like, set what text leaves out. An error names the parameter that prevents a connection. It quotes nothing
// of text but file names, because any part of text may be a misplaced password.
func ReadDatabase(text Secret, environ []string) (Database, error) {
	s, ok := readSettings(text)
	if !ok {
		return Database{}, errNoDatabase
	}
	s = s.withFallback(environSettings(environ))
	if err := s.check(); err != nil {
		return Database{}, err
	}
	return Database{Hosts: s.addresses(), Name: s["dbname"], User: s["user"], SSLMode: s.sslmode()}, nil
}

var errNoDatabase = errors.New("is not a connection string of PostgreSQL; " +
	"write postgres://user:password@host:5432/database?sslmode=verify-full, " +
	"with special characters of the password escaped (%40 for @), or host=… dbname=… user=… password=…")

// Verified reports whether the connection authenticates the database: the database is on this machine, or its
// certificate is verified.
func (d Database) Verified() bool {
	return d.SSLMode == "verify-full" || d.SSLMode == "verify-ca" ||
		!slices.ContainsFunc(d.Hosts, func(address string) bool {
			host, _, _ := net.SplitHostPort(address)
			return host != localSocket && !strings.HasPrefix(host, "/") && !strings.HasPrefix(host, "@") && !isLoopback(host)
		})
}

const (
	defaultPort = "5432"
	localSocket = "local" // the host if none is set: libpq's default socket
)

// settings maps libpq's parameter names to their values.
type settings map[string]string

// withFallback adds the settings of s to others, replacing equal names, and returns others.
func (s settings) withFallback(others settings) settings {
	for name, value := range s {
		others[name] = value
	}
	return others
}

// environSettings returns the settings of the environment variables that all PostgreSQL programs share.
func environSettings(environ []string) settings {
	names := map[string]string{
		"PGHOST": "host", "PGPORT": "port", "PGDATABASE": "dbname", "PGUSER": "user", "PGCONNECT_TIMEOUT": "connect_timeout",
		"PGSSLMODE": "sslmode", "PGSSLROOTCERT": "sslrootcert", "PGSSLCERT": "sslcert", "PGSSLKEY": "sslkey",
		"PGSSLCERTMODE": "sslcertmode", "PGTARGETSESSIONATTRS": "target_session_attrs", "PGCHANNELBINDING": "channel_binding",
	}
	s := make(settings)
	for _, entry := range environ {
		variable, value, _ := strings.Cut(entry, "=")
		if name, known := names[variable]; known && value != "" {
			s[name] = value
		}
	}
	return s
}

func (s settings) hosts() []string { return strings.Split(s["host"], ",") }

func (s settings) ports() []string { return strings.Split(s["port"], ",") }

// addresses returns the hosts as host:port. A single port applies to all hosts.
func (s settings) addresses() []string {
	hosts, ports := s.hosts(), s.ports()
	for i, host := range hosts {
		port := ports[min(i, len(ports)-1)]
		hosts[i] = net.JoinHostPort(cmp.Or(host, localSocket), cmp.Or(port, defaultPort))
	}
	return hosts
}

// sslmode returns the effective sslmode: a root certificate raises a weaker mode, as in libpq.
func (s settings) sslmode() string {
	mode := cmp.Or(s["sslmode"], "prefer")
	switch root := s["sslrootcert"]; {
	case root == "system":
		return "verify-full"
	case root != "" && mode == "require":
		return "verify-ca"
	}
	return mode
}

// check returns an error if no connection can be made with the settings.
func (s settings) check() error {
	hosts, ports := s.hosts(), s.ports()
	if len(ports) > 1 && len(ports) != len(hosts) {
		return fmt.Errorf("port: %d ports for %d hosts; set one port for all, or one for each", len(ports), len(hosts))
	}
	for _, port := range ports {
		if n, err := strconv.ParseUint(cmp.Or(port, defaultPort), 10, 16); err != nil || n == 0 {
			return errors.New("port: is not a number from 1 to 65535; for a / or ? in the password write %2F or %3F")
		}
	}
	for _, p := range enumParameters {
		if value, given := s[p.name]; given && !slices.Contains(p.words, value) {
			words := slices.DeleteFunc(slices.Clone(p.words), func(w string) bool { return w == "" })
			return fmt.Errorf("%s: is not a valid value; use %s", p.name, orList(words))
		}
	}
	for _, p := range numericParameters {
		if value, given := s[p.name]; given && !p.valid(value) {
			return fmt.Errorf("%s: is not %s", p.name, p.what)
		}
	}
	return s.checkFiles()
}
