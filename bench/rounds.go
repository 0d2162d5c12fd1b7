package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/dlrloop/dlrloop/bench/traffic"
)

// run is one run of the benchmark: its options, the imitated Sinch API, the PostgreSQL server if a measured program
// needs one, and the reports to send.
type run struct {
	subjects    []subject
	connections []int
	rounds      int
	warmup      time.Duration
	measured    time.Duration
	dir         string // for files of the measured programs
	profiles    string // directory; empty: no profiles

	upstream *traffic.Upstream
	cluster  *cluster // nil if no measured program uses PostgreSQL
	stored   int      // number of measurements of the program called stored so far
	reports  *requests
}

// figures holds the results of one measurement, such as throughput and response times. One measurement covers one
// program, one number of connections and one round (repetition).
type figures struct {
	throughput     float64 // reports per second
	p50, p99, p999 time.Duration
	cpu            time.Duration // of the measured program, per report

	reports  int   // number of reports sent
	waiting  int   // events that waited for the destination when the last report was acknowledged
	database usage // of PostgreSQL, total
}

// results holds the figures of all measurements. The first key is the number of connections, the second the measured
// program. Each slice has one element for each round (repetition), in order.
type results map[int]map[subject][]figures

// measureAll measures every program with every number of connections, once in each round (repetition). It calls
// progress with a status message before each measurement. If a measurement fails, it stops and returns nil and the
// error.
func (r *run) measureAll(ctx context.Context, progress func(string)) (results, error) {
	all := make(results)
	for _, n := range r.connections {
		all[n] = make(map[subject][]figures)
	}
	for round := range r.rounds {
		for _, n := range r.connections {
			for _, s := range r.subjects { // in turn, so that a slow time of the machine affects all
				progress(fmt.Sprintf("round %d of %d, %d connections: %s", round+1, r.rounds, n, s))
				f, err := r.measureOnce(ctx, s, n)
				if err != nil {
					return nil, fmt.Errorf("%s with %d connections: %w", s, n, err)
				}
				all[n][s] = append(all[n][s], f)
			}
		}
	}
	return all, nil
}

// measureOnce starts program s, sends reports to it over the given number of connections, and stops it. It then removes
// the program's files. It returns an error if the program has lost a report. subjectNull and subjectAppend are not
// checked, because they have no API that returns their reports.
func (r *run) measureOnce(ctx context.Context, s subject, connections int) (f figures, err error) {
	dir, err := os.MkdirTemp(r.dir, string(s)+"-")
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	url, drop, err := r.database(ctx, s)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, drop()) }()
	plan := planOf(0)
	if s == subjectStored {
		r.stored++ // a new plan, since its database holds the reports of earlier rounds
		plan = planOf(r.stored)
	}
	r.reports.setPlan(plan)
	r.upstream.Wanted.Store(s == subjectFeedback)
	r.upstream.Delivered.Store(0)
	p, err := start(ctx, s, dir, r.upstream.URL, plan, url, r.profiles)
	if err != nil {
		return f, err
	}
	var m *measurement
	used, err := r.measureUsage(ctx, url, func() (err error) {
		m, err = r.load(ctx, s, p, connections)
		return err
	})
	if err := errors.Join(err, p.stop()); err != nil {
		return f, err
	}
	sent := 0
	for _, n := range m.acknowledged {
		sent += n
	}
	return figures{
		throughput: m.throughput(), p50: m.quantile(.5), p99: m.quantile(.99), p999: m.quantile(.999),
		cpu: p.cpu() / time.Duration(sent), reports: sent, waiting: m.waiting, database: used,
	}, nil
}

// load sends reports to process p, which runs program s, and returns the measured response times. It returns an error
// if an acknowledged report is not stored. subjectNull and subjectAppend, which have no API, are not checked. If the
// program sends feedback or events, load waits until all of them are sent, and returns an error if one is missing.
func (r *run) load(ctx context.Context, s subject, p *process, connections int) (*measurement, error) {
	m, err := drive(ctx, p.Public, r.reports, load{connections, r.warmup, r.measured})
	if err == nil && p.Private != "" {
		err = verify(ctx, p.Private, p.plan, m.acknowledged)
	}
	if err == nil && s == subjectFeedback {
		err = verifyFeedback(ctx, p.Private, p.plan, m.acknowledged[traffic.Delivered])
	}
	if err == nil && s.delivers() {
		m.waiting, err = verifyDelivered(ctx, p.Private, r.upstream, m.acknowledged[traffic.Delivered])
	}
	return m, err
}

// measureUsage calls function do and returns the resources, such as processor time, that PostgreSQL used during the
// call. url is the URL of the measured program's database. If url is "", because the program uses no database, the
// result is zero. If do returns an error, measureUsage returns this error.
func (r *run) measureUsage(ctx context.Context, url string, do func() error) (u usage, err error) {
	if url == "" {
		return u, do()
	}
	before, err := r.cluster.readUsage(ctx, url)
	if err != nil {
		return u, err
	}
	if err := do(); err != nil {
		return u, err
	}
	after, err := r.cluster.readUsage(ctx, url)
	return after.since(before), err
}

type spread struct{ median, least, largest float64 }

func spreadOf(values []float64) spread {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return spread{}
	}
	return spread{(sorted[(n-1)/2] + sorted[n/2]) / 2, sorted[0], sorted[n-1]}
}

// overRounds returns the median, minimum and maximum of one figure over all rounds (repetitions), or zeros if there are
// no rounds. figureOf returns the figure of one round, such as its throughput.
func overRounds(rounds []figures, figureOf func(figures) float64) spread {
	values := make([]float64, len(rounds))
	for i, f := range rounds {
		values[i] = figureOf(f)
	}
	return spreadOf(values)
}

// ratio compares a program with another program, the baseline. It divides a figure of the program by the same figure of
// the baseline in the same round (repetition), and returns the median, minimum and maximum of these ratios. It returns
// zeros if the program or the baseline was not measured. figureOf returns the figure of one round.
func ratio(rounds, baseline []figures, figureOf func(figures) float64) spread {
	values := make([]float64, min(len(rounds), len(baseline)))
	for i := range values {
		values[i] = figureOf(rounds[i]) / figureOf(baseline[i])
	}
	return spreadOf(values)
}
