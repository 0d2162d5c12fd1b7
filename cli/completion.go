package cli

import (
	"github.com/spf13/cobra"

	"github.com/dlrloop/dlrloop/config"
)

// completed sets the shell completion of the flag with this name: the function values returns what the shell offers.
func completed(c *cobra.Command, name string, values cobra.CompletionFunc) {
	_ = c.RegisterFlagCompletionFunc(name, values) // fails only if the flag does not exist or has a completion
}

// choices makes shells complete the flag with these values, and with nothing else.
func choices(c *cobra.Command, name string, values ...string) {
	completed(c, name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
}

// noFiles stops shells from completing the values of these flags with file names.
func noFiles(c *cobra.Command, names ...string) {
	for _, name := range names {
		completed(c, name, cobra.NoFileCompletions)
	}
}

// plans makes shells complete the flag with the plan ids of the configuration at *path, if that can be loaded.
func plans(c *cobra.Command, name string, path *string) {
	completed(c, name, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		loaded, err := config.Load(*path, environ())
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return planIDs(loaded), cobra.ShellCompDirectiveNoFileComp
	})
}
