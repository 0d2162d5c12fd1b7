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
		Short: "See it work: dlrloop and a simulated Sinch in one process, without an account",
		Long: `Demo starts dlrloop and a simulator of Sinch in one process, on free ports of this machine and in a temporary folder, sends
batches of every report kind, and tells what happens: reports coming in, repeats absorbed, reports overtaken by earlier
ones, feedback going out, upstream failures being retried. It prints the addresses of the API and the metrics, and goes on
until Ctrl-C.

With --once it tells the story to its end and sums it up; it exits with 0 only if the feedback that Sinch accepted is
exactly what it was owed.`,
		Example: `  dlrloop demo
  dlrloop demo --once
  dlrloop demo --once --json | tail -n 1`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if d.JSON && !d.Once {
				return usageError{errors.New("--json sums up a story that ends: use it with --once")}
			}
			d.Out, d.Version = c.OutOrStdout(), Version()
			d.Color = os.Getenv("NO_COLOR") == "" && isTerminal(d.Out)
			return demo.Run(c.Context(), d)
		},
	}
	c.Flags().BoolVar(&d.Once, "once", false, "tell the story to its end (about 15 seconds) and sum it up")
	c.Flags().BoolVar(&d.JSON, "json", false, "with --once: the last line is the summary as a JSON object")
	c.Flags().Uint64Var(&d.Seed, "seed", 1, "what decides the bad days of the simulated Sinch")
	return c
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
