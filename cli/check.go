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
		Short: "Validate a configuration and summarize it",
		Long: `Check loads a configuration as serve does: the file, the DLRLOOP_ variables that override it, and the files
that hold the secrets. It prints every problem with its line, its key and what to do, or a summary of the
configuration if there is none. To test the directory of the store it creates a file there and removes it. It
makes no other change and no network call, and prints no secret.

Without FILE it loads the file in $DLRLOOP_CONFIG, or else config.yaml in the working directory.

Exit codes: 0 the configuration is valid, 2 it is not.`,
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
				printProblems(c.ErrOrStderr(), problems, "")
				fmt.Fprintf(c.ErrOrStderr(), "\n%s\n", count(len(problems), "problem"))
				return exit(exitUsage)
			case err != nil:
				return err
			}
			summarize(c.OutOrStdout(), loaded)
			printProblems(c.ErrOrStderr(), loaded.Warnings, "warning: ")
			return nil
		},
	}
}

// printProblems prints each problem of the configuration after prefix, such as "warning: ". If the problem has a line
// in the configuration file, it also prints that line, with ^ under the column of the problem.
func printProblems(w io.Writer, problems config.Problems, prefix string) {
	for _, p := range problems {
		fmt.Fprintf(w, "%s%s\n", prefix, p.Error())
		if p.Source != "" {
			fmt.Fprintf(w, "%5d | %s\n      | %s^\n", p.Line, p.Source, indent(p))
		}
	}
}

// indent returns the white space to print before the ^ that marks column p.Column of the line p.Source. Tabs stay tabs,
// so that the columns match. If p.Source ends before that column, because a secret in the line is masked, the ^ follows
// the end of p.Source.
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

// count returns a number with its noun, in the plural unless n is 1: "1 secret", "2 secrets", "2 batches".
func count(n int, noun string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case strings.HasSuffix(noun, "ch"):
		noun += "e"
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
