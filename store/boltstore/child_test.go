package boltstore

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/store"
)

// long returns factor if DLRLOOP_LONG is set, else 1. Tests that sample multiply their number of samples by it.
func long(factor int) int {
	if os.Getenv("DLRLOOP_LONG") != "" {
		return factor
	}
	return 1
}

// testPolicy is the policy of the child in testdata. A test that opens a child's store must use the same policy.
func testPolicy(string) store.Policy {
	return store.Policy{
		MissingReports: store.MissingReports{Silence: time.Hour}, Events: true, KeepCallbacks: true,
	}
}

// skipIfShort skips a long computation with -short, which ./test sets when it runs the race detector. The computation
// would take many times longer and show no race, because it uses one goroutine at a time, or its goroutines are in a
// child without the race detector.
func skipIfShort(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("long computation")
	}
}

// buildChild builds the program in testdata/child and returns its path. With -short it skips the test.
func buildChild(t *testing.T, tags string) string {
	t.Helper()
	skipIfShort(t)
	binary := filepath.Join(t.TempDir(), "child")
	build := exec.CommandContext(t.Context(), "go", "build", "-tags", tags, "-o", binary, "./testdata/child")
	output, err := build.CombinedOutput()
	require.NoError(t, err, "%s", output)
	return binary
}

// requireStrace skips the test if strace is missing or not permitted to trace.
func requireStrace(t *testing.T) {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), "strace", "-o", os.DevNull, "true").CombinedOutput()
	if err != nil {
		t.Skipf("no working strace: %v %s", err, output)
	}
}

// memory returns a new directory in /dev/shm, else on disk. It is for tests that must not depend on a real disk.
func memory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "dlrloop-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

// childProcess is a running child.
type childProcess struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines *bufio.Scanner
	err   bytes.Buffer
}

// startChild starts a command: the child, or a program such as strace that runs the child.
func startChild(t *testing.T, command ...string) *childProcess {
	t.Helper()
	c := &childProcess{t: t, cmd: exec.CommandContext(t.Context(), command[0], command[1:]...)}
	stdin, err := c.cmd.StdinPipe() // a child with -idle runs until its standard input is closed
	require.NoError(t, err)
	t.Cleanup(func() { _ = stdin.Close() })
	stdout, err := c.cmd.StdoutPipe()
	require.NoError(t, err)
	c.cmd.Stderr = &c.err
	c.lines = bufio.NewScanner(stdout)
	c.lines.Buffer(nil, 1<<20)
	require.NoError(t, c.cmd.Start())
	return c
}

// await reads the child's output up to the given line.
func (c *childProcess) await(line string) {
	c.t.Helper()
	for c.lines.Scan() {
		if c.lines.Text() == line {
			return
		}
	}
	c.t.Fatalf("the child exited without the output line %q: %s", line, &c.err)
}

func (c *childProcess) kill() {
	c.t.Helper()
	require.NoError(c.t, c.cmd.Process.Kill())
	_ = c.cmd.Wait() // it was killed
}

// wait waits for the child's exit. It returns its output and its exit code, -1 if the child was killed.
func (c *childProcess) wait() (w *transcript, exit int) {
	c.t.Helper()
	w = newTranscript()
	for c.lines.Scan() {
		w.add(c.lines.Text())
	}
	require.NoError(c.t, c.lines.Err())
	_ = c.cmd.Wait() // the exit code is checked below
	exit = c.cmd.ProcessState.ExitCode()
	require.Contains(c.t, []int{-1, 0, 3, 4, 137}, exit, "%s", &c.err)
	return w, exit
}

// transcript is the parsed output of the children that used one store, up to some moment.
type transcript struct {
	lines       []string
	begun, done map[string]bool // arrivals that were begun, and that were acknowledged
	deletable   map[string]bool // arrivals that retention may have deleted
	retaining   bool            // a call of Expire is running
	// reports caches parsed reports by their bytes, because many stores with the same reports are checked.
	reports map[string]*dlr.Report
	// settlements holds the recipients of settlements as batch/number. The key is "begun" or "done" and the outcome.
	settlements map[string]map[string]bool
}

func newTranscript() *transcript {
	return &transcript{
		begun: make(map[string]bool), done: make(map[string]bool), deletable: make(map[string]bool),
		settlements: make(map[string]map[string]bool), reports: make(map[string]*dlr.Report),
	}
}

// add parses one line of a child's output.
func (w *transcript) add(line string) {
	w.lines = append(w.lines, line)
	verb, what, _ := strings.Cut(line, " ")
	switch {
	case verb == "begin":
		w.begun[what] = true
		w.settles("begun", what)
		if w.retaining && strings.HasPrefix(what, "old ") {
			w.deletable[what] = true
		}
	case verb == "done":
		w.done[what] = true
		w.settles("done", what)
	case line == "ready", line == "retention ends":
		w.retaining = false
	case line == "retention begins":
		w.retaining = true
		for what := range w.begun {
			if strings.HasPrefix(what, "old ") {
				w.deletable[what] = true
			}
		}
	}
}

// parsed returns the report in raw.
func (w *transcript) parsed(t require.TestingT, raw []byte) *dlr.Report {
	if w.reports[string(raw)] == nil {
		c, err := dlr.Parse(raw)
		require.NoError(t, err)
		w.reports[string(raw)] = c.Report
	}
	return w.reports[string(raw)]
}

// settles records the recipients if what is a settlement.
func (w *transcript) settles(far, what string) {
	words := strings.Fields(what)
	if len(words) < 3 || words[0] != store.OutcomeAccepted.String() && words[0] != store.OutcomeDead.String() {
		return
	}
	set := far + " " + words[0]
	if w.settlements[set] == nil {
		w.settlements[set] = make(map[string]bool)
	}
	for _, number := range words[2:] {
		w.settlements[set][words[1]+"/"+number] = true
	}
}

// settled returns the recipients whose settlement with this outcome has reached the stage far: begun or done.
func (w *transcript) settled(far string, outcome store.Outcome) map[string]bool {
	return w.settlements[far+" "+outcome.String()]
}

// with returns the elements of set that begin with the word kind, without that word.
func with(set map[string]bool, kind string) map[string]bool {
	found := make(map[string]bool)
	for what := range set {
		if rest, ok := strings.CutPrefix(what, kind+" "); ok {
			found[rest] = true
		}
	}
	return found
}

// failure is a require.TestingT that collects messages. FailNow panics.
type failure struct{ text string }

func (f *failure) Errorf(format string, args ...any) { f.text += fmt.Sprintf(format, args...) }

func (f *failure) FailNow() { panic(f) }

// attempt runs check and returns its failure as an error.
func attempt(check func(t require.TestingT)) (err error) {
	var f failure
	defer func() {
		if cause := recover(); cause != nil && cause != &f {
			f.text += fmt.Sprintf("panic: %v", cause)
		}
		if f.text != "" {
			err = fmt.Errorf("%s", f.text)
		}
	}()
	check(&f)
	return nil
}
