package cli

import "github.com/spf13/cobra"

// exitCodes ends the help of every command that calls somebody.
const exitCodes = "Exit codes: 0 done, 1 it failed, 2 wrong use or configuration: nothing was called."

func batchCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "batch",
		Short: "Send batches, and read, change and cancel them",
		Long: `Batch is Sinch's batch operations from the command line. They go to the plan of the configuration (--plan picks one of
several), with its region and credentials; or, without a configuration, to the --plan at a --region or --base-url, with the
token from --token-file or $DLRLOOP_TOKEN. A batch id that begins with a dash goes behind --.

` + exitCodes,
		Example: `  dlrloop batch send --to +447700900133 --from Acme --body 'Your parcel is here' --client-reference parcel/8a02
  dlrloop batch list --since 7d
  dlrloop batch get 01JHFFHQ0P99JPPNQPJDV7JTBP`,
	}
	group(c,
		batchSendCommand(),
		batchDryRunCommand(),
		batchListCommand(),
		batchGetCommand(),
		batchUpdateCommand(),
		batchReplaceCommand(),
		batchCancelCommand(),
	)
	return c
}
