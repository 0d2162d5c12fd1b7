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

// program is the dlrloop binary with a configuration and a folder. It chooses its ports itself, anew with every start.
type program struct {
	binary, config, data string
	upstream             string         // the URL of Sinch's API
	logged               map[string]int // how many warnings and errors it logged, by message

	command         *exec.Cmd
	public, private string // addresses
	ended           chan error
}

// newProgram builds dlrloop in a folder, which is for its configuration and store, too.
func newProgram(ctx context.Context, folder, upstream string) (*program, error) {
	p := &program{
		binary: filepath.Join(folder, "dlrloop"), config: filepath.Join(folder, "config.yaml"),
		data:     filepath.Join(folder, "data"),
		upstream: upstream, logged: make(map[string]int),
	}
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/dlrloop/dlrloop").Output()
	if err != nil {
		return nil, fmt.Errorf("look for the module of dlrloop: %w", err)
	}
	build := exec.CommandContext(ctx, "go", "build", "-tags", "nomsgpack", "-o", p.binary, ".")
	build.Dir, build.Stdout, build.Stderr = strings.TrimSpace(string(root)), os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		return nil, fmt.Errorf("build dlrloop: %w", err)
	}
	return p, nil
}

// configure writes the configuration for the next start. Without a limit memory.limit is left out.
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

// launch starts the process.
func (p *program) launch(ctx context.Context) (io.Reader, error) {
	p.command = exec.CommandContext(ctx, p.binary, "serve", "--config", p.config)
	p.command.WaitDelay = time.Second
	logs, err := p.command.StderrPipe()
	if err != nil {
		return nil, err
	}
	return logs, p.command.Start()
}

// startPatience is how long a start may take.
const startPatience = 10 * time.Minute

// started is how long a start took, and what it took.
type started struct {
	ready time.Duration // until /readyz answered 200
	read  time.Duration // until the totals were read, which waits for what the journal had
	peak  peak          // until then
}

// start starts the process, and returns when it has folded what its journal has.
func (p *program) start(ctx context.Context) (s started, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, startPatience, errors.New("dlrloop does not start"))
	defer cancel()
	begun := time.Now()
	logs, err := p.launch(context.WithoutCancel(ctx)) // it lives until it is killed
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

// read reads what the process logs until it ends, and says once whether it serves, which then has the addresses.
func (p *program) read(logs io.Reader, serving chan<- error) {
	var once sync.Once
	tell := func(err error) { once.Do(func() { serving <- err }) }
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
			tell(nil)
		case line.Level == "WARN" || line.Level == "ERROR":
			if p.logged[line.Level+" "+line.Msg]++; p.logged[line.Level+" "+line.Msg] == 1 {
				fmt.Fprintln(os.Stderr, "dlrloop:", last)
			}
		}
	}
	tell(fmt.Errorf("dlrloop ended: %s", last))
}

// awaitReady waits until /readyz answers 200.
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

// totals are what is stored, after all that was acknowledged is folded.
func (p *program) totals(ctx context.Context) (*traffic.Totals, *traffic.Store, error) {
	totals, store, err := traffic.Stats(ctx, p.private, plan)
	if errors.Is(err, traffic.ErrNoReports) {
		return &traffic.Totals{}, store, nil
	}
	return totals, store, err
}

// kill ends the process as kill -9 does, and waits for it.
func (p *program) kill() {
	if p.command == nil || p.command.Process == nil {
		return
	}
	_ = p.command.Process.Kill()
	<-p.ended
	p.command = nil
}

// stop ends the process in order, and waits for it.
func (p *program) stop() error {
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	err := <-p.ended
	p.command = nil
	return err
}
