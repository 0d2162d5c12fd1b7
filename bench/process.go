package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// process is a child process that runs one of the programs to be measured. It ends when its standard input is closed,
// and therefore also if the benchmark crashes.
type process struct {
	addresses
	plan    string // plan of its reports
	command *exec.Cmd
	stdin   io.Closer
}

// start runs program s in a child process and blocks until the program accepts connections. plan is the id of the
// service plan, and upstream the base URL of Sinch's API. The program keeps its files in directory dir. database is the
// URL of the PostgreSQL database, or "" for none. profiles is the directory for CPU and allocation profiles, or "" for
// none. The caller must call stop on the result.
func start(ctx context.Context, s subject, dir, upstream, plan, database, profiles string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{
		plan: plan,
		command: exec.CommandContext(ctx, self, "-serve", string(s), "-dir", dir, "-upstream", upstream, "-plan", plan,
			"-database", database, "-profile", profiles),
	}
	p.command.Stderr = os.Stderr
	if p.stdin, err = p.command.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := p.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	if err := json.NewDecoder(stdout).Decode(&p.addresses); err != nil {
		return nil, errors.Join(fmt.Errorf("start subject %s: %w", s, err), p.stop())
	}
	return p, nil
}

// stop ends the process by closing its standard input, and blocks until it has ended. It returns an error if the
// process failed.
func (p *process) stop() error { return errors.Join(p.stdin.Close(), p.command.Wait()) }

// cpu returns the processor time (user and system) that the process used. Call it only after stop has returned.
func (p *process) cpu() time.Duration {
	return p.command.ProcessState.UserTime() + p.command.ProcessState.SystemTime()
}
