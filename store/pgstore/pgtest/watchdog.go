package pgtest

import (
	"errors"
	"fmt"
	"io"
	"os/exec"
)

// script is the shell script of a watchdog. Each line of standard input is the pid of a process to stop, or empty for
// none, and overrides the previous line. When standard input ends, because the test's process has ended or crashed, the
// script stops the process in the last line and removes the directory $1.
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

// watchdog is a shell process that outlives the test's process, to stop a PostgreSQL server and remove its directory.
type watchdog struct {
	cmd  *exec.Cmd
	pipe io.WriteCloser
}

func newWatchdog(dir string) (*watchdog, error) {
	cmd := exec.Command("/bin/sh", "-c", script, "watchdog", dir)
	cmd.Dir = "/"
	cmd.SysProcAttr = ownGroup()
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start the watchdog: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the watchdog: %w", err)
	}
	return &watchdog{cmd, pipe}, nil
}

// watch makes the watchdog stop process pid when the test's process ends.
func (w *watchdog) watch(pid int) error {
	if _, err := fmt.Fprintln(w.pipe, pid); err != nil {
		return fmt.Errorf("pass a pid to the watchdog: %w", err)
	}
	return nil
}

// unwatch makes the watchdog stop no process. It is called when the watched process has exited.
func (w *watchdog) unwatch() error {
	if _, err := fmt.Fprintln(w.pipe); err != nil {
		return fmt.Errorf("clear the watchdog's pid: %w", err)
	}
	return nil
}

// close ends the watchdog, and blocks until the watchdog has removed the server's directory.
func (w *watchdog) close() error {
	if err := errors.Join(w.pipe.Close(), w.cmd.Wait()); err != nil {
		return fmt.Errorf("remove the server's directory: %w", err)
	}
	return nil
}
