package cli

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store/pgstore/pgtest"
)

func TestMain(m *testing.M) {
	testscript.Main(tests{m}, map[string]func(){"dlrloop": func() { os.Exit(Main()) }})
}

var postgres pgtest.Shared

// tests runs the tests of this package and stops the PostgreSQL server that they share.
type tests struct{ m *testing.M }

func (t tests) Run() int { return postgres.Run(t.m) }

// TestScriptsOnPostgreSQL runs the scripts in testdata/postgres. Each has an empty database; $DATABASE is its URL.
func TestScriptsOnPostgreSQL(t *testing.T) {
	scripts, err := filepath.Glob("testdata/postgres/*.txtar")
	require.NoError(t, err)
	require.NotEmpty(t, scripts)
	for _, script := range scripts {
		t.Run(strings.TrimSuffix(filepath.Base(script), ".txtar"), func(t *testing.T) {
			database := postgres.Database(t)
			testscript.Run(t, testscript.Params{
				Files:               []string{script},
				RequireExplicitExec: true,
				Setup: func(e *testscript.Env) error {
					e.Setenv("DATABASE", database)
					e.Setenv("GORACE", "atexit_sleep_ms=0")
					return newWorld(e)
				},
				Cmds: commandsOfScripts(),
			})
		})
	}
}

// TestScripts runs the scripts in testdata.
func TestScripts(t *testing.T) {
	private := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/healthz":
			fmt.Fprintln(w, "ok")
		case "/moved":
			http.Redirect(w, r, "/healthz", http.StatusFound)
		case "/silent":
			<-r.Context().Done()
		default:
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(private.Close)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("DLRLOOP_UPDATE") != "",
		Setup: func(e *testscript.Env) error {
			address := strings.TrimPrefix(private.URL, "http://")
			e.Setenv("PRIVATE", address)
			e.Setenv("PORT", address[strings.LastIndex(address, ":")+1:])
			e.Setenv("GORACE", "atexit_sleep_ms=0") // the race detector would delay the exit of every command by a second
			return newWorld(e)
		},
		Cmds: commandsOfScripts(),
	})
}

// commandsOfScripts returns the commands that scripts have besides dlrloop and those of testscript.
func commandsOfScripts() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"callbacks": callbacks, "calm": calm, "control": control, "exits": exits, "fill": fill, "keep": keep, "plain": plain,
		"serves": serves, "sql": sql, "stops": stops, "until": until,
	}
}
