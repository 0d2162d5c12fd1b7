// Command bench measures dlrloop beside the same handler that stores nothing, and beside one that only appends to a file.
// docs/performance.md says what the figures mean.
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

// options are those of the command line.
type options struct {
	rounds, batches       int
	stored                int
	seconds               float64
	connections, subjects string
	seed                  uint64
	folder, profiles      string

	serve    subject // be this subject, for the process that measures it
	upstream string  // for a subject: the URL of what stands for Sinch
	plan     string  // for a subject: the plan that is reported of
	database string  // for a subject on PostgreSQL: its URL
}

func parse(arguments []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.IntVar(&o.rounds, "rounds", 3, "how often each subject is measured at each number of connections")
	flags.Float64Var(&o.seconds, "seconds", 4, "for how long each time, after a second that does not count")
	flags.StringVar(&o.connections, "connections", "1,64,256", "numbers of connections")
	flags.StringVar(&o.subjects, "subjects", "null,append,dlrloop,feedback,postgres,stored", "what is measured, in this order")
	flags.IntVar(&o.stored, "stored", 5_000_000, "recipients that the subject stored begins with")
	flags.IntVar(&o.batches, "batches", 200, "active batches, of 1000 recipients each")
	flags.Uint64Var(&o.seed, "seed", 1, "of the order of the reports")
	flags.StringVar(&o.folder, "dir", "../.build", "folder on the disk to measure; what is written there is removed")
	flags.StringVar(&o.profiles, "profile", "", "folder for CPU and allocation profiles of the subjects")
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
	r, err := o.run()
	if err != nil {
		return err
	}
	if r.folder, err = os.MkdirTemp(o.folder, "bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(r.folder)) }()
	if r.upstream, err = traffic.NewUpstream(ctx); err != nil {
		return err
	}
	defer r.upstream.Close() //nolint:errcheck // nobody calls it any more
	progress := func(line string) { fmt.Fprintln(os.Stderr, line) }
	end, err := r.startCluster(ctx, o.stored, progress)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	r.reports = newRequests(traffic.Planned(0, o.batches, o.seed))
	debug.SetGCPercent(400) // of the client: its memory holds nothing but the requests
	all, err := r.all(ctx, progress)
	if err != nil {
		return err
	}
	fmt.Printf("%s/%s, %d CPUs, %s; %d batches of %d recipients; %d rounds of %v\n\n",
		runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), o.batches, traffic.Recipients, r.rounds, r.measured)
	if err := table(os.Stdout, r.connections, r.subjects, all); err != nil || r.cluster == nil {
		return err
	}
	fmt.Printf("\nPostgreSQL, for each report; %d recipients stored before:\n\n", o.stored)
	return databaseTable(os.Stdout, r.connections, r.subjects, all)
}

// run is what the options ask for.
func (o options) run() (*run, error) {
	r := &run{rounds: o.rounds, warmup: time.Second, measured: time.Duration(o.seconds * float64(time.Second))}
	for s := range strings.SplitSeq(o.subjects, ",") {
		if !subject(s).known() {
			return nil, fmt.Errorf("-subjects: there is no %q", s)
		}
		r.subjects = append(r.subjects, subject(s))
	}
	for c := range strings.SplitSeq(o.connections, ",") {
		n, err := strconv.Atoi(c)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("-connections: %q is no number of connections", c)
		}
		r.connections = append(r.connections, n)
	}
	if err := os.MkdirAll(o.folder, 0o755); err != nil {
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
