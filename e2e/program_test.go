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

// postgres is for the tests that kill no database.
var postgres = pgtest.Shared{Config: pgtest.Config{Durable: true}}

func TestMain(m *testing.M) { os.Exit(build(m)) }

// long is the form with more kills, and more that is waited for.
func long() bool { return os.Getenv("DLRLOOP_LONG") != "" }

func build(m *testing.M) int {
	// What runs side by side waits more than it computes: for leases and beats to end, and for Prometheus to scrape.
	if err := flag.Set("test.parallel", "4"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	folder, err := os.MkdirTemp("", "dlrloop-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	binary = filepath.Join(folder, "dlrloop")
	c := exec.Command("go", "build", "-tags", "nomsgpack", "-o", binary, ".")
	c.Dir, c.Stdout, c.Stderr = "..", os.Stderr, os.Stderr
	if err := c.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build dlrloop:", err)
		return 1
	}
	return postgres.Run(m)
}

// program is dlrloop with one configuration and store, started and killed at will, always on the same addresses.
type program struct {
	t               *testing.T
	config          string
	public, private string    // addresses
	log             io.Writer // what it logs goes here
	cgroup          *cgroup   // it runs in this one; nil for none
	wrap            wrapper   // nil for the program itself
	command         *exec.Cmd // nil while it does not run
	exited          chan error
}

// wrapper makes the command that runs a program.
type wrapper func(name string, args ...string) *exec.Cmd

// newProgram writes a configuration for a plan whose API is at upstream, with a store in a folder.
func newProgram(t *testing.T, plan, token, secret, upstream string) *program {
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
`, filepath.Join(t.TempDir(), "data"), plan, upstream, token, secret, workers))
}

// configured is a program with this configuration, whose listeners are added to it.
func configured(t *testing.T, rest string) *program {
	t.Helper()
	own := newHost(t)
	p := &program{
		t: t, config: filepath.Join(t.TempDir(), "config.yaml"), public: own.address(publicPort), private: own.address(privatePort), log: os.Stderr,
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

// launch starts the program and returns at once.
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
			require.FailNow(p.t, "dlrloop ended by itself", "%v", err)
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

// kill ends the program as a power cut of the process does: kill -9.
func (p *program) kill() {
	if p.command == nil {
		return
	}
	_ = p.command.Process.Kill()
	<-p.exited
	p.command = nil
}

// stop ends the program in order, and requires that it says so.
func (p *program) stop() {
	p.t.Helper()
	require.NoError(p.t, p.command.Process.Signal(syscall.SIGTERM))
	require.NoError(p.t, <-p.exited)
	p.command = nil
}

// get reads from the program's API.
func (p *program) get(path string, answer any) {
	p.t.Helper()
	require.NoError(p.t, json.Unmarshal(p.read(path), answer))
}

// read is what the program's private listener answers, as it came.
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

// patience is how long anything may take before a test calls it stuck. No test waits for it to pass.
const patience = 2 * time.Minute

// eventually waits until done, looking again and again.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-limit.C:
			require.FailNow(t, "stuck", "not %s after %s", what, patience)
		}
	}
}
