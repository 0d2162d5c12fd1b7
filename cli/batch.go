package cli

import "github.com/spf13/cobra"

// exitCodes explains the exit codes to the user. It is the last paragraph of the help of every command that calls Sinch
// or a running dlrloop.
const exitCodes = "Exit codes: 0 done, 1 the command failed, 2 invalid arguments or configuration; nothing was called."

func batchCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "batch",
		Short: "Send, read, change and cancel batches",
		Long: `Batch calls the batch operations of Sinch's API. It uses a plan of the configuration (--plan selects one of
several) with its region and credentials. Without a configuration it uses --plan at --region or --base-url,
with the token from --token-file or $DLRLOOP_TOKEN. Write -- before a batch id that begins with a dash.

` + exitCodes,
		Example: `  dlrloop batch send --to +447700900133 --from Acme --body 'Your parcel is here' \
    --client-reference parcel/8a02
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
