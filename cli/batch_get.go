package cli

import "github.com/spf13/cobra"

func batchGetCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "get ID",
		Short: "Read one batch",
		Long: `Get reads a batch as Sinch keeps it, for 14 days. What became of its messages, dlrloop report get tells. With --json the
answer is Sinch's batch, one JSON document.

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
		Short: "Stop what has not left of a batch",
		Long: `Cancel stops a batch. What has left already is delivered; its reports tell which messages were stopped (code 407). It
may be repeated. With --json the answer is Sinch's batch, one JSON document.

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
