package cli

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const commandsPage = "../docs/commands.md"

// TestTheCommandsPageMatchesTheHelp fails if docs/commands.md differs from the help texts. To update the page, run
// DLRLOOP_UPDATE=1 go test ./cli.
func TestTheCommandsPageMatchesTheHelp(t *testing.T) {
	root := rootCommand()
	root.InitDefaultCompletionCmd()
	var page strings.Builder
	fmt.Fprintf(&page, `# Commands

The output of `+"`dlrloop COMMAND --help`"+` for every command. This page is generated: change the help texts
in `+"`cli/`"+`.

%s

Every command that prints a list or an answer has `+"`--json`"+`. Times are in UTC. A flag overrides a variable,
and a variable overrides the configuration file ([configuration.md](configuration.md)). All commands have
three exit codes: 0 done, 1 the command failed, 2 invalid arguments or configuration, which a retry does not fix.

`, root.Long)
	leaves := visible(root)
	page.WriteString("| command | |\n|---|---|\n")
	for _, c := range leaves {
		fmt.Fprintf(&page, "| [`%s`](#%s) | %s |\n", c.CommandPath(), strings.ReplaceAll(c.CommandPath(), " ", "-"), c.Short)
	}
	for _, c := range leaves {
		section(&page, c)
	}
	if os.Getenv("DLRLOOP_UPDATE") != "" {
		require.NoError(t, os.WriteFile(commandsPage, []byte(page.String()), 0o644))
	}
	kept, err := os.ReadFile(commandsPage)
	require.NoError(t, err)
	require.Equal(t, page.String(), string(kept))
}

// visible returns all commands below c, each before its subcommands.
func visible(c *cobra.Command) []*cobra.Command {
	var all []*cobra.Command
	for _, below := range c.Commands() {
		if below.IsAvailableCommand() || below.HasAvailableSubCommands() {
			all = append(append(all, below), visible(below)...)
		}
	}
	return all
}

// section writes the help of a command as a section of the page.
func section(page *strings.Builder, c *cobra.Command) {
	about := c.Long
	if about == "" {
		about = c.Short + "."
	}
	fmt.Fprintf(page, "\n## %s\n\n%s\n", c.CommandPath(), strings.TrimSpace(about))
	if !c.HasAvailableSubCommands() {
		fmt.Fprintf(page, "\n```\n%s\n```\n", c.UseLine())
	}
	if c.HasExample() {
		fmt.Fprintf(page, "\n```sh\n%s\n```\n", strings.ReplaceAll(strings.TrimPrefix(c.Example, "  "), "\n  ", "\n"))
	}
	if flags := c.NonInheritedFlags().FlagUsages(); flags != "" {
		fmt.Fprintf(page, "\n```\n%s```\n", flags)
	}
}

func TestEveryCommandHasHelpWithAnExample(t *testing.T) {
	for _, c := range visible(rootCommand()) {
		assert.NotEmpty(t, c.Short, c.CommandPath())
		if c.Name() == "version" {
			continue // its short help is complete
		}
		assert.Contains(t, c.Long, "\n", c.CommandPath())
		assert.Contains(t, c.Example, c.CommandPath(), c.CommandPath())
		assert.True(t, strings.Contains(c.Long, "Exit codes: ") || strings.Contains(c.Long, "It exits with") ||
			strings.Contains(c.Long, "it exits with"),
			"%s must document its exit codes", c.CommandPath())
	}
}

// TestNoFlagCompletesFileNamesUnlessItTakesAFile checks that flags with other text values have a completion of their
// own.
func TestNoFlagCompletesFileNamesUnlessItTakesAFile(t *testing.T) {
	for _, c := range visible(rootCommand()) {
		if parent := c.Parent().Name(); parent != "batch" && parent != "feedback" && parent != "report" &&
			c.Name() != "reconcile" {
			continue
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			switch f.Value.Type() {
			case "bool", "int", "intSlice", "duration":
				return
			}
			_, completed := c.GetFlagCompletionFunc(f.Name)
			takesFile := f.Name == "config" || f.Name == "file" || f.Name == "token-file"
			assert.Equal(t, !takesFile, completed, "%s --%s", c.CommandPath(), f.Name)
		})
	}
}
