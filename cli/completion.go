package cli

import (
	"github.com/spf13/cobra"

	"github.com/dlrloop/dlrloop/config"
)

// completed says how a shell completes a flag's value.
func completed(c *cobra.Command, name string, values cobra.CompletionFunc) {
	_ = c.RegisterFlagCompletionFunc(name, values) // fails only for a flag that is not there, or for a second time
}

// choices completes a flag that has a closed set of values.
func choices(c *cobra.Command, name string, values ...string) {
	completed(c, name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
}

// noFiles keeps shells from offering files for the values of these flags.
func noFiles(c *cobra.Command, names ...string) {
	for _, name := range names {
		completed(c, name, cobra.NoFileCompletions)
	}
}

// plans completes a flag with the plans of the configuration at path, if it can be read.
func plans(c *cobra.Command, name string, path *string) {
	completed(c, name, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		loaded, err := config.Load(*path, environ())
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return planIDs(loaded), cobra.ShellCompDirectiveNoFileComp
	})
}
