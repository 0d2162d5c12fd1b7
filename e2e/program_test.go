package e2e

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/store/pgstore/pgtest"
)

// binary is the program under test, built once.
var binary string

// postgres is a shared server for the tests that do not kill it.
var postgres = pgtest.Shared{Config: pgtest.Config{Durable: true}}

func TestMain(m *testing.M) { os.Exit(build(m)) }

// long reports whether the long tests are enabled, with more kills and longer waits.
func long() bool { return os.Getenv("DLRLOOP_LONG") != "" }

func build(m *testing.M) int {
	// Parallel tests mostly wait: for leases to expire and for Prometheus to scrape.
	if err := flag.Set("test.parallel", "4"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	dir, err := os.MkdirTemp("", "dlrloop-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "dlrloop")
	c := exec.Command("go", "build", "-tags", "nomsgpack", "-o", binary, ".")
	c.Dir, c.Stdout, c.Stderr = "..", os.Stderr, os.Stderr
	if err := c.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build dlrloop:", err)
		return 1
	}
	return postgres.Run(m)
}

// program is a dlrloop with one configuration and store. A test can start and kill it repeatedly; its addresses stay
// the same.
type program struct {
	t               *testing.T
	config          string
	public, private string    // addresses
	log             io.Writer // receives its log
	cgroup          *cgroup   // control group that it runs in; nil: none
	wrap            wrapper   // nil: run the binary directly
	command         *exec.Cmd // nil while it is not running
	exited          chan error
}

// wrapper returns the command that runs a program.
type wrapper func(name string, args ...string) *exec.Cmd

// newProgram returns a program for a plan whose API is at upstream, with a store on disk. It does not start it.
func newProgram(t *testing.T, plan, token, secret, upstream string) *program {
	t.Helper()
	return newProgramWith(t, plan, token, secret, upstream, "")
}

// newProgramWith is newProgram with more sections of the configuration.
func newProgramWith(t *testing.T, plan, token, secret, upstream, more string) *program {
	t.Helper()
	return configured(t, fmt.Sprintf(`
store: {path: %q}
log: {level: warn, format: json}
plans:
  - id: %s
    base_url: %s
    token: %s
    webhook: {auth: {hmac: {secrets: [%s]}}}
    feedback: {coalesce: 200ms, workers: %d, rate: 200, backoff: {base: 100ms, cap: 1s}}
`, filepath.Join(t.TempDir(), "data"), plan, upstream, token, secret, workers)+more)
}

// configured returns a program whose configuration is rest and two listeners.
func configured(t *testing.T, rest string) *program {
	t.Helper()
	h := newHost(t)
	p := &program{
		t: t, config: filepath.Join(t.TempDir(),
			"config.yaml"), public: h.address(publicPort), private: h.address(privatePort), log: os.Stderr,
	}
	text := fmt.Sprintf("public: {listen: %q}\nprivate: {listen: %q}\n", p.public, p.private) + rest
	require.NoError(t, os.WriteFile(p.config, []byte(text), 0o600))
	t.Cleanup(p.kill)
	return p
}

// start starts the program and returns when it is ready.
func (p *program) start() {
	p.t.Helper()
	p.launch()
	p.awaitReady()
}

// launch starts the program and does not wait until it is ready.
func (p *program) launch() {
	p.t.Helper()
	p.command = exec.Command(binary, "serve", "--config", p.config)
	if p.wrap != nil {
		p.command = p.wrap(binary, p.command.Args[1:]...)
	}
	p.command.Stderr = p.log
	require.NoError(p.t, p.command.Start())
	p.exited = make(chan error, 1)
	go func(c *exec.Cmd, exited chan<- error) { exited <- c.Wait() }(p.command, p.exited)
}

func (p *program) awaitReady() {
	p.t.Helper()
	eventually(p.t, "ready", func() bool {
		select {
		case err := <-p.exited:
			p.command = nil
			require.FailNow(p.t, "dlrloop ended unexpectedly", "%v", err)
		default:
		}
		answer, err := http.Get("http://" + p.private + "/readyz")
		if err != nil {
			return false
		}
		defer answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
}

// kill ends the program with SIGKILL.
func (p *program) kill() {
	if p.command == nil {
		return
	}
	_ = p.command.Process.Kill()
	<-p.exited
	p.command = nil
}

// stop ends the program with SIGTERM and checks that it exits with status 0.
func (p *program) stop() {
	p.t.Helper()
	require.NoError(p.t, p.command.Process.Signal(syscall.SIGTERM))
	require.NoError(p.t, <-p.exited)
	p.command = nil
}

// get reads path from the program's API into answer.
func (p *program) get(path string, answer any) {
	p.t.Helper()
	require.NoError(p.t, json.Unmarshal(p.read(path), answer))
}

// read returns the body that the program's private listener answers.
func (p *program) read(path string) []byte {
	p.t.Helper()
	response, err := http.Get("http://" + p.private + path)
	require.NoError(p.t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(p.t, err)
	require.Equal(p.t, http.StatusOK, response.StatusCode, "%s: %s", path, body)
	return body
}

// maxWait is how long anything may take before a test fails. No test waits for it to pass.
const maxWait = 2 * time.Minute

// eventually polls done until it returns true. After maxWait it fails the test with "still not <what>".
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	limit := time.NewTimer(maxWait)
	defer limit.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-limit.C:
			require.FailNow(t, "timeout", "still not %s after %s", what, maxWait)
		}
	}
}
