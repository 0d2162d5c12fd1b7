package cli

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/dlrloop/dlrloop/config"
	"github.com/dlrloop/dlrloop/store/copying"
)

func copyCommand() *cobra.Command {
	var from, to string
	c := &cobra.Command{
		Use:   "copy --from STORE --to STORE",
		Short: "Copy a store that is not in use into another: from a directory to PostgreSQL, or back",
		Long: `Copy copies the complete content of a store into another one: batches, recipients, raw reports, feedback owed,
sent and dead, due times of missing reports, counts, quarantine and inbound messages. Then it reads the
destination and compares both stores by counts and checksums over every entry. The source is not changed.

A STORE is bolt:DIRECTORY, postgres:URL or postgres:@FILE, where FILE holds the URL. All users of the machine
can see arguments, so put a URL with a password into a file. Nothing may use the source during the copy: stop
all replicas of dlrloop. The destination is a new or empty directory, or a database without a store.

An interrupted copy continues where it stopped: run the same command again. dlrloop does not open a
destination until its copy is complete and verified.

--config names the configuration of the store. It is needed for a directory whose dlrloop was killed: its
plans decide which feedback the reports in the journal earn. For a PostgreSQL store it also sets dialect,
slots and store.migrate.

The progress goes to standard error: a bar on a terminal, otherwise a line every ten seconds. With --json the
summary is one JSON document.

Exit codes: 0 copied and verified, 1 the copy failed or was interrupted, 2 invalid arguments or configuration.`,
		Example: `  dlrloop copy --from bolt:data --to postgres:@secrets/postgres-url
  dlrloop copy --from postgres:@secrets/postgres-url --to bolt:/var/lib/dlrloop --json
  dlrloop copy --from bolt:data --to postgres://dlrloop@db.example/dlrloop?sslmode=verify-full`,
		Args: cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
	}
	c.Flags().StringVar(&from, "from", "", "the `STORE` to copy")
	c.Flags().StringVar(&to, "to", "", "the `STORE` to fill")
	noFiles(c, "from", "to")
	path := c.Flags().StringP("config", "c", "", "configuration `FILE` of the store (default none)")
	_ = c.MarkFlagFilename("config", "yaml", "yml") // fails only if the flag does not exist
	asJSON := jsonFlag(c, jsonOne)
	c.RunE = func(c *cobra.Command, _ []string) error {
		j, err := newCopyJob(from, to, *path)
		if err != nil {
			return err
		}
		started := time.Now()
		done, err := j.run(c.Context(), c.ErrOrStderr())
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(c.OutOrStdout(), j.summary(done, time.Since(started)))
		}
		return j.print(c.OutOrStdout(), done, time.Since(started))
	}
	return c
}

// copyJob is one run of dlrloop copy, which copies the content of a store into another store.
type copyJob struct {
	from, to location
	config   *config.Config // nil without --config
}

func newCopyJob(from, to, path string) (j copyJob, err error) {
	if j.from, err = parseLocation("--from", from); err != nil {
		return j, err
	}
	if j.to, err = parseLocation("--to", to); err != nil {
		return j, err
	}
	if j.from == j.to {
		return j, usageError{errors.New("--from and --to are the same store")}
	}
	if path != "" {
		j.config, err = config.Load(path, environ())
	}
	return j, err
}

func (j copyJob) run(ctx context.Context, stderr io.Writer) (done copying.Summary, err error) {
	from, err := j.from.source(ctx, j.config)
	if err != nil {
		return done, copyAdvice(fmt.Errorf("%s: %w", j.from, err))
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	to, err := j.to.sink(ctx, j.config)
	if err != nil {
		return done, copyAdvice(fmt.Errorf("%s: %w", j.to, err))
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	bar := newBar(stderr, isTerminal(stderr))
	done, err = copying.Run(ctx, from, to, bar.show)
	bar.end()
	if ctx.Err() != nil && err != nil {
		err = errors.New("interrupted; the destination keeps what was copied so far")
	}
	err = copyAdvice(err)
	if err != nil && !errors.As(err, new(advised)) {
		err = advised{err, "run the same command again: it continues where it stopped"}
	}
	return done, err
}

// copyAdvice adds advice for the user to the errors of package store/copying, and returns other errors unchanged.
func copyAdvice(err error) error {
	if _, differs := errors.AsType[copying.MismatchError](err); differs {
		return advised{err, "no dlrloop opens this destination. Empty it and copy again while nothing uses the source"}
	}
	switch {
	case errors.Is(err, copying.ErrWaiting):
		return advised{err, "start dlrloop on the source, let it deliver what waits or is deferred, and requeue dead " +
			"events; or purge the destination if its application no longer needs them"}
	case errors.Is(err, copying.ErrOccupied):
		return advised{err, "name a new directory, or a database without a store"}
	case errors.Is(err, copying.ErrOtherSource):
		return advised{err, "continue with the source of the first copy, or empty the destination and copy again"}
	case errors.Is(err, copying.ErrInUse):
		return advised{err, "stop every dlrloop that uses it, and run the same command again"}
	}
	return err
}

// copySummary is the JSON that dlrloop copy --json prints. Bytes is the size of the raw reports, quarantined callbacks
// and inbound messages that this run copied. Kinds maps a kind of entry, such as recipients, to the count and checksum
// of all its entries. Resumed is true if the run continued an interrupted copy.
type copySummary struct {
	From    string                `json:"from"`
	To      string                `json:"to"`
	Resumed bool                  `json:"resumed"`
	Seconds float64               `json:"seconds"`
	Bytes   int64                 `json:"bytes"`
	Kinds   map[string]copiedKind `json:"kinds"`
}

// copiedKind describes the entries of one kind, such as recipients, after dlrloop copy: their number, and a checksum
// over all of them in hexadecimal digits. The source and the destination have the same Count and Checksum.
type copiedKind struct {
	Count    int    `json:"count"`
	Checksum string `json:"checksum"`
}

func (j copyJob) summary(done copying.Summary, took time.Duration) copySummary {
	t := copySummary{
		From: j.from.String(), To: j.to.String(), Resumed: done.Resumed, Seconds: took.Seconds(), Bytes: done.Moved.Bytes,
		Kinds: make(map[string]copiedKind),
	}
	for kind, sum := range done.Sums {
		t.Kinds[string(kind)] = copiedKind{sum.Count, hex.EncodeToString(sum.Bytes())}
	}
	return t
}

func (j copyJob) print(w io.Writer, done copying.Summary, took time.Duration) error {
	fmt.Fprintf(w, "copied and verified in %s: %s to %s\n", took.Round(time.Second/10), j.from, j.to)
	for _, kind := range copying.Kinds() {
		sum := done.Sums[kind]
		fmt.Fprintf(w, "  %-14s %10d   %x\n", kind, sum.Count, sum.Bytes()[:8])
	}
	_, err := fmt.Fprintln(w, "dlrloop can now be started on the destination. The source is unchanged; do not "+
		"start dlrloop on both.")
	return err
}
