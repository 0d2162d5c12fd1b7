package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
)

// startProfile starts a CPU profile of this process, which runs program s. The caller must call finish when the program
// has ended. finish writes the CPU profile and an allocation profile to files in directory dir. If dir is "", there are
// no profiles, and finish does nothing.
func startProfile(dir string, s subject) (finish func() error, err error) {
	if dir == "" {
		return func() error { return nil }, nil
	}
	name := func(kind string) string {
		return filepath.Join(dir, fmt.Sprintf("%s-%d.%s.prof", s, os.Getpid(), kind))
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
