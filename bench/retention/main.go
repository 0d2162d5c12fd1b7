// Command retention measures whether the tables of the store in PostgreSQL stop growing when retention deletes as much as comes
// in. docs/performance.md says what the figures mean.
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

// options are those of the command line.
type options struct {
	periods, batches int
	rate             float64
	folder           string
}

func parse(arguments []string) (o options, err error) {
	flags := flag.NewFlagSet("retention", flag.ContinueOnError)
	flags.IntVar(&o.periods, "periods", 6, "how many retention periods to run")
	flags.IntVar(&o.batches, "batches", 100, "batches of 1000 recipients in each; a period's are deleted in the one after it")
	flags.Float64Var(&o.rate, "rate", 0, "reports a second; 0 for as many as there can be")
	flags.StringVar(&o.folder, "dir", "../.build", "folder on the disk to measure; what is written there is removed")
	return o, flags.Parse(arguments)
}

// settings are the bench's. A period that takes weeks takes seconds here, so vacuum looks as much more often.
func settings() map[string]string {
	return map[string]string{
		"shared_buffers": "1GB", "max_wal_size": "8GB", "wal_compression": "on", "checkpoint_timeout": "15min",
		"autovacuum_naptime": "1s",
	}
}

func bench(ctx context.Context, arguments []string) (err error) {
	o, err := parse(arguments)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.folder, 0o711); err != nil {
		return err
	}
	server, err := pgtest.Boot(ctx, pgtest.Config{Durable: true, Folder: o.folder, Settings: settings()})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close(context.WithoutCancel(ctx))) }()
	off := func(string) store.Policy { return store.Policy{On: store.OnOff} } // what owes feedback is kept longer
	s, err := pgstore.Open(ctx, pgstore.Config{URL: server.URL(), Policies: off})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	heading(out)
	for period := range o.periods {
		w := world{store: s, options: o, period: period}
		begin := time.Now()
		if err := w.run(ctx); err != nil {
			return err
		}
		tables, err := look(ctx, server.URL())
		if err != nil {
			return err
		}
		rate := float64(2*o.batches*recipients) / time.Since(begin).Seconds()
		report(out, period+1, rate, tables)
		if err := out.Flush(); err != nil {
			return err
		}
	}
	fmt.Printf("\n%d recipients a period, each reported twice\n", o.batches*recipients)
	return nil
}
