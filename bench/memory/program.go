package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/dlrloop/dlrloop/bench/traffic"
)

const plan = "bench-plan"

// program is a dlrloop binary with its configuration and data directory. At most one process of it runs at a time. Each
// start listens on new ports.
type program struct {
	binary, config, data string
	upstream             string         // the URL of Sinch's API
	logged               map[string]int // number of warnings and errors, by level and message

	command         *exec.Cmd
	public, private string // addresses
	ended           chan error
}

// newProgram builds the dlrloop binary in directory dir but does not start it. dlrloop's configuration and data are in
// dir too. upstream is the base URL of the imitated Sinch API.
func newProgram(ctx context.Context, dir, upstream string) (*program, error) {
	p := &program{
		binary: filepath.Join(dir, "dlrloop"), config: filepath.Join(dir, "config.yaml"),
		data:     filepath.Join(dir, "data"),
		upstream: upstream, logged: make(map[string]int),
	}
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/dlrloop/dlrloop").Output()
	if err != nil {
		return nil, fmt.Errorf("find dlrloop's module: %w", err)
	}
	build := exec.CommandContext(ctx, "go", "build", "-tags", "nomsgpack", "-o", p.binary, ".")
	build.Dir, build.Stdout, build.Stderr = strings.TrimSpace(string(root)), os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		return nil, fmt.Errorf("build dlrloop: %w", err)
	}
	return p, nil
}

// configure writes dlrloop's configuration file, which dlrloop reads at its next start. limit is dlrloop's memory
// limit, such as 256MiB, or "" for its default.
func (p *program) configure(limit string) error {
	text := fmt.Sprintf(`
public: {listen: "127.0.0.1:0"}
private: {listen: "127.0.0.1:0"}
store: {path: %q}
log: {level: info, format: json}
plans:
  - id: %s
    base_url: %s
    token: bench-token
    webhook: {auth: {hmac: {secrets: [%s]}}}
`, p.data, plan, p.upstream, traffic.Secret)
	if limit != "" {
		text += fmt.Sprintf("memory: {limit: %q}\n", limit)
	}
	return os.WriteFile(p.config, []byte(text), 0o600)
}

// launch starts dlrloop but does not wait until it is ready. It returns a reader of dlrloop's log, which the caller
// must read to the end. When ctx ends, dlrloop is killed.
func (p *program) launch(ctx context.Context) (io.Reader, error) {
	p.command = exec.CommandContext(ctx, p.binary, "serve", "--config", p.config)
	p.command.WaitDelay = time.Second
	logs, err := p.command.StderrPipe()
	if err != nil {
		return nil, err
	}
	return logs, p.command.Start()
}

// startTimeout limits how long dlrloop may take to start and to move all reports from its journal to its database.
// After that, the measurement fails.
const startTimeout = 10 * time.Minute

// startFigures holds how long one start of dlrloop took, and the peak memory meanwhile.
type startFigures struct {
	ready time.Duration // until /readyz answered 200
	read  time.Duration // until all reports of the journal were in the database
	peak  peak          // until read
}

// start starts dlrloop and blocks until all reports in its journal (accepted reports on disk) are in its database. It
// returns an error after startTimeout. The caller must call stop or kill.
func (p *program) start(ctx context.Context) (s startFigures, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, errors.New("timeout: dlrloop did not start"))
	defer cancel()
	begun := time.Now()
	logs, err := p.launch(context.WithoutCancel(ctx)) // the process must outlive ctx
	if err != nil {
		return s, err
	}
	serving := make(chan error, 1)
	p.ended = make(chan error, 1)
	go func(c *exec.Cmd, ended chan<- error) {
		p.read(logs, serving)
		ended <- c.Wait()
	}(p.command, p.ended)
	s.peak, err = during(ctx, p.command.Process.Pid, func() error {
		select {
		case err := <-serving:
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if err := p.awaitReady(ctx); err != nil {
			return err
		}
		s.ready = time.Since(begun)
		_, _, err := p.totals(ctx)
		s.read = time.Since(begun)
		return err
	})
	return s, err
}

// read reads dlrloop's log to its end, and counts the warnings and errors in p.logged. When dlrloop logs its listen
// addresses, read stores them in p and sends nil to the channel named serving. If the log ends before that, read sends
// an error instead.
func (p *program) read(logs io.Reader, serving chan<- error) {
	var once sync.Once
	signal := func(err error) { once.Do(func() { serving <- err }) }
	lines := bufio.NewScanner(logs)
	lines.Buffer(nil, 1<<20)
	last := ""
	for lines.Scan() {
		var line struct{ Level, Msg, Public, Private string }
		last = lines.Text()
		switch err := json.Unmarshal(lines.Bytes(), &line); {
		case err != nil:
		case line.Msg == "serving":
			p.public, p.private = line.Public, line.Private
			signal(nil)
		case line.Level == "WARN" || line.Level == "ERROR":
			if p.logged[line.Level+" "+line.Msg]++; p.logged[line.Level+" "+line.Msg] == 1 {
				fmt.Fprintln(os.Stderr, "dlrloop:", last)
			}
		}
	}
	signal(fmt.Errorf("dlrloop ended: %s", last))
}

// awaitReady blocks until dlrloop's readiness check /readyz answers 200. It returns an error if the process or ctx ends
// first.
func (p *program) awaitReady(ctx context.Context) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.private+"/readyz", nil)
		if err != nil {
			return err
		}
		if answer, err := http.DefaultClient.Do(request); err == nil {
			_ = answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ticker.C:
		case err := <-p.ended:
			p.ended <- err
			return fmt.Errorf("dlrloop ended before it was ready: %w", err)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// totals blocks until all accepted reports are in dlrloop's database. It then returns dlrloop's totals (counts of
// recipients and reports) and the size of its store. Without any report, all counts are 0.
func (p *program) totals(ctx context.Context) (*traffic.Totals, *traffic.Store, error) {
	totals, store, err := traffic.Stats(ctx, p.private, plan)
	if errors.Is(err, traffic.ErrNoReports) {
		return &traffic.Totals{}, store, nil
	}
	return totals, store, err
}

// kill ends the process with SIGKILL and blocks until it has ended. It does nothing if the process is not running.
func (p *program) kill() {
	if p.command == nil || p.command.Process == nil {
		return
	}
	_ = p.command.Process.Kill()
	<-p.ended
	p.command = nil
}

// stop ends the process with SIGTERM and blocks until it has ended. It returns an error if the exit status is not 0.
func (p *program) stop() error {
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	err := <-p.ended
	p.command = nil
	return err
}
