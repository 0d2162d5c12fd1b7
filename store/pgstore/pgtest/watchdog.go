package pgtest

import (
	"errors"
	"fmt"
	"io"
	"os/exec"
)

// script reads which process runs, a line each time that changes and an empty one for none. When the pipe ends, as it
// does when the test's process does, however it ends, it ends the process and removes the folder.
const script = `
pid=
while read -r line; do pid=$line; done
if [ -n "$pid" ]; then
	kill -QUIT "$pid"
	tries=100
	while [ $tries -gt 0 ] && kill -0 "$pid"; do sleep 0.1; tries=$((tries - 1)); done
	kill -KILL "$pid"
fi 2>/dev/null
rm -rf "$1"
`

// watchdog is a shell that outlives the test's process to clean up after it.
type watchdog struct {
	cmd  *exec.Cmd
	pipe io.WriteCloser
}

func newWatchdog(folder string) (*watchdog, error) {
	cmd := exec.Command("/bin/sh", "-c", script, "watchdog", folder)
	cmd.Dir = "/"
	cmd.SysProcAttr = apart()
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start the watchdog: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the watchdog: %w", err)
	}
	return &watchdog{cmd, pipe}, nil
}

// watch says which process to end with us.
func (w *watchdog) watch(pid int) error {
	if _, err := fmt.Fprintln(w.pipe, pid); err != nil {
		return fmt.Errorf("tell the watchdog of a process: %w", err)
	}
	return nil
}

// forget says that no process is left to end.
func (w *watchdog) forget() error {
	if _, err := fmt.Fprintln(w.pipe); err != nil {
		return fmt.Errorf("tell the watchdog of a process's end: %w", err)
	}
	return nil
}

// close returns when the watchdog has removed the folder.
func (w *watchdog) close() error {
	if err := errors.Join(w.pipe.Close(), w.cmd.Wait()); err != nil {
		return fmt.Errorf("remove the server's folder: %w", err)
	}
	return nil
}
