package cli

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"dlrloop": func() { os.Exit(Main()) }})
}

// TestScripts runs the commands as a shell would; the scripts are in testdata.
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
		UpdateScripts:       os.Getenv("DLRLOOP_TEST_UPDATE") != "",
		Setup: func(e *testscript.Env) error {
			address := strings.TrimPrefix(private.URL, "http://")
			e.Setenv("PRIVATE", address)
			e.Setenv("PORT", address[strings.LastIndex(address, ":")+1:])
			e.Setenv("GORACE", "atexit_sleep_ms=0") // with the race detector every command would end a second later
			return newWorld(e)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"callbacks": callbacks, "calm": calm, "control": control, "exits": exits, "fill": fill, "keep": keep, "plain": plain,
			"serves": serves, "until": until,
		},
	})
}
