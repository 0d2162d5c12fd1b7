package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
)

// startProfile begins a CPU profile of this process in folder, unless that is empty. finish writes it, and an allocation profile.
func startProfile(folder string, s subject) (finish func() error, err error) {
	if folder == "" {
		return func() error { return nil }, nil
	}
	name := func(kind string) string {
		return filepath.Join(folder, fmt.Sprintf("%s-%d.%s.prof", s, os.Getpid(), kind))
	}
	cpu, err := os.Create(name("cpu"))
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(cpu); err != nil {
		return nil, errors.Join(err, cpu.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		allocs, err := os.Create(name("allocs"))
		if err != nil {
			return errors.Join(err, cpu.Close())
		}
		return errors.Join(pprof.Lookup("allocs").WriteTo(allocs, 0), allocs.Close(), cpu.Close())
	}, nil
}
