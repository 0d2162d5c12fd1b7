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

// TestTheCommandsPageSaysWhatTheHelpSays fails when docs/commands.md is older than the commands. Write it anew with:
// DLRLOOP_TEST_UPDATE=1 go test ./cli -run CommandsPage
func TestTheCommandsPageSaysWhatTheHelpSays(t *testing.T) {
	root := rootCommand()
	root.InitDefaultCompletionCmd()
	var page strings.Builder
	fmt.Fprintf(&page, `# Commands

What `+"`dlrloop COMMAND --help`"+` says, of every command. This page is written from it: change the help in `+"`cli/`"+`.

%s

Every command that prints a list or an answer has `+"`--json`"+`. Times are UTC. A flag stands over a variable, a variable over the
configuration ([configuration.md](configuration.md)). All commands end with one of three exit codes: 0 done, 1 it failed, 2
wrong use or configuration, which no repetition mends.

`, root.Long)
	leaves := visible(root)
	page.WriteString("| command | |\n|---|---|\n")
	for _, c := range leaves {
		fmt.Fprintf(&page, "| [`%s`](#%s) | %s |\n", c.CommandPath(), strings.ReplaceAll(c.CommandPath(), " ", "-"), c.Short)
	}
	for _, c := range leaves {
		section(&page, c)
	}
	if os.Getenv("DLRLOOP_TEST_UPDATE") != "" {
		require.NoError(t, os.WriteFile(commandsPage, []byte(page.String()), 0o644))
	}
	kept, err := os.ReadFile(commandsPage)
	require.NoError(t, err)
	require.Equal(t, page.String(), string(kept))
}

// visible are the commands below c, each before its own.
func visible(c *cobra.Command) []*cobra.Command {
	var all []*cobra.Command
	for _, below := range c.Commands() {
		if below.IsAvailableCommand() || below.HasAvailableSubCommands() {
			all = append(append(all, below), visible(below)...)
		}
	}
	return all
}

// section writes a command as its help does.
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
			continue // its first line says all
		}
		assert.Contains(t, c.Long, "\n", c.CommandPath())
		assert.Contains(t, c.Example, c.CommandPath(), c.CommandPath())
		assert.True(t, strings.Contains(c.Long, "Exit codes: ") || strings.Contains(c.Long, "It exits with") || strings.Contains(c.Long, "it exits with"),
			"%s says how it exits", c.CommandPath())
	}
}

// A flag that takes neither a file nor a number says what it takes, so that a shell does not offer files for it.
func TestNoFlagOffersFilesWhereItTakesNone(t *testing.T) {
	for _, c := range visible(rootCommand()) {
		if parent := c.Parent().Name(); parent != "batch" && parent != "feedback" && parent != "report" && c.Name() != "reconcile" {
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
