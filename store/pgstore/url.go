package pgstore

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Database describes the database that a connection URL selects, for logs and messages. It contains no password.
type Database struct {
	Hosts   []string // in the order in which they are tried: host:port, or the path of a Unix socket
	Name    string   // of the database; empty: the same as User
	User    string
	SSLMode string // sslmode of the first host, such as verify-full
	// Verified reports whether every connection authenticates the database: the database is on this machine, or its
	// certificate is verified.
	Verified bool
}

// ParseURL returns the database that url selects: postgres://… or libpq keywords and values. As in libpq, environment
// variables such as PGHOST set what url leaves out. ParseURL reads the certificates that url names, but does not
// connect. Its error names the parameter or the file at fault and quotes nothing else of url, because any part of a URL
// may be a misplaced password.
func ParseURL(url string) (Database, error) {
	pool, err := parseURL(url)
	if err != nil {
		return Database{}, err
	}
	c := pool.ConnConfig
	d := Database{Name: c.Database, User: c.User, Verified: true}
	attempts := attemptsOf(c)
	for i, a := range attempts {
		network, address := pgconn.NetworkAddress(a.Host, a.Port)
		d.Verified = d.Verified && (network == "unix" || isLoopback(a.Host) || verifies(a.TLSConfig))
		if i > 0 && a.Host == attempts[i-1].Host && a.Port == attempts[i-1].Port {
			continue // the second attempt of sslmode allow or prefer
		}
		d.Hosts = append(d.Hosts, address)
	}
	d.SSLMode = sslMode(attempts)
	return d, nil
}

// attemptsOf returns pgx's attempts to connect, in order: one for each host, or two if TLS is optional.
func attemptsOf(c *pgx.ConnConfig) []*pgconn.FallbackConfig {
	first := &pgconn.FallbackConfig{Host: c.Host, Port: c.Port, TLSConfig: c.TLSConfig}
	return append([]*pgconn.FallbackConfig{first}, c.Fallbacks...)
}

// sslMode derives the sslmode parameter from those of the attempts that connect to the first host.
func sslMode(attempts []*pgconn.FallbackConfig) string {
	first := attempts[0].TLSConfig
	two := len(attempts) > 1 && attempts[1].Host == attempts[0].Host && attempts[1].Port == attempts[0].Port &&
		(attempts[1].TLSConfig == nil) != (first == nil)
	switch {
	case first == nil && two:
		return "allow"
	case first == nil:
		return "disable"
	case two:
		return "prefer"
	case !first.InsecureSkipVerify:
		return "verify-full"
	case verifies(first):
		return "verify-ca"
	}
	return "require"
}

// verifies reports whether TLS with this configuration verifies the server's certificate; nil means no TLS.
func verifies(c *tls.Config) bool {
	return c != nil && (!c.InsecureSkipVerify || c.VerifyPeerCertificate != nil)
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.Unmap().IsLoopback()
}

// errNoDatabase is the error for a malformed URL of which no part may be quoted, because any part may be the password.
var errNoDatabase = errors.New("is not a connection string of PostgreSQL; " +
	"write postgres://user:password@host:5432/database?sslmode=verify-full, " +
	"with special characters of the password escaped (%40 for @), or host=… dbname=… user=… password=…")

// parseURL parses a connection URL with pgx. It also refuses a URL if pgx seems to have parsed a part of the password
// as another value, because that value would be displayed.
func parseURL(url string) (*pgxpool.Config, error) {
	if strings.TrimSpace(url) == "" || hasStrayCharacters(url) {
		return nil, errNoDatabase
	}
	if err := checkFiles(url); err != nil {
		return nil, err
	}
	c, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, urlError(err)
	}
	for _, a := range attemptsOf(c.ConnConfig) {
		if network, _ := pgconn.NetworkAddress(a.Host, a.Port); network != "unix" && strings.ContainsAny(a.Host, "/@=") {
			return nil, errNoDatabase
		}
	}
	if mayHidePassword(c.ConnConfig.Database) || mayHidePassword(c.ConnConfig.User) {
		return nil, errNoDatabase
	}
	for name, value := range c.ConnConfig.RuntimeParams {
		if !isParameter(name) || mayHidePassword(value) {
			return nil, errNoDatabase
		}
	}
	return c, nil
}

// hasStrayCharacters reports whether a postgres://… URL contains a space, a # or an @ that must be escaped.
func hasStrayCharacters(url string) bool {
	_, rest, isURL := strings.Cut(url, "://")
	before, _, _ := strings.Cut(rest, "?")
	_, name, _ := strings.Cut(before, "/")
	return isURL && strings.HasPrefix(url, "postgres") && (strings.ContainsAny(url, " #") || strings.Contains(name, "@"))
}

// mayHidePassword reports whether value, a part of a URL other than the password, seems to contain a password, as in
// dbname=postgres://… or "user= password=…".
func mayHidePassword(value string) bool {
	return strings.Contains(value, "://") || strings.Contains(value, "password=")
}

func isParameter(name string) bool {
	return regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*$`).MatchString(name)
}

// parameterNames finds, in an error message of pgx, the name of the URL parameter at fault.
var parameterNames = regexp.MustCompile(`\b(ssl(mode|certmode|cert|key|password)|target_session_attrs|` +
	`connect_timeout|channel_binding|require_auth|(min|max)_protocol_version|default_query_exec_mode|` +
	`(statement|description)_cache_capacity|pool_(max_conns|min_conns|min_idle_conns|max_conn_lifetime(_jitter)?|` +
	`max_conn_idle_time|health_check_period|ping_timeout))\b`)

// hints says what to write as the value of a URL parameter, for the parameters that are wrong most often.
var hints = map[string]string{
	"sslmode":              "use disable, allow, prefer, require, verify-ca or verify-full",
	"sslcertmode":          "use disable, allow or require",
	"sslcert":              "set both sslcert and sslkey, or none",
	"target_session_attrs": "use any, read-write, read-only, primary, standby or prefer-standby",
	"connect_timeout":      "write a number of seconds",
	"channel_binding":      "use disable, prefer or require",
}

// otherReasons maps messages of pgx that name no URL parameter to errors. A text in a message identifies the message.
var otherReasons = []struct {
	contained string
	err       error
}{
	{"CA to cert pool", errors.New("sslrootcert: contains no PEM certificate")},
	{"load cert", errors.New("sslcert: is not a certificate for the key in sslkey")},
	{"read service", errors.New("service: cannot be read from the servicefile")},
	{"port numbers", errors.New("port: set one port for all hosts, or one for each")},
	{"invalid port", errors.New("port: is not a number from 1 to 65535; for a / or ? in the password write %2F or %3F")},
}

// urlError returns the error to display for err, an error of pgx. The message of pgx may contain the password, so
// urlError keeps only the name of the parameter at fault or of a file that cannot be read.
func urlError(err error) error {
	if file, ok := errors.AsType[*fs.PathError](err); ok && !mayHidePassword(file.Path) {
		return fmt.Errorf("cannot read %s: %w; create it, or name another file", file.Path, file.Err)
	}
	p, ok := errors.AsType[*pgconn.ParseConfigError](err)
	if !ok {
		return errNoDatabase
	}
	p.ConnString = "" // or a word in it would count as a reason
	message := p.Error()
	for _, r := range otherReasons {
		if strings.Contains(message, r.contained) {
			return r.err
		}
	}
	if name := parameterNames.FindString(message); name != "" {
		return fmt.Errorf("%s: is not a valid value; %s", name, cmp.Or(hints[name], "see the documentation of pgx"))
	}
	return errNoDatabase
}
