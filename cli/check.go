package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dlrloop/dlrloop/config"
)

func checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check [FILE]",
		Short: "Tell whether a configuration is right, and what it makes dlrloop do",
		Long: `Check reads a configuration as serve would: the file, the DLRLOOP_ variables over it, and the files with the secrets. It
tells everything that is wrong with it, each problem with its line, its key and the way out; or, if nothing is, what
dlrloop would do. To try the store's folder it makes a file there, and removes it. It changes nothing else, calls nobody and
prints no secret.

Without FILE it reads $DLRLOOP_CONFIG, else config.yaml in the working directory.

Exit codes: 0 the configuration is right, 2 it is not.`,
		Example: `  dlrloop check config.yaml
  DLRLOOP_LOG_LEVEL=debug dlrloop check`,
		Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
		},
		RunE: func(c *cobra.Command, args []string) error {
			path := ""
			if len(args) > 0 {
				path = args[0]
			}
			loaded, err := config.Check(path, environ())
			var problems config.Problems
			switch {
			case errors.As(err, &problems):
				tell(c.ErrOrStderr(), problems, "")
				fmt.Fprintf(c.ErrOrStderr(), "\n%s\n", count(len(problems), "problem"))
				return exit(exitUsage)
			case err != nil:
				return err
			}
			summarize(c.OutOrStdout(), loaded)
			tell(c.ErrOrStderr(), loaded.Warnings, "warning: ")
			return nil
		},
	}
}

// tell prints problems, each with the line of the file where it is.
func tell(w io.Writer, problems config.Problems, prefix string) {
	for _, p := range problems {
		fmt.Fprintf(w, "%s%s\n", prefix, p.Error())
		if p.Source != "" {
			fmt.Fprintf(w, "%5d | %s\n      | %s^\n", p.Line, p.Source, indent(p))
		}
	}
}

// indent leads to the column of a problem, or to the end of a line that is cut short to hide a secret. Tabs stay tabs.
func indent(p config.Problem) string {
	line := []rune(p.Source)
	before := string(line[:min(max(p.Column-1, 0), len(line))])
	return strings.Map(func(r rune) rune {
		if r == '\t' {
			return r
		}
		return ' '
	}, before)
}

// count is the number with its noun, as in 1 secret or 2 secrets.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
