// Command bench compares dlrloop with the same handler over a store that discards everything, and over one that only
// appends to a file. docs/performance.md explains the figures.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/dlrloop/dlrloop/bench/command"
	"github.com/dlrloop/dlrloop/bench/traffic"
)

func main() { command.Run(bench) }

type options struct {
	rounds, batches       int
	stored                int
	seconds               float64
	connections, subjects string
	seed                  uint64
	dir, profiles         string

	serve    subject // set in a child process: the measured program to run
	upstream string  // for a child: the URL that replaces Sinch
	plan     string  // for a child: the plan of the reports
	database string  // for a child on PostgreSQL: the URL of its database
}

func parse(arguments []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.IntVar(&o.rounds, "rounds", 3, "`number` of measurements of each subject with each number of connections")
	flags.Float64Var(&o.seconds, "seconds", 4, "measured `seconds` of each round, after a warm-up of one second")
	flags.StringVar(&o.connections, "connections", "1,64,256", "numbers of connections, separated by commas")
	flags.StringVar(&o.subjects, "subjects", "null,append,dlrloop,feedback,postgres,stored",
		"what to measure, in this order; also feed, destination, postgres-feed, postgres-destination")
	flags.IntVar(&o.stored, "stored", 5_000_000, "`recipients` stored before the subject stored is measured")
	flags.IntVar(&o.batches, "batches", 200, "`number` of batches to report, of 1000 recipients each")
	flags.Uint64Var(&o.seed, "seed", 1, "`seed` for the order of the reports")
	flags.StringVar(&o.dir, "dir", "../.build", "`directory` on the disk to measure; files written there are removed")
	flags.StringVar(&o.profiles, "profile", "", "`directory` for CPU and allocation profiles of the subjects")
	flags.StringVar((*string)(&o.serve), "serve", "", "")
	flags.StringVar(&o.upstream, "upstream", "", "")
	flags.StringVar(&o.plan, "plan", planOf(0), "")
	flags.StringVar(&o.database, "database", "", "")
	return o, flags.Parse(arguments)
}

func bench(ctx context.Context, arguments []string) (err error) {
	o, err := parse(arguments)
	if err != nil {
		return err
	}
	if o.serve != "" {
		return serveForParent(o)
	}
	r, err := o.newRun()
	if err != nil {
		return err
	}
	if r.dir, err = os.MkdirTemp(o.dir, "bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(r.dir)) }()
	if r.upstream, err = traffic.NewUpstream(ctx); err != nil {
		return err
	}
	defer r.upstream.Close() //nolint:errcheck // all child processes have ended
	progress := func(line string) { fmt.Fprintln(os.Stderr, line) }
	end, err := r.startCluster(ctx, o.stored, progress)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	r.reports = newRequests(traffic.Planned(0, o.batches, o.seed))
	debug.SetGCPercent(400) // for the client, whose heap holds only the requests
	all, err := r.measureAll(ctx, progress)
	if err != nil {
		return err
	}
	fmt.Printf("%s/%s, %d CPUs, %s; %d batches of %d recipients; %d rounds of %v\n\n",
		runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), o.batches, traffic.Recipients,
		r.rounds, r.measured)
	if err := table(os.Stdout, r.connections, r.subjects, all); err != nil || r.cluster == nil {
		return err
	}
	fmt.Printf("\nPostgreSQL, per report; %d recipients stored before:\n\n", o.stored)
	return databaseTable(os.Stdout, r.connections, r.subjects, all)
}

// newRun checks the options, creates the directories that they name, and returns a benchmark run that has not started.
// If an option is invalid, the error names the option.
func (o options) newRun() (*run, error) {
	r := &run{rounds: o.rounds, warmup: time.Second, measured: time.Duration(o.seconds * float64(time.Second))}
	for s := range strings.SplitSeq(o.subjects, ",") {
		if !subject(s).valid() {
			return nil, fmt.Errorf("-subjects: unknown subject %q", s)
		}
		r.subjects = append(r.subjects, subject(s))
	}
	for c := range strings.SplitSeq(o.connections, ",") {
		n, err := strconv.Atoi(c)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("-connections: %q is not a positive number", c)
		}
		r.connections = append(r.connections, n)
	}
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return nil, err
	}
	if o.profiles == "" {
		return r, nil
	}
	var err error
	if r.profiles, err = filepath.Abs(o.profiles); err != nil {
		return nil, err
	}
	return r, os.MkdirAll(r.profiles, 0o755)
}
