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

// Database is where a database is, as far as everybody may know it.
type Database struct {
	Hosts   []string // host:port each, in the order in which they are tried; a folder is that of a socket
	Name    string   // empty: that of the user
	User    string   // empty: the user of the system
	SSLMode string
}

// ReadDatabase reads where a database is, as PostgreSQL's own programs do: from a URL or keywords and values, and where these say nothing
// from variables (PGHOST and the like) of environ. An error names the parameter that no connection can be made with; of the
// text it holds no more than the name of a file, since any part of it may be a password that was written in the wrong place.
func ReadDatabase(text Secret, environ []string) (Database, error) {
	s, understood := readSettings(text)
	if !understood {
		return Database{}, errNoDatabase
	}
	s = s.over(libpqSettings(environ))
	if err := s.check(); err != nil {
		return Database{}, err
	}
	return Database{Hosts: s.addresses(), Name: s["dbname"], User: s["user"], SSLMode: s.sslmode()}, nil
}

var errNoDatabase = errors.New("does not say where a database is; write postgres://user:password@host:5432/database?sslmode=verify-full, " +
	"with %40 for an @ in the password and the like, or host=… dbname=… user=… password=…")

// Verified reports whether it is certain that it is the database that is spoken to: it is on this machine, or shows a certificate.
func (d Database) Verified() bool {
	return d.SSLMode == "verify-full" || d.SSLMode == "verify-ca" || !slices.ContainsFunc(d.Hosts, func(address string) bool {
		host, _, _ := net.SplitHostPort(address)
		return host != localSocket && !strings.HasPrefix(host, "/") && !strings.HasPrefix(host, "@") && !isLoopback(host)
	})
}

const (
	defaultPort = "5432"
	localSocket = "local" // stands for a host that nothing names
)

// settings are the parameters of a connection by their names in libpq.
type settings map[string]string

// over are s and, where s says nothing, others.
func (s settings) over(others settings) settings {
	for name, value := range s {
		others[name] = value
	}
	return others
}

// libpqSettings are those that variables set for all programs that use PostgreSQL.
func libpqSettings(environ []string) settings {
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

// addresses are the hosts with their ports. One port is that of all.
func (s settings) addresses() []string {
	hosts, ports := s.hosts(), s.ports()
	for i, host := range hosts {
		port := ports[min(i, len(ports)-1)]
		hosts[i] = net.JoinHostPort(cmp.Or(host, localSocket), cmp.Or(port, defaultPort))
	}
	return hosts
}

// sslmode is the one that counts: a certificate to compare with makes others stricter.
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

// check is an error for what no connection can be made with.
func (s settings) check() error {
	hosts, ports := s.hosts(), s.ports()
	if len(ports) > 1 && len(ports) != len(hosts) {
		return fmt.Errorf("port: there are %d of them for %d hosts; give one for all, or one for each", len(ports), len(hosts))
	}
	for _, port := range ports {
		if n, err := strconv.ParseUint(cmp.Or(port, defaultPort), 10, 16); err != nil || n == 0 {
			return errors.New("port: is not a number from 1 to 65535; for a / or ? in the password write %2F or %3F")
		}
	}
	for _, p := range worded {
		if value, given := s[p.name]; given && !slices.Contains(p.words, value) {
			return fmt.Errorf("%s: is not possible; choose %s", p.name, orList(slices.DeleteFunc(slices.Clone(p.words), func(w string) bool { return w == "" })))
		}
	}
	for _, p := range counted {
		if value, given := s[p.name]; given && !p.right(value) {
			return fmt.Errorf("%s: is not %s", p.name, p.what)
		}
	}
	return s.checkFiles()
}
