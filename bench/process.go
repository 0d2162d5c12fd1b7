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

// process is a subject in a process of its own.
type process struct {
	place
	plan    string // that it takes reports of
	command *exec.Cmd
	stdin   io.Closer
}

// start starts a subject with folder for its own, or a database, and returns when it serves.
func start(ctx context.Context, s subject, folder, upstream, plan, database, profiles string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{plan: plan, command: exec.CommandContext(ctx, self, "-serve", string(s), "-dir", folder, "-upstream", upstream, "-plan", plan, "-database", database, "-profile", profiles)}
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
	if err := json.NewDecoder(stdout).Decode(&p.place); err != nil {
		return nil, errors.Join(fmt.Errorf("%s does not serve: %w", s, err), p.stop())
	}
	return p, nil
}

// stop ends the process in order and waits for it.
func (p *process) stop() error { return errors.Join(p.stdin.Close(), p.command.Wait()) }

// cpu is the processor time that the process has used, once it has ended.
func (p *process) cpu() time.Duration {
	return p.command.ProcessState.UserTime() + p.command.ProcessState.SystemTime()
}
