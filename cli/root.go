// Package cli is the commands: what a person or a supervisor starts, what it prints, and how it exits.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/dlrloop/dlrloop/config"
	"github.com/dlrloop/dlrloop/store/pgstore"
)

// The exit codes. A supervisor need not start again what ended with exitUsage: no restart mends it.
const (
	exitFailed = 1
	exitUsage  = 2 // wrong arguments or configuration
)

// commands are all commands in the order of the alphabet.
func commands() []*cobra.Command {
	return []*cobra.Command{
		batchCommand(),
		checkCommand(),
		copyCommand(),
		demoCommand(),
		feedbackCommand(),
		healthcheckCommand(),
		migrateCommand(),
		reconcileCommand(),
		reportCommand(),
		serveCommand(),
		simulateCommand(),
		versionCommand(),
	}
}

// Main runs the command that the process was started with until it is done, or until SIGINT or SIGTERM ends it, and
// returns the exit code. A second signal ends the process at once.
func Main() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	return run(ctx, os.Args[1:], os.Stdout, os.Stderr)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	started := false
	root := rootCommand()
	root.PersistentPreRun = func(*cobra.Command, []string) { started = true }
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)

	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	var silent exit
	if errors.As(err, &silent) {
		return int(silent)
	}
	var problems config.Problems
	switch {
	case errors.As(err, &problems):
		fmt.Fprintln(stderr, err)
		fmt.Fprintln(stderr, `dlrloop: the configuration is wrong; "dlrloop check" shows the lines`)
		return exitUsage
	case errors.Is(err, pgstore.ErrURL): // what the check of the configuration does not know of
		fmt.Fprintf(stderr, "dlrloop: %s\n", err)
		return exitUsage
	case !started || errors.As(err, new(usageError)):
		fmt.Fprintf(stderr, "dlrloop: %s\nSee \"%s --help\".\n", err, command.CommandPath())
		return exitUsage
	default:
		fmt.Fprintf(stderr, "dlrloop: %s\n", err)
		if a, ok := errors.AsType[advised](err); ok {
			fmt.Fprintf(stderr, "What to do: %s\n", a.advice)
		}
		return exitFailed
	}
}

// exit is an error that says no more than the exit code: the command has told the rest.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// usageError is an error in what the command was given.
type usageError struct{ error }

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "dlrloop",
		Short: "Delivery reports of the Sinch SMS REST API: received, kept, counted, answered with delivery feedback",
		Long: `dlrloop stands at the webhook URL that Sinch calls with delivery reports. It answers only when a report is safely on disk,
keeps the state of every batch and recipient, counts every status for Prometheus, and sends the delivery feedback on. From
the command line it sends, reads and changes batches, and finds the reports that never arrived.`,
		Example: `  dlrloop demo --once                    # see it work, without an account
  dlrloop check config.yaml              # is the configuration right?
  dlrloop serve --config config.yaml
  dlrloop batch send --to +447700900133 --from Acme --body Hello
  dlrloop reconcile --since 48h --wait 5m`,
		Version:       Version(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	root.AddCommand(commands()...)
	return root
}

// group makes c a command that only holds others. Unlike cobra, which would show the help and succeed, it refuses one that it
// does not have.
func group(c *cobra.Command, commands ...*cobra.Command) {
	c.AddCommand(commands...)
	c.DisableFlagsInUseLine = true
	c.Args = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		c.SuggestionsMinimumDistance = 2
		told := fmt.Errorf("unknown command %q for %q", args[0], c.CommandPath())
		if meant := c.SuggestionsFor(args[0]); len(meant) > 0 {
			told = fmt.Errorf("%w; did you mean %s?", told, strings.Join(meant, " or "))
		}
		return told
	}
	c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
}

// configFlag adds --config to a command.
func configFlag(c *cobra.Command) *string {
	path := c.Flags().StringP("config", "c", "", "configuration `FILE`; else $DLRLOOP_CONFIG, else config.yaml here")
	_ = c.MarkFlagFilename("config", "yaml", "yml") // fails only for a flag that is not there
	return path
}
