// Command retention measures whether the tables of the PostgreSQL store stop growing once retention deletes as much
// as comes in. docs/performance.md explains the figures.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"github.com/dlrloop/dlrloop/bench/command"
	"github.com/dlrloop/dlrloop/store"
	"github.com/dlrloop/dlrloop/store/pgstore"
	"github.com/dlrloop/dlrloop/store/pgstore/pgtest"
)

func main() { command.Run(bench) }

type options struct {
	periods, batches int
	rate             float64
	dir              string
}

func parse(arguments []string) (o options, err error) {
	flags := flag.NewFlagSet("retention", flag.ContinueOnError)
	flags.IntVar(&o.periods, "periods", 6, "`number` of retention periods to run")
	flags.IntVar(&o.batches, "batches", 100,
		"`number` of batches of 1000 recipients per period; the next period deletes them")
	flags.Float64Var(&o.rate, "rate", 0, "`reports` per second; 0 means as many as possible")
	flags.StringVar(&o.dir, "dir", "../.build", "`directory` on the disk to measure; files written there are removed")
	return o, flags.Parse(arguments)
}

// settings returns the configuration parameters of the bench's PostgreSQL server, by name. With them, autovacuum
// (PostgreSQL's removal of deleted rows) runs every second, since a retention period of the bench lasts only seconds.
func settings() map[string]string {
	return map[string]string{
		"shared_buffers": "1GB", "max_wal_size": "8GB", "wal_compression": "on", "checkpoint_timeout": "15min",
		"autovacuum_naptime": "1s", // a retention period lasts only seconds
	}
}

func bench(ctx context.Context, arguments []string) (err error) {
	o, err := parse(arguments)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.dir, 0o711); err != nil {
		return err
	}
	server, err := pgtest.StartProgram(ctx, pgtest.Config{Durable: true, Dir: o.dir, Settings: settings()})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close(context.WithoutCancel(ctx))) }()
	off := func(string) store.Policy { return store.Policy{On: store.OnOff} } // owed feedback would delay the deletion
	s, err := pgstore.Open(ctx, pgstore.Config{URL: server.URL(), Policies: off})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	heading(out)
	for period := range o.periods {
		w := periodRun{store: s, options: o, period: period}
		begin := time.Now()
		if err := w.run(ctx); err != nil {
			return err
		}
		tables, err := readTables(ctx, server.URL())
		if err != nil {
			return err
		}
		rate := float64(2*o.batches*recipients) / time.Since(begin).Seconds()
		report(out, period+1, rate, tables)
		if err := out.Flush(); err != nil {
			return err
		}
	}
	fmt.Printf("\n%d recipients per period, each reported twice\n", o.batches*recipients)
	return nil
}
