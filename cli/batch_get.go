package cli

import "github.com/spf13/cobra"

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
		Args: cobra.ExactArgs(1), ValidArgsFunction: cobra.NoFileCompletions,
	}
	r := remoteFlags(c)
	asJSON := jsonFlag(c, jsonOne)
	c.RunE = func(c *cobra.Command, args []string) error {
		client, _, err := r.client()
		if err != nil {
			return err
		}
		b, err := client.GetBatch(c.Context(), args[0])
		if err != nil {
			return advise(err)
		}
		return showBatch(c.OutOrStdout(), b, *asJSON)
	}
	return c
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
		Args:    cobra.ExactArgs(1), ValidArgsFunction: cobra.NoFileCompletions,
	}
	r := remoteFlags(c)
	asJSON := jsonFlag(c, jsonOne)
	c.RunE = func(c *cobra.Command, args []string) error {
		client, _, err := r.client()
		if err != nil {
			return err
		}
		b, err := client.Cancel(c.Context(), args[0])
		if err != nil {
			return advise(err)
		}
		return showBatch(c.OutOrStdout(), b, *asJSON)
	}
	return c
}
