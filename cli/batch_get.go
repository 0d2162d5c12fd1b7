package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/dlrloop/dlrloop/sinch"
)

func batchGetCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "get ID",
		Short: "Read one batch",
		Long: `Get reads a batch from Sinch, which keeps it for 14 days. For delivery results use dlrloop report get. With
--json the answer is the batch in Sinch's format, one JSON document.

` + exitCodes,
		Example: `  dlrloop batch get 01JHFFHQ0P99JPPNQPJDV7JTBP
  dlrloop batch get 01JHFFHQ0P99JPPNQPJDV7JTBP --json | jq .to
  dlrloop batch get -- -mbA7z9wDKY76ag`,
		Args: exactlyOne("one batch id"), ValidArgsFunction: cobra.NoFileCompletions,
	}
	return batchCall(c, (*sinch.Client).GetBatch)
}

func batchCancelCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "cancel ID",
		Short: "Cancel the messages of a batch that are not sent yet",
		Long: `Cancel cancels a batch. Messages that are already sent are still delivered; the reports of canceled messages
have code 407. The command may be repeated. With --json the answer is the batch in Sinch's format, one JSON
document.

` + exitCodes,
		Example: `  dlrloop batch cancel 01JHFFHQ0P99JPPNQPJDV7JTBP`,
		Args:    exactlyOne("one batch id"), ValidArgsFunction: cobra.NoFileCompletions,
	}
	return batchCall(c, (*sinch.Client).Cancel)
}

// batchCall adds flags and a RunE function to c, a command whose argument is a batch id, and returns c. The flags are
// --json and those that select a service plan. RunE calls the function call, a method of the Sinch client, with the
// batch id, and prints the batch that the method returns.
func batchCall(
	c *cobra.Command, call func(*sinch.Client, context.Context, string) (*sinch.Batch, error),
) *cobra.Command {
	flags, asJSON := addSinchFlags(c), jsonFlag(c, jsonOne)
	c.RunE = flags.run(func(c *cobra.Command, args []string, client *sinch.Client) error {
		b, err := call(client, c.Context(), args[0])
		if err != nil {
			return advise(err)
		}
		return showBatch(c.OutOrStdout(), b, *asJSON)
	})
	return c
}
