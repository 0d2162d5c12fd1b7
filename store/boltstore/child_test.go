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

// long makes tests that sample larger by a factor, when asked for.
func long(factor int) int {
	if os.Getenv("DLRLOOP_LONG") != "" {
		return factor
	}
	return 1
}

// asking is the children's policy. Whoever opens what they left needs the same.
func asking(string) store.Policy {
	return store.Policy{Missing: store.Missing{Silence: time.Hour}}
}

// buildChild builds the program in testdata/child and returns its path.
func buildChild(t *testing.T, tags string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "child")
	output, err := exec.CommandContext(t.Context(), "go", "build", "-tags", tags, "-o", binary, "./testdata/child").CombinedOutput()
	require.NoError(t, err, "%s", output)
	return binary
}

// needStrace skips the test where there is no strace, or none that may trace.
func needStrace(t *testing.T) {
	t.Helper()
	if output, err := exec.CommandContext(t.Context(), "strace", "-o", os.DevNull, "true").CombinedOutput(); err != nil {
		t.Skipf("no working strace: %v %s", err, output)
	}
}

// memory is a new folder in memory where there is such a thing, else on disk: for tests in which no disk can fail.
func memory(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("/dev/shm", "dlrloop-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(folder)) })
	return folder
}

// childProcess is a child that runs.
type childProcess struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines *bufio.Scanner
	err   bytes.Buffer
}

// startChild starts a command that is the child, or runs it.
func startChild(t *testing.T, command ...string) *childProcess {
	t.Helper()
	c := &childProcess{t: t, cmd: exec.CommandContext(t.Context(), command[0], command[1:]...)}
	stdin, err := c.cmd.StdinPipe() // whose end a child that holds waits for
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

// await reads what the child says until it says this.
func (c *childProcess) await(line string) {
	c.t.Helper()
	for c.lines.Scan() {
		if c.lines.Text() == line {
			return
		}
	}
	c.t.Fatalf("the child ended without saying %q: %s", line, &c.err)
}

func (c *childProcess) kill() {
	c.t.Helper()
	require.NoError(c.t, c.cmd.Process.Kill())
	_ = c.cmd.Wait() // it was killed
}

// said waits for the child's end and returns what it said, and its exit code: -1 when it was killed.
func (c *childProcess) said() (w *witness, exit int) {
	c.t.Helper()
	w = newWitness()
	for c.lines.Scan() {
		w.hear(c.lines.Text())
	}
	require.NoError(c.t, c.lines.Err())
	_ = c.cmd.Wait() // the exit code says all
	exit = c.cmd.ProcessState.ExitCode()
	require.Contains(c.t, []int{-1, 0, 3, 4, 137}, exit, "%s", &c.err)
	return w, exit
}

// witness is what children on one folder have said until some moment.
type witness struct {
	lines       []string
	begun, done map[string]bool
	exposed     map[string]bool // arrivals that retention may have deleted
	expiring    bool
	reports     map[string]*dlr.Report // that were parsed, by their bytes: many stores with the same are checked
	// settlements are the recipients that settlements name, by how far these came and their outcome, as batch/number.
	settlements map[string]map[string]bool
}

func newWitness() *witness {
	return &witness{
		begun: make(map[string]bool), done: make(map[string]bool), exposed: make(map[string]bool),
		settlements: make(map[string]map[string]bool), reports: make(map[string]*dlr.Report),
	}
}

func (w *witness) hear(line string) {
	w.lines = append(w.lines, line)
	verb, what, _ := strings.Cut(line, " ")
	switch {
	case verb == "begin":
		w.begun[what] = true
		w.settles("begun", what)
		if w.expiring && strings.HasPrefix(what, "old ") {
			w.exposed[what] = true
		}
	case verb == "done":
		w.done[what] = true
		w.settles("done", what)
	case line == "ready", line == "expire ends":
		w.expiring = false
	case line == "expire begins":
		w.expiring = true
		for what := range w.begun {
			if strings.HasPrefix(what, "old ") {
				w.exposed[what] = true
			}
		}
	}
}

// parsed is the report in raw.
func (w *witness) parsed(t require.TestingT, raw []byte) *dlr.Report {
	if w.reports[string(raw)] == nil {
		c, err := dlr.Parse(raw)
		require.NoError(t, err)
		w.reports[string(raw)] = c.Report
	}
	return w.reports[string(raw)]
}

func (w *witness) settles(far, what string) {
	words := strings.Fields(what)
	if len(words) < 3 || words[0] != store.Accepted.String() && words[0] != store.Buried.String() {
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

// settled returns the recipients whose settlement with this outcome came so far: begun or done.
func (w *witness) settled(far string, outcome store.Outcome) map[string]bool {
	return w.settlements[far+" "+outcome.String()]
}

// with returns the arrivals of a kind in set, without that word.
func with(set map[string]bool, kind string) map[string]bool {
	found := make(map[string]bool)
	for what := range set {
		if rest, ok := strings.CutPrefix(what, kind+" "); ok {
			found[rest] = true
		}
	}
	return found
}

// failure is a test that only collects why it failed.
type failure struct{ text string }

func (f *failure) Errorf(format string, args ...any) { f.text += fmt.Sprintf(format, args...) }

func (f *failure) FailNow() { panic(f) }

// attempt runs check and returns why it failed.
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
