package pgtest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"time"
)

// timeout is the time limit for a single operation of PostgreSQL in a test, such as starting the server.
const timeout = 2 * time.Minute

// process is a running program of PostgreSQL, such as the server, with its child processes.
type process struct {
	cmd    *exec.Cmd
	output tail
	ended  chan struct{} // closed after the process and its children have exited
	err    error         // the result of Wait; valid after ended is closed
}

// launch starts cmd. The watchdog w stops the new process if the process of the test ends first.
func launch(cmd *exec.Cmd, w *watchdog) (*process, error) {
	p := &process{cmd: cmd, ended: make(chan struct{})}
	// Use a pipe, not a file: Wait then blocks until the last child has closed the pipe, and the server can be
	// restarted.
	cmd.Stdout, cmd.Stderr = &p.output, &p.output
	cmd.WaitDelay = timeout
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = cmd.Wait()
		close(p.ended)
	}()
	if err := w.watch(cmd.Process.Pid); err != nil {
		return nil, errors.Join(err, p.end(os.Kill, w))
	}
	return p, nil
}

// end sends signal to the process, and blocks until the process and its children have exited. It returns nil if the
// process had already exited.
func (p *process) end(signal os.Signal, w *watchdog) error {
	if err := p.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-p.ended
	if err := w.unwatch(); err != nil {
		return err
	}
	if errors.Is(p.err, exec.ErrWaitDelay) {
		return fmt.Errorf("child processes of PostgreSQL were still running %s after it exited", timeout)
	}
	return nil // p.err is not an error here: the signal caused it
}

// tail is a writer that keeps the last tailSize bytes written. It is safe for concurrent use.
type tail struct {
	mu   sync.Mutex // guards text
	text []byte
}

const tailSize = 64 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if len(t.text) > 2*tailSize {
		t.text = append(t.text[:0], t.text[len(t.text)-tailSize:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.text[max(0, len(t.text)-tailSize):]))
}
