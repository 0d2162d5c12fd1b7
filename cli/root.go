// Package cli implements the commands of dlrloop: their flags, output and exit codes.
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
)

// The exit codes of a failed command. After exitUsage a supervisor such as systemd should not restart the process,
// because it would fail again.
const (
	exitFailed = 1
	exitUsage  = 2 // invalid arguments or configuration
)

func commands() []*cobra.Command {
	return []*cobra.Command{
		batchCommand(),
		checkCommand(),
		copyCommand(),
		demoCommand(),
		destinationCommand(),
		explainCommand(),
		feedbackCommand(),
		forgetCommand(),
		healthcheckCommand(),
		inboundCommand(),
		migrateCommand(),
		reconcileCommand(),
		reportCommand(),
		serveCommand(),
		simulateCommand(),
		tailCommand(),
		versionCommand(),
	}
}

// Main runs the command that os.Args names and returns the exit code for the process. It blocks until the command is
// done or stopped by SIGINT or SIGTERM. A second signal ends the process at once.
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
		fmt.Fprintln(stderr, `dlrloop: invalid configuration; "dlrloop check" shows the lines`)
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

// exit is an error that only sets the exit code. A command that has already printed what is wrong returns it.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// usageError is an error in the arguments or flags of a command. The process then exits with exitUsage instead of
// exitFailed.
type usageError struct{ error }

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "dlrloop",
		Short: "Receive, store and count delivery reports of the Sinch SMS REST API, and send delivery feedback",
		Long: `dlrloop is the webhook that Sinch calls with delivery reports. It acknowledges a report only when the report
is safely on disk, stores the state of every batch and recipient, counts every status for Prometheus, sends
delivery feedback, and tells your application of each change. Its commands also send, read and change
batches, and find reports that never arrived.`,
		Example: `  dlrloop demo --once                    # try it without an account
  dlrloop check config.yaml              # validate the configuration
  dlrloop serve --config config.yaml
  dlrloop tail                           # watch what happens
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

// group adds subcommands to c, which does nothing itself. Without a subcommand, c prints its help. An unknown
// subcommand is an error; by default cobra would print the help and exit with 0.
func group(c *cobra.Command, commands ...*cobra.Command) {
	c.AddCommand(commands...)
	c.DisableFlagsInUseLine = true
	c.Args = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		c.SuggestionsMinimumDistance = 2
		err := fmt.Errorf("unknown command %q for %q", args[0], c.CommandPath())
		if meant := c.SuggestionsFor(args[0]); len(meant) > 0 {
			err = fmt.Errorf("%w; did you mean %s?", err, strings.Join(meant, " or "))
		}
		return err
	}
	c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
}

// exactlyOne returns an argument check for a command with exactly one argument. If there is not exactly one, the text
// of the error is "name " and what, such as "name one batch id".
func exactlyOne(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return errors.New("name " + what)
		}
		return nil
	}
}

// configFlag adds --config to a command. Cobra sets the returned value when it parses the flag; the default is "".
func configFlag(c *cobra.Command) *string {
	path := c.Flags().StringP("config", "c", "", "configuration `FILE` (default $DLRLOOP_CONFIG, or config.yaml "+
		"in the working directory)")
	_ = c.MarkFlagFilename("config", "yaml", "yml") // fails only if the flag does not exist
	return path
}
