package config

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPostgresIsRead(t *testing.T) {
	const url = "postgres://dlrloop:pass%40word@db.example:5432/dlrloop?sslmode=verify-full"
	dir := folder(t, map[string]string{
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
	want.Dialect, want.PoolSize, want.Slots, want.Migrate, want.StatementTimeout = DialectCitus, 40, 64, false, Duration(5*time.Second)
	require.Equal(t, want, c.Store)

	// A variable stands over the file of the configuration.
	c, err = Load(filepath.Join(dir, "config.yaml"), []string{"DLRLOOP_STORE_URL=postgres:///other", "DLRLOOP_REPLICA=b"})
	require.NoError(t, err)
	require.Equal(t, Secret("postgres:///other"), c.Store.URL)
	require.Equal(t, "b", c.Replica)

	_, err = Load(filepath.Join(dir, "config.yaml"), []string{"DLRLOOP_STORE_URL=s3cret"})
	require.ErrorContains(t, err, "$DLRLOOP_STORE_URL: store.url: does not say where a database is")
	require.NotContains(t, err.Error(), "s3cret")
}

func TestMistakesInTheStoreAreToldWithTheWayOut(t *testing.T) {
	const (
		url    = "url: \"postgres:///d\""
		form   = "does not say where a database is; write postgres://user:password@host:5432/database?sslmode=verify-full, with %40 for an @ in the password and the like, or host=… dbname=… user=… password=…"
		isBolt = "is set, but store.driver is bolt, which keeps everything in a folder; set driver: postgres, or leave the URL out"
	)
	for name, c := range map[string]struct{ store, want string }{
		"no URL":              {"driver: postgres", "1:17: store.driver: is postgres, which needs to know the database; set url_file, or url"},
		"no URL in file":      {"driver: postgres, url_file: gone", "1:37: store.url_file: gone: there is no such file; put the secret there, or name another file"},
		"both":                {"driver: postgres, url_file: file, " + url, "1:37: store.url_file: store.url is set too; keep one of the two"},
		"a URL for bolt":      {url, "1:14: store.url: " + isBolt},
		"a file for bolt":     {"driver: bolt, url_file: file", "1:33: store.url_file: " + isBolt},
		"no database":         {`driver: postgres, url: "s3cret"`, "1:32: store.url: " + form},
		"other scheme":        {`driver: postgres, url: "mysql://a:s3cret@db/x"`, "1:32: store.url: " + form},
		"wrong in a file":     {"driver: postgres, url_file: wrong", "1:37: store.url_file: " + form},
		"unknown dialect":     {"driver: postgres, dialect: oracle, " + url, `1:36: store.dialect: "oracle" is not possible; choose postgres, citus or portable`},
		"small pool":          {"driver: postgres, pool_size: 5, " + url, "1:38: store.pool_size: 5 is out of range; give 6 to 1000"},
		"large pool":          {"driver: postgres, pool_size: 1001, " + url, "1:38: store.pool_size: 1001 is out of range; give 6 to 1000"},
		"no slots":            {"driver: postgres, slots: 0, " + url, "1:34: store.slots: 0 is out of range; give 1 to 1024"},
		"many slots":          {"driver: postgres, slots: 1025, " + url, "1:34: store.slots: 1025 is out of range; give 1 to 1024"},
		"timeout":             {"driver: postgres, statement_timeout: 0s, " + url, "1:46: store.statement_timeout: 0s is out of range; give 1s to 1h"},
		"near":                {"driver: postgres, urlfile: file, " + url, "1:27: store.urlfile: unknown key; did you mean url_file?"},
		"path does not count": {`driver: postgres, path: "", slots: many, ` + url, `1:44: store.slots: "many" is not a whole number`},
	} {
		t.Run(name, func(t *testing.T) {
			got, problems := refused(t, "store: {"+c.store+"}\n"+minimal, map[string]string{"file": "postgres:///d", "wrong": "s3cret"})
			require.Equal(t, "config.yaml:"+c.want, got)
			for _, p := range problems {
				require.NotContains(t, p.Source, "s3cret")
			}
		})
	}
}

func TestAReplicasName(t *testing.T) {
	const wrong = `config.yaml:6:10: replica: %q is not a name of a replica; use at most 64 letters, digits, dots, - and _, or leave it out`
	for _, name := range []string{"a b", "web/1", strings.Repeat("x", 65)} {
		got, _ := refused(t, minimal+"replica: "+name+"\n", nil)
		require.Equal(t, fmt.Sprintf(wrong, name), got)
	}
	_, err := load(t, minimal+"replica: "+strings.Repeat("X", 64))
	require.NoError(t, err)
}

// Each of them has a password in it, s3cret, which nobody is told.
func TestWhatADatabaseIsNamedBy(t *testing.T) {
	const refused, open, right = "refused", "open", "right"
	for text, want := range map[string]string{
		"postgres://u:s3cret@db.example/d":                                open,
		"postgres://u:s3cret@db.example/d?sslmode=require":                open,
		"postgresql://u:s3cret@db.example:5432/d?sslmode=verify-full":     right,
		"postgres://u:s3cret@a.example:1,b.example:2/d?sslmode=verify-ca": right,
		"postgres://u:s3cret@127.0.0.1:1,b.example:2/d":                   open,
		"postgres://u:s3cret@localhost/d":                                 right,
		"postgres://u:s3cret@[::1]:5432/d":                                right,
		"postgres://u:s3cret@[2001:db8::1]:5432/d":                        open,
		"postgres://u:s3cret@/d?host=/run/postgresql":                     right,
		"postgres://u:s3cret@/d?host=db.example":                          open,
		"postgres://u:s3%20cret@db.example/d?sslmode=verify-full":         right,
		"postgres://u:s3 cret@db.example/d":                               refused,
		"postgres://u:s3#cret@db.example/d":                               refused,
		"postgres://u:s3cret@db.example/d?sslmode=%zz":                    refused,
		"host=db.example password=s3cret":                                 open,
		"host=db.example password='s3 cret' sslmode = verify-full":        right,
		`host = 'db.example' password = 's3\'cret' sslmode='verify-full'`: right,
		`password=s3\ cret dbname=d`:                                      right,
		"host=/run/postgresql password=s3cret":                            right,
		"host= password=s3cret":                                           open,
		"u:s3cret@db.example/d":                                           refused,
		"db.example s3cret":                                               refused,
		"host=db.example s3cret":                                          refused,
		"host=db.example password='s3cret":                                refused,
		"https://u:s3cret@db.example/d?x=1":                               refused,
	} {
		c, err := load(t, minimal+"store: {driver: postgres}\n", "DLRLOOP_STORE_URL="+text)
		got := right
		switch {
		case err != nil:
			got = refused
			assert.NotContains(t, err.Error(), "cret", text)
			assert.Contains(t, err.Error(), "$DLRLOOP_STORE_URL: store.url: does not say where a database is")
		case len(c.Warnings) > 0:
			got = open
			assert.NotContains(t, c.Warnings.Error(), "s3", text)
			assert.Contains(t, c.Warnings.Error(), "$DLRLOOP_STORE_URL: store.url: whoever is between here and the database")
		}
		assert.Equal(t, want, got, text)
	}
}
