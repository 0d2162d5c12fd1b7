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
		Short: "Move a store that nobody uses into another: from a folder to PostgreSQL, or back",
		Long: `Copy takes everything that a store holds into another one, as it is: batches, recipients, the reports as they came, feedback owed,
sent and dead, checks that are due, counts and quarantine. Then it reads the destination again and compares both, by counts
and by checksums over every entry. The source is left as it is.

A STORE is bolt:FOLDER, postgres:URL or postgres:@FILE, where FILE holds the URL: arguments can be seen by everybody on the machine, so
a URL with a password belongs in a file. Nothing may use the source meanwhile: stop dlrloop, all replicas of it. The
destination is a new or empty folder, or a database without a store.

A copy that was interrupted, however, goes on where it was: give the same command again. Until a copy is finished and verified no
dlrloop opens the destination.

With --config the journal of a folder whose dlrloop was killed is folded by the policies of its plans, which decide what a report
earns; and a PostgreSQL store gets dialect, slots and store.migrate from there, if it is the driver.

Progress goes to standard error: a bar on a terminal, else a line every ten seconds. With --json the sum is one JSON document.

Exit codes: 0 copied and verified, 1 something failed or was interrupted, 2 wrong use or configuration.`,
		Example: `  dlrloop copy --from bolt:data --to postgres:@secrets/postgres-url
  dlrloop copy --from postgres:@secrets/postgres-url --to bolt:/var/lib/dlrloop --json
  dlrloop copy --from bolt:data --to postgres://dlrloop@db.example/dlrloop?sslmode=verify-full`,
		Args: cobra.NoArgs, ValidArgsFunction: cobra.NoFileCompletions,
	}
	c.Flags().StringVar(&from, "from", "", "the `STORE` to copy")
	c.Flags().StringVar(&to, "to", "", "the `STORE` to fill")
	noFiles(c, "from", "to")
	path := c.Flags().StringP("config", "c", "", "configuration `FILE` of the store; none is read without")
	_ = c.MarkFlagFilename("config", "yaml", "yml") // fails only for a flag that is not there
	asJSON := jsonFlag(c, jsonOne)
	c.RunE = func(c *cobra.Command, _ []string) error {
		o, err := newCopyOrder(from, to, *path)
		if err != nil {
			return err
		}
		begun := time.Now()
		done, err := o.run(c.Context(), c.ErrOrStderr())
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(c.OutOrStdout(), o.told(done, time.Since(begun)))
		}
		return o.tell(c.OutOrStdout(), done, time.Since(begun))
	}
	return c
}

// copyOrder is what is to be copied.
type copyOrder struct {
	from, to copyPlace
	config   *config.Config // nil when none was given
}

func newCopyOrder(from, to, path string) (o copyOrder, err error) {
	if o.from, err = parsePlace("--from", from); err != nil {
		return o, err
	}
	if o.to, err = parsePlace("--to", to); err != nil {
		return o, err
	}
	if o.from == o.to {
		return o, usageError{errors.New("--from and --to are the same store")}
	}
	if path != "" {
		o.config, err = config.Load(path, environ())
	}
	return o, err
}

func (o copyOrder) run(ctx context.Context, stderr io.Writer) (done copying.Summary, err error) {
	from, err := o.from.source(ctx, o.config)
	if err != nil {
		return done, copyAdvice(fmt.Errorf("%s: %w", o.from, err))
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	to, err := o.to.sink(ctx, o.config)
	if err != nil {
		return done, copyAdvice(fmt.Errorf("%s: %w", o.to, err))
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	bar := newBar(stderr, isTerminal(stderr))
	done, err = copying.Run(ctx, from, to, bar.show)
	bar.end()
	if ctx.Err() != nil && err != nil {
		err = errors.New("interrupted; what arrived is kept")
	}
	err = copyAdvice(err)
	if err != nil && !errors.As(err, new(advised)) {
		err = advised{err, "give the same command again: it goes on where it was"}
	}
	return done, err
}

// copyAdvice adds to a refusal what to do about it.
func copyAdvice(err error) error {
	if _, differs := errors.AsType[copying.MismatchError](err); differs {
		return advised{err, "the destination is not used by any dlrloop. Empty it and copy anew, and let nobody use the source meanwhile"}
	}
	switch {
	case errors.Is(err, copying.ErrOccupied):
		return advised{err, "give a new folder, or a database without a store"}
	case errors.Is(err, copying.ErrOtherSource):
		return advised{err, "go on with the store that it was begun with, or empty the destination and copy anew"}
	case errors.Is(err, copying.ErrInUse):
		return advised{err, "stop every dlrloop that uses it, and give the same command again"}
	}
	return err
}

// copyTold is the summary as JSON.
type copyTold struct {
	From    string             `json:"from"`
	To      string             `json:"to"`
	Resumed bool               `json:"resumed"`
	Seconds float64            `json:"seconds"`
	Bytes   int64              `json:"bytes"`
	Kinds   map[string]copySum `json:"kinds"`
}

// copySum is what both stores have of a kind.
type copySum struct {
	Count    int    `json:"count"`
	Checksum string `json:"checksum"`
}

func (o copyOrder) told(done copying.Summary, took time.Duration) copyTold {
	t := copyTold{
		From: o.from.String(), To: o.to.String(), Resumed: done.Resumed, Seconds: took.Seconds(), Bytes: done.Moved.Bytes,
		Kinds: make(map[string]copySum),
	}
	for kind, sum := range done.Sums {
		t.Kinds[string(kind)] = copySum{sum.Count, hex.EncodeToString(sum.Bytes())}
	}
	return t
}

func (o copyOrder) tell(w io.Writer, done copying.Summary, took time.Duration) error {
	fmt.Fprintf(w, "copied and verified in %s: %s to %s\n", took.Round(time.Second/10), o.from, o.to)
	for _, kind := range copying.Kinds() {
		sum := done.Sums[kind]
		fmt.Fprintf(w, "  %-14s %10d   %x\n", kind, sum.Count, sum.Bytes()[:8])
	}
	_, err := fmt.Fprintln(w, "dlrloop can be started on the destination. The source is as it was; do not start dlrloop on both.")
	return err
}
