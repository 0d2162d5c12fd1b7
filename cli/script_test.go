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
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}

// exits CODE COMMAND...: runs a command and expects its exit code.
func exits(s *testscript.TestScript, _ bool, args []string) {
	err := s.Exec(args[1], args[2:]...)
	code := 0
	if err != nil {
		failed, ok := err.(interface{ ExitCode() int })
		if !ok {
			s.Fatalf("%s: %s", args[1], err)
		}
		code = failed.ExitCode()
	}
	if want := args[0]; want != fmt.Sprint(code) {
		s.Fatalf("%s exits with %d, not %s", args[1], code, want)
	}
}
