package cli

import "github.com/spf13/cobra"

func batchUpdateCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "update ID",
		Short: "Change single members of a batch that is not sent yet",
		Long: `Update changes the given members of a scheduled batch and leaves the others unchanged. --clear resets members
to their default. Sinch rejects changes of a batch that it is already sending.

The flags define the change, or --file holds the JSON body of Sinch's API. With --json the answer is the batch
in Sinch's format, one JSON document.

` + exitCodes,
		Example: `  dlrloop batch update 01JHFFHQ0P99JPPNQPJDV7JTBP --body 'An hour later' --send-at 2026-03-02T19:00:00Z
  dlrloop batch update 01JHFFHQ0P99JPPNQPJDV7JTBP --to-add +447700900199 --to-remove +447700900133,+447700900166
  dlrloop batch update 01JHFFHQ0P99JPPNQPJDV7JTBP --feedback=false --clear callback_url
  echo '{"expire_at": null}' | dlrloop batch update 01JHFFHQ0P99JPPNQPJDV7JTBP --file -`,
		Args: exactlyOne("one batch id"), ValidArgsFunction: cobra.NoFileCompletions,
	}
	flags, m := addSinchFlags(c), messageFlags(c)
	m.changeFlags(c)
	asJSON := jsonFlag(c, jsonOne)
	c.RunE = func(c *cobra.Command, args []string) error {
		u, err := m.update(c.InOrStdin())
		if err != nil {
			return err
		}
		client, _, err := flags.client()
		if err != nil {
			return err
		}
		b, err := client.Update(c.Context(), args[0], u)
		if err != nil {
			return advise(err)
		}
		return showBatch(c.OutOrStdout(), b, *asJSON)
	}
	return c
}
