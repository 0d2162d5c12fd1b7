package config

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store/pgstore"
)

func TestPostgresSettings(t *testing.T) {
	const url = "postgres://dlrloop:pass%40word@db.example:5432/dlrloop?sslmode=verify-full"
	dir := writeFiles(t, map[string]string{
		"secrets/url": url + "\n",
		"config.yaml": minimal + `store:
  driver: postgres
  url_file: secrets/url
  dialect: citus
  pool_size: 40
  slots: 64
  migrate: false
  statement_timeout: 5s
`,
	})
	c, err := Load(filepath.Join(dir, "config.yaml"), nil)
	require.NoError(t, err)
	require.Empty(t, c.Warnings)
	want := Default().Store
	want.Driver, want.Path, want.URL, want.URLFile = DriverPostgres, filepath.Join(dir, "data"), url, "secrets/url"
	want.Dialect, want.PoolSize, want.Slots, want.Migrate = pgstore.Citus, 40, 64, false
	want.StatementTimeout = Duration(5 * time.Second)
	require.Equal(t, want, c.Store)

	// A variable overrides url_file.
	c, err = Load(filepath.Join(dir, "config.yaml"), []string{"DLRLOOP_STORE_URL=postgres:///other", "DLRLOOP_REPLICA=b"})
	require.NoError(t, err)
	require.Equal(t, Secret("postgres:///other"), c.Store.URL)
	require.Equal(t, "b", c.Replica)

	_, err = Load(filepath.Join(dir, "config.yaml"), []string{"DLRLOOP_STORE_URL=s3cret"})
	require.ErrorContains(t, err, "$DLRLOOP_STORE_URL: store.url: is not a connection string of PostgreSQL")
	require.NotContains(t, err.Error(), "s3cret")
}

func TestProblemsOfTheStoreHaveAFix(t *testing.T) {
	const (
		url  = "url: \"postgres:///d\""
		form = "is not a connection string of PostgreSQL; write " +
			"postgres://user:password@host:5432/database?sslmode=verify-full, with special characters of the password " +
			"escaped (%40 for @), or host=… dbname=… user=… password=…"
		isBolt = "is set, but store.driver is bolt, which stores everything in a directory; set driver: postgres, or " +
			"remove the URL"
	)
	for name, c := range map[string]struct{ store, want string }{
		"no URL": {"driver: postgres", "1:17: store.driver: is postgres, but no database is set; set " +
			"url_file or url"},
		"no URL in file": {
			"driver: postgres, url_file: gone",
			"1:37: store.url_file: gone: there is no such file; put the secret there, or name another file",
		},
		"both": {
			"driver: postgres, url_file: file, " + url,
			"1:37: store.url_file: store.url is set too; keep one of the two",
		},
		"a URL for bolt":  {url, "1:14: store.url: " + isBolt},
		"a file for bolt": {"driver: bolt, url_file: file", "1:33: store.url_file: " + isBolt},
		"no database":     {`driver: postgres, url: "s3cret"`, "1:32: store.url: " + form},
		"other scheme":    {`driver: postgres, url: "mysql://a:s3cret@db/x"`, "1:32: store.url: " + form},
		"wrong in a file": {"driver: postgres, url_file: wrong", "1:37: store.url_file: " + form},
		"unknown dialect": {
			"driver: postgres, dialect: oracle, " + url,
			`1:36: store.dialect: "oracle" is not a valid value; use postgres, citus or portable`,
		},
		"small pool": {
			"driver: postgres, pool_size: 5, " + url,
			"1:38: store.pool_size: 5 is out of range; allowed: 6 to 1000",
		},
		"large pool": {
			"driver: postgres, pool_size: 1001, " + url,
			"1:38: store.pool_size: 1001 is out of range; allowed: 6 to 1000",
		},
		"no slots": {
			"driver: postgres, slots: 0, " + url,
			"1:34: store.slots: 0 is out of range; allowed: 1 to 1024",
		},
		"many slots": {
			"driver: postgres, slots: 1025, " + url,
			"1:34: store.slots: 1025 is out of range; allowed: 1 to 1024",
		},
		"timeout": {
			"driver: postgres, statement_timeout: 0s, " + url,
			"1:46: store.statement_timeout: 0s is out of range; allowed: 1s to 1h",
		},
		"near": {
			"driver: postgres, urlfile: file, " + url,
			"1:27: store.urlfile: unknown key; did you mean url_file?",
		},
		"path does not count": {
			`driver: postgres, path: "", slots: many, ` + url,
			`1:44: store.slots: "many" is not a whole number`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, problems := refused(t, "store: {"+c.store+"}\n"+minimal,
				map[string]string{"file": "postgres:///d", "wrong": "s3cret"})
			require.Equal(t, "config.yaml:"+c.want, got)
			for _, p := range problems {
				require.NotContains(t, p.Source, "s3cret")
			}
		})
	}
}

func TestReplicaNames(t *testing.T) {
	const wrong = `config.yaml:6:10: replica: %q is not a valid name of a replica; use at most 64 letters, ` +
		`digits, dots, - and _, or remove the key`
	for _, name := range []string{"a b", "web/1", strings.Repeat("x", 65)} {
		got, _ := refused(t, minimal+"replica: "+name+"\n", nil)
		require.Equal(t, fmt.Sprintf(wrong, name), got)
	}
	_, err := load(t, minimal+"replica: "+strings.Repeat("X", 64))
	require.NoError(t, err)
}

// TestConnectionStrings has connection strings with the password s3cret, which no problem may contain. The tests of
// pgstore.ParseURL have more.
func TestConnectionStrings(t *testing.T) {
	const refused, unverified, valid = "refused", "unverified", "valid"
	for text, want := range map[string]string{
		"postgres://u:s3cret@db.example/d":                        unverified,
		"postgres://u:s3cret@db.example:5432/d?sslmode=verify-ca": valid,
		"host=db.example password=s3cret":                         unverified,
		"host=/run/postgresql password=s3cret":                    valid,
		"postgres://u:s3 cret@db.example/d":                       refused,
		"host=db.example s3cret":                                  refused,
	} {
		c, err := load(t, minimal+"store: {driver: postgres}\n", "DLRLOOP_STORE_URL="+text)
		got := valid
		switch {
		case err != nil:
			got = refused
			assert.NotContains(t, err.Error(), "cret", text)
			assert.Contains(t, err.Error(), "$DLRLOOP_STORE_URL: store.url: is not a connection string of PostgreSQL")
		case len(c.Warnings) > 0:
			got = unverified
			assert.NotContains(t, c.Warnings.Error(), "s3", text)
			assert.Contains(t, c.Warnings.Error(), "$DLRLOOP_STORE_URL: store.url: the database's certificate is not verified")
		}
		assert.Equal(t, want, got, text)
	}
}
