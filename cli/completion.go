package cli

import (
	"github.com/spf13/cobra"

	"github.com/dlrloop/dlrloop/config"
)

// completed makes shells complete the named flag: the function values returns the possible values. completed does
// nothing if the flag does not exist or already has a completion.
func completed(c *cobra.Command, name string, values cobra.CompletionFunc) {
	_ = c.RegisterFlagCompletionFunc(name, values) // fails only if the flag does not exist or has a completion
}

// choices makes shells complete the named flag with these values, and with nothing else.
func choices(c *cobra.Command, name string, values ...string) {
	completed(c, name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
}

// noFiles stops shells from offering file names as values of these flags.
func noFiles(c *cobra.Command, names ...string) {
	for _, name := range names {
		completed(c, name, cobra.NoFileCompletions)
	}
}

// completePlans makes shells complete the named flag with the plan ids in the configuration file at *path. If the
// configuration cannot be loaded, shells offer nothing.
func completePlans(c *cobra.Command, name string, path *string) {
	completed(c, name, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		loaded, err := config.Load(*path, environ())
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return planIDs(loaded), cobra.ShellCompDirectiveNoFileComp
	})
}
