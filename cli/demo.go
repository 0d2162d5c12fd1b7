package cli

import (
	"errors"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/dlrloop/dlrloop/demo"
)

func demoCommand() *cobra.Command {
	var d demo.Config
	c := &cobra.Command{
		Use:   "demo",
		Short: "Run dlrloop with a simulated Sinch in one process, without an account",
		Long: `Demo starts dlrloop, a simulator of Sinch and a simulated application in one process, on free ports of this
machine and in a temporary directory. It sends batches of every report kind and prints what happens: reports that
arrive, duplicates, late reports, feedback calls, retries after upstream failures, and events that the application
accepts. It prints the addresses of the API and the metrics, and runs until Ctrl-C.

With --once it ends after a fixed scenario and prints a summary. It exits with 0 only if Sinch accepted
exactly the feedback that was owed, and the application got every event, signed and in order.`,
		Example: `  dlrloop demo
  dlrloop demo --once
  dlrloop demo --once --json | tail -n 1`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if d.JSON && !d.Once {
				return usageError{errors.New("--json needs --once")}
			}
			d.Out, d.Version = c.OutOrStdout(), Version()
			d.Color = os.Getenv("NO_COLOR") == "" && isTerminal(d.Out)
			return demo.Run(c.Context(), d)
		},
	}
	c.Flags().BoolVar(&d.Once, "once", false, "run a fixed scenario (about 15 seconds) and print a summary")
	c.Flags().BoolVar(&d.JSON, "json", false, "with --once: print the summary as a JSON object on the last line")
	c.Flags().Uint64Var(&d.Seed, "seed", 1, "seed of the simulated failures")
	return c
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
