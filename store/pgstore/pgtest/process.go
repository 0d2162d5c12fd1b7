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

// patience is how long anything of PostgreSQL's may take before it counts as stuck.
const patience = 2 * time.Minute

// process is a program of PostgreSQL's that runs, with its children.
type process struct {
	cmd   *exec.Cmd
	said  tail
	ended chan struct{} // closed when it has ended, and its children too
	err   error         // how it ended, once it has
}

// launch starts the command and has the watchdog end it with us.
func launch(cmd *exec.Cmd, w *watchdog) (*process, error) {
	p := &process{cmd: cmd, ended: make(chan struct{})}
	// A pipe, not a file: Wait then returns when the last child has closed it, and a server can be started again.
	cmd.Stdout, cmd.Stderr = &p.said, &p.said
	cmd.WaitDelay = patience
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

// end signals the process and waits for its end and that of its children.
func (p *process) end(signal os.Signal, w *watchdog) error {
	if err := p.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-p.ended
	if err := w.forget(); err != nil {
		return err
	}
	if errors.Is(p.err, exec.ErrWaitDelay) {
		return fmt.Errorf("processes of PostgreSQL outlived it by %s", patience)
	}
	return nil // that it ended by a signal is no news
}

// tail keeps the end of what is written.
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
