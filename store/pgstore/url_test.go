package pgstore_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io/fs"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store/pgstore"
)

// The error for an invalid URL contains as much as cannot reveal the password.
func TestInvalidURL(t *testing.T) {
	t.Parallel()
	for parameters, why := range map[string]string{
		"sslrootcert=/missing.pem": "open store: cannot parse the URL: cannot read /missing.pem: no such file or " +
			"directory; create it, or name another file",
		"sslmode=verify_full": "open store: cannot parse the URL: sslmode: is not a valid value; use disable, allow, " +
			"prefer, require, verify-ca or verify-full",
		"port=notaport": "open store: cannot parse the URL: port: is not a number from 1 to 65535; for a / or ? in the " +
			"password write %2F or %3F",
	} {
		_, err := pgstore.Open(t.Context(), pgstore.Config{URL: "postgres://dlrloop:s3cret@db.example/dlrloop?" + parameters})
		require.ErrorIs(t, err, pgstore.ErrURL)
		require.EqualError(t, err, why)
	}
	keywords := "host=db.example password=s3cret sslkey=/gone sslcert=/gone"
	_, err := pgstore.OpenSource(t.Context(), pgstore.Config{URL: keywords})
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NotContains(t, err.Error(), "s3cret")
}

func TestParseURLNamesTheFault(t *testing.T) {
	t.Parallel()
	cert, key := certificate(t)
	_, otherKey := certificate(t)
	const (
		base = "postgres://u:s3cret@db.example/d?"
		form = "is not a connection string of PostgreSQL; write postgres://user:password@host"
	)
	for url, want := range map[string]string{
		"postgres://u:s3cret@db.example:5433/d":             "",
		"postgres://u:s3cret@a.example:1,b.example/d":       "",
		"postgres://u:s3cret@a.example,b.example,[::1]:3/d": "",
		"postgres://u:s3cret@db.example":                    "",
		"postgres://u:s3cret@db.example:notaport/d":         "port: is not a number from 1 to 65535",
		"postgres://u:s3cret@db.example:0/d":                "port: is not a number",
		"postgres://u:s3cret@db.example:65536/d":            "port: is not a number",
		"postgres://u:s3c/ret@db.example/d":                 form,
		"postgres://u:s3c ret@db.example/d":                 form,
		"postgres://u:s3c#ret@db.example/d":                 form,
		"postgres://u:s3cret@[::1/d":                        form,
		"postgres://u:s3cret@[::1]5432/d":                   form,
		"postgres://u:s3%cret@db.example/d":                 form,
		"postgres://u:s3%00cret@db.example/d":               form,
		"":                                                  form,
		" ":                                                 form,
		base + "sslmode":                                    "sslmode: is not a valid value",
		base + "sslmode=a=b":                                "sslmode: is not a valid value",
		base + "port=1,2":                                   "port: set one port for all hosts",
		base + "sslmode=verify_full": "sslmode: is not a valid value; use disable, " +
			"allow, prefer, require, verify-ca or verify-full",
		base + "sslmode=&ssl=true&":                             "",
		base + "sslrootcert=/missing.pem":                       "cannot read /missing.pem: no such file or directory; crea",
		base + "sslmode=disable&sslrootcert=/missing.pem":       "cannot read /missing.pem: no such file",
		base + "sslrootcert=" + filepath.Dir(cert):              "cannot read " + filepath.Dir(cert) + ": is a directory",
		base + "sslrootcert=" + key:                             "sslrootcert: contains no PEM certificate",
		base + "sslrootcert=" + cert:                            "",
		base + "sslrootcert=system":                             "",
		base + "sslcert=" + cert + "&sslkey=" + key:             "",
		base + "sslcert=" + cert:                                "sslcert: is not a valid value; set both sslcert and sslkey",
		base + "sslkey=" + key:                                  "set both sslcert and sslkey, or none",
		base + "sslcert=" + cert + "&sslkey=/missing":           "cannot read /missing: no such file",
		base + "sslcert=/missing&sslkey=" + key:                 "cannot read /missing: no such file",
		base + "sslcert=" + cert + "&sslkey=" + otherKey:        "sslcert: is not a certificate for the key in sslkey",
		base + "sslcert=/missing&sslkey=/g&sslcertmode=disable": "",
		base + "sslcertmode=":                                   "sslcertmode: is not a valid value; use disable",
		base + "target_session_attrs=primary":                   "",
		base + "target_session_attrs=master":                    "target_session_attrs: is not a valid value; use any, ",
		base + "connect_timeout=3":                              "",
		base + "connect_timeout=3s":                             "connect_timeout: is not a valid value; write a number",
		base + "channel_binding=yes":                            "channel_binding: ",
		base + "require_auth=nothing":                           "require_auth: is not a valid value; see the docum",
		base + "min_protocol_version=4":                         "min_protocol_version: ",
		base + "default_query_exec_mode=exec":                   "",
		base + "default_query_exec_mode=fast":                   "default_query_exec_mode: ",
		base + "pool_max_conn_lifetime=1h&pool_max_conns=7":     "",
		base + "pool_max_conn_lifetime=1":                       "pool_max_conn_lifetime: ",
		base + "pool_max_conns=0":                               "pool_max_conns: ",
		base + "service=s3&servicefile=/gone":                   "service: cannot be read",
		base + "options=-c%20search_path%3Ddlr":                 "",
		base + "search_path=dlr&application_name=x":             "",
		"host=db.example port=x password=s3cret":                "port: ",
		"host=db.example password='s3\\'cret' sslmode=off":      "sslmode: ",
		"host=db.example password=s3c sslrootcert='/no such'":   "cannot read /no such: no such file",
		"host=a,b port=1,2,3 password=s3cret":                   "port: ",
	} {
		_, err := pgstore.ParseURL(url)
		if want == "" {
			assert.NoError(t, err, url)
			continue
		}
		assert.ErrorContains(t, err, want, url)
		assert.NotContains(t, fmt.Sprint(err), "s3", url)
	}
}

// pgx reads PEM files whole.
func TestParseURLBoundsTheFiles(t *testing.T) {
	large, device := filepath.Join(t.TempDir(), "it's large"), "/dev/null"
	require.NoError(t, os.WriteFile(large, nil, 0o600))
	require.NoError(t, os.Truncate(large, 4<<20+1))
	quoted := `'` + strings.ReplaceAll(large, `'`, `\'`) + `'`
	escaped := strings.NewReplacer(`'`, `\'`, " ", `\ `).Replace(large)
	const tooLarge, irregular = "is larger than 4 MiB, the limit for a PEM file", "is not a regular file; name a PEM file"
	for connection, want := range map[string]string{
		"postgres://u:s3cret@db.example/d?sslrootcert=" + device:             "sslrootcert: /dev/null " + irregular,
		"postgresql://db.example/d?ssl%6Bey=%2Fdev/null&sslcert=/x":          "sslkey: /dev/null " + irregular,
		"postgres://db.example/d?sslkey=/x&sslcert=" + url.PathEscape(large): "sslcert: " + large + " " + tooLarge,
		"host=db.example password=s3cret sslrootcert = " + device:            "sslrootcert: /dev/null " + irregular,
		"host=db.example sslrootcert=" + quoted:                              "sslrootcert: " + large + " " + tooLarge,
		"host=db.example sslrootcert=" + escaped:                             "sslrootcert: " + large + " " + tooLarge,
	} {
		_, err := pgstore.ParseURL(connection)
		assert.ErrorContains(t, err, want, connection)
		assert.NotContains(t, fmt.Sprint(err), "s3cret")
	}
	t.Setenv("PGSSLROOTCERT", device)
	_, err := pgstore.ParseURL("postgres://db.example/d")
	require.EqualError(t, err, "sslrootcert: /dev/null "+irregular)
}

// TestAMisplacedPasswordIsNotPrinted has URLs in which pgx reads a part of the password as another value.
func TestAMisplacedPasswordIsNotPrinted(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"postgres://u:12/s3cret@db.example/d", "postgres://u:p@s3cret@db.example/d",
		"dbname=postgres://u:s3cret@db.example/d", "host=h sslrootcert=postgres://u:s3cret@db.example/d",
		"https://u:s3cret@db.example/d?x=1", "host= password=s3cret", "dbname= password=s3cret", "u:s3cret@db.example/d",
		"application_name= password=s3cret",
	} {
		d, err := pgstore.ParseURL(url)
		assert.Error(t, err, url)
		assert.NotContains(t, fmt.Sprint(d, err), "s3cret")
	}
}

// The variables set what the URL leaves out, and nothing else.
func TestParseURL(t *testing.T) {
	for name, value := range map[string]string{
		"PGUSER": "env", "PGDATABASE": "envdb", "PGPORT": "", "PGHOST": "not.this", "PGSSLMODE": "",
	} {
		t.Setenv(name, value)
	}
	for url, want := range map[string]pgstore.Database{
		"postgres://u:s3cret@db.example/d?sslmode=verify-full": {[]string{"db.example:5432"}, "d", "u", "verify-full", true},
		"postgres://a.example:1,[2001:db8::1]/d%20e": {
			[]string{"a.example:1", "[2001:db8::1]:5432"}, "d e", "env", "prefer", false,
		},
		"postgres:///d?host=/run/postgresql&user=x": {
			[]string{"/run/postgresql/.s.PGSQL.5432"}, "d", "x", "disable", true,
		},
		"postgres://db.example?sslrootcert=system": {[]string{"db.example:5432"}, "envdb", "env", "verify-full", true},
		"postgres://db.example?sslmode=allow":      {[]string{"db.example:5432"}, "envdb", "env", "allow", false},
		"postgres://a,a:5432/d?sslmode=disable":    {[]string{"a:5432"}, "d", "env", "disable", false},
		"postgres://127.0.0.1:1,b.example:2/d":     {[]string{"127.0.0.1:1", "b.example:2"}, "d", "env", "prefer", false},
		"postgres://u:1?s3cret@localhost/d":        {[]string{"localhost:5432"}, "d", "u", "prefer", true},
		`host = a,b port = 7 dbname = 'd\' e' user=u\ v sslmode=require`: {
			[]string{"a:7", "b:7"}, "d' e", "u v", "require", false,
		},
	} {
		d, err := pgstore.ParseURL(url)
		assert.NoError(t, err, url)
		assert.Equal(t, want, d, url)
	}
	cert, _ := certificate(t)
	d, err := pgstore.ParseURL("postgres://db.example/d?sslmode=require&sslrootcert=" + cert)
	require.NoError(t, err)
	require.Equal(t, "verify-ca", d.SSLMode)
	t.Setenv("PGSSLMODE", "verify_full")
	_, err = pgstore.ParseURL("dbname=d")
	require.ErrorContains(t, err, "sslmode: ")
	_, err = pgstore.ParseURL("dbname=d sslmode=require")
	require.NoError(t, err, "the URL takes precedence")
}

// certificate writes a certificate and its key to PEM files.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	require.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	cert, key = filepath.Join(t.TempDir(), "cert"), filepath.Join(t.TempDir(), "key")
	for file, block := range map[string]*pem.Block{
		cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: keyDER},
	} {
		require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(block), 0o600))
	}
	return cert, key
}
