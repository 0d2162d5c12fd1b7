package config

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestReadDatabaseAgreesWithPgx checks that ReadDatabase rejects exactly the connection strings that pgx rejects. So
// serve can parse what check accepts.
func TestReadDatabaseAgreesWithPgx(t *testing.T) {
	cert, key := pair(t)
	_, otherKey := pair(t)
	const base = "postgres://u:s3cret@db.example/d?"
	for text, want := range map[string]string{
		"postgres://u:s3cret@db.example:5433/d":             "",
		"postgres://u:s3cret@a.example:1,b.example/d":       "",
		"postgres://u:s3cret@a.example,b.example,[::1]:3/d": "",
		"postgres://u:s3cret@db.example":                    "",
		"postgres://u:s3cret@db.example:notaport/d":         "port: is not a number from 1 to 65535",
		"postgres://u:s3cret@db.example:0/d":                "port: ",
		"postgres://u:s3cret@db.example:65536/d":            "port: ",
		"postgres://u:s3c/ret@db.example/d":                 "is not a connection string of PostgreSQL",
		"postgres://u:s3cret@[::1/d":                        "is not a connection string of PostgreSQL",
		"postgres://u:s3cret@[::1]5432/d":                   "is not a connection string of PostgreSQL",
		"postgres://u:s3%cret@db.example/d":                 "is not a connection string of PostgreSQL",
		"postgres://u:s3%00cret@db.example/d":               "is not a connection string of PostgreSQL",
		base + "sslmode":                                    "is not a connection string of PostgreSQL",
		base + "sslmode=a=b":                                "is not a connection string of PostgreSQL",
		base + "port=1,2":                                   "port: 2 ports for 1 hosts",
		base + "sslmode=verify_full": "sslmode: is not a valid value; use disable, " +
			"allow, prefer, require, verify-ca or verify-full",
		base + "sslmode=&ssl=true&":                       "",
		base + "sslrootcert=/missing.pem":                 "sslrootcert: /missing.pem: there is no such file",
		base + "sslmode=disable&sslrootcert=/missing.pem": "sslrootcert: /missing.pem: there is no such file",
		base + "sslrootcert=" + filepath.Dir(cert): "sslrootcert: " + filepath.Dir(cert) +
			": is a directory",
		base + "sslrootcert=" + key:                   "sslrootcert: " + key + ": contains no PEM certificate",
		base + "sslrootcert=" + cert:                  "",
		base + "sslrootcert=system":                   "",
		base + "sslcert=" + cert + "&sslkey=" + key:   "",
		base + "sslcert=" + cert:                      "sslkey: is not set",
		base + "sslkey=" + key:                        "sslcert: is not set",
		base + "sslcert=" + cert + "&sslkey=/missing": "sslkey: /missing: there is no such file",
		base + "sslcert=/missing&sslkey=" + key:       "sslcert: /missing: there is no such file",
		base + "sslcert=" + cert + "&sslkey=" + otherKey: "sslcert: " + cert + ": does not match the key in " +
			otherKey,
		base + "sslcert=/missing&sslkey=/gone&sslcertmode=disable": "",
		base + "sslcertmode=":                                        "sslcertmode: ",
		base + "target_session_attrs=primary":                        "",
		base + "target_session_attrs=master":                         "target_session_attrs: ",
		base + "connect_timeout=3":                                   "",
		base + "connect_timeout=3s":                                  "connect_timeout: is not a number of seconds",
		base + "channel_binding=yes":                                 "channel_binding: ",
		base + "min_protocol_version=4":                              "min_protocol_version: ",
		base + "default_query_exec_mode=exec":                        "",
		base + "default_query_exec_mode=fast":                        "default_query_exec_mode: ",
		base + "pool_max_conn_lifetime=1h&pool_max_conns=7":          "",
		base + "pool_max_conn_lifetime=1":                            "pool_max_conn_lifetime: is not a duration",
		base + "pool_max_conns=0":                                    "pool_max_conns: ",
		base + "options=-c%20search_path%3Ddlr":                      "",
		base + "search_path=dlr&application_name=x":                  "",
		"host=db.example port=x password=s3cret":                     "port: ",
		"host=db.example password='s3\\'cret' sslmode=verify_full":   "sslmode: ",
		"host=db.example password=s3cret sslrootcert='/no such.pem'": "sslrootcert: /no such.pem: there is no such file",
		"host=a,b port=1,2,3 password=s3cret":                        "port: 3 ports for 2 hosts",
	} {
		_, pgx := pgxpool.ParseConfig(text)
		_, err := ReadDatabase(Secret(text), nil)
		if want == "" {
			assert.NoError(t, err, text)
			assert.NoError(t, pgx, text)
			continue
		}
		assert.ErrorContains(t, err, want, text)
		assert.Error(t, pgx, text)
		assert.NotContains(t, fmt.Sprint(err), "s3", text)
	}
}

// TestAMisplacedPasswordIsNotPrinted has connection strings in which pgx would read a part of the password as a name.
func TestAMisplacedPasswordIsNotPrinted(t *testing.T) {
	for _, text := range []string{
		"postgres://u:12/s3cret@db.example/d", "postgres://u:12?s3cret@db.example/d", "postgres://u:p@s3cret@db.example/d",
		"dbname=postgres://u:s3cret@db.example/d",
	} {
		d, err := ReadDatabase(Secret(text), nil)
		assert.Error(t, err, text)
		assert.NotContains(t, fmt.Sprint(d, err), "s3cret")
	}
}

func TestReadDatabase(t *testing.T) {
	for text, want := range map[string]Database{
		"postgres://u:s3cret@db.example/d?sslmode=verify-full": {[]string{"db.example:5432"}, "d", "u", "verify-full"},
		"postgres://a.example:1,[2001:db8::1]/d%20e": {
			[]string{"a.example:1", "[2001:db8::1]:5432"},
			"d e",
			"env", "prefer",
		},
		"postgres:///d?host=/run/postgresql&user=x":      {[]string{"/run/postgresql:5432"}, "d", "x", "prefer"},
		"postgres://db.example?sslrootcert=system":       {[]string{"db.example:5432"}, "envdb", "env", "verify-full"},
		`host = a,b port = 7 dbname = 'd\' e' user=u\ v`: {[]string{"a:7", "b:7"}, "d' e", "u v", "prefer"},
	} {
		d, err := ReadDatabase(Secret(text), []string{"PGUSER=env", "PGDATABASE=envdb", "PGPORT=", "PGHOST=not.this"})
		assert.NoError(t, err, text)
		assert.Equal(t, want, d, text)
	}
	d, err := ReadDatabase("dbname=d", nil)
	require.NoError(t, err)
	require.Equal(t, Database{[]string{"local:5432"}, "d", "", "prefer"}, d)
	_, err = ReadDatabase("dbname=d", []string{"PGSSLMODE=verify_full"})
	require.ErrorContains(t, err, "sslmode: ")
}
