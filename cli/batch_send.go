package cli

import (
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/dlrloop/dlrloop/sinch"
)

func batchSendCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "send",
		Short: "Send a message to up to 1000 numbers and groups",
		Long: `Send sends one batch, once: it does not retry, because Sinch would send every message again. It validates the
message before the call. If the answer is missing or unclear, the batch may have been sent nevertheless; a
unique --client-reference then finds it (dlrloop batch list --client-reference).

The flags define the message, or --file holds the JSON body of Sinch's API. With --json the answer is the
batch in Sinch's format, one JSON document.

` + exitCodes,
		Example: `  dlrloop batch send --to +447700900133,+447700900166 --from Acme --body 'Hello' \
    --delivery-report per_recipient --feedback
  dlrloop batch send --to +447700900133 --from Acme --body 'Hello ${name}' \
    --param name:+447700900133=Ada --param name:default=you
  dlrloop batch send --to GROUP_ID --from Acme --body 'Sale ends tonight' \
    --send-at 2026-03-02T18:00:00Z --expire-at 2026-03-02T22:00:00Z
  jq '.batch' order.json | dlrloop batch send --file -
  DLRLOOP_TOKEN=... dlrloop batch send --plan demo-plan --base-url http://127.0.0.1:9200 \
    --to 447700900133 --from Acme --body Hello --json`,
		Args: cobra.NoArgs,
	}
	asJSON := jsonFlag(c, jsonOne)
	return messageCall(c, func(c *cobra.Command, _ []string, client *sinch.Client, message sinch.Message) error {
		b, err := client.Send(c.Context(), message)
		if err != nil {
			return adviseSend(err, message.Common().ClientReference)
		}
		return showBatch(c.OutOrStdout(), b, *asJSON)
	})
}

func batchReplaceCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "replace ID",
		Short: "Replace the message of a batch that is not sent yet",
		Long: `Replace replaces the message of a scheduled batch, which keeps its id. Everything that the new message leaves
out gets its default, including --delivery-report and --feedback. Use update to change single members.

The flags define the message, or --file holds the JSON body of Sinch's API. With --json the answer is the
batch in Sinch's format, one JSON document.

` + exitCodes,
		Example: `  dlrloop batch replace 01JHFFHQ0P99JPPNQPJDV7JTBP --to +447700900133 --from Acme \
    --body 'Tomorrow, not today' --send-at 24h --feedback
  dlrloop batch replace 01JHFFHQ0P99JPPNQPJDV7JTBP --file message.json`,
		Args: exactlyOne("one batch id"), ValidArgsFunction: cobra.NoFileCompletions,
	}
	asJSON := jsonFlag(c, jsonOne)
	return messageCall(c, func(c *cobra.Command, args []string, client *sinch.Client, message sinch.Message) error {
		b, err := client.Replace(c.Context(), args[0], message)
		if err != nil {
			return advise(err)
		}
		return showBatch(c.OutOrStdout(), b, *asJSON)
	})
}

func batchDryRunCommand() *cobra.Command {
	var q sinch.DryRunQuery
	c := &cobra.Command{
		Use:   "dry-run",
		Short: "Count the recipients and message parts of a batch without sending it",
		Long: `Dry-run has Sinch count the recipients and the message parts of a batch. Nothing is sent or stored. With
--json the answer is one JSON document.

` + exitCodes,
		Example: `  dlrloop batch dry-run --to +447700900133 --from Acme --body 'Hello ${name}' \
    --param name:default=you --per-recipient
  dlrloop batch dry-run --file message.json --json`,
		Args: cobra.NoArgs,
	}
	c.Flags().BoolVar(&q.PerRecipient, "per-recipient", false, "also print each recipient's text, parts and encoding")
	c.Flags().IntVar(&q.Recipients, "recipients", 0, "maximum number `N` of recipients that --per-recipient "+
		"prints, up to 1000 (default 100)")
	asJSON := jsonFlag(c, jsonOne)
	return messageCall(c, func(c *cobra.Command, _ []string, client *sinch.Client, message sinch.Message) error {
		d, err := client.DryRun(c.Context(), message, q)
		if err != nil {
			return advise(flagError(err))
		}
		if *asJSON {
			return printJSON(c.OutOrStdout(), d)
		}
		return printDryRun(c.OutOrStdout(), d)
	})
}

// messageCall adds flags and a RunE function to c, a command with a message to send, and returns c. The flags define
// the message or select a service plan. RunE builds and validates the message, makes a Sinch client, and calls the
// function call with the client and the message.
func messageCall(
	c *cobra.Command, call func(*cobra.Command, []string, *sinch.Client, sinch.Message) error,
) *cobra.Command {
	flags, m := addSinchFlags(c), messageFlags(c)
	m.toFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		message, err := m.message(c.InOrStdin())
		if err != nil {
			return err
		}
		client, _, err := flags.client()
		if err != nil {
			return err
		}
		return call(c, args, client, message)
	}
	return c
}

func printDryRun(w io.Writer, d *sinch.DryRun) error {
	fmt.Fprintf(w, "%s to %s; nothing was sent\n", count(d.Messages, "message"), count(d.Recipients, "recipient"))
	if len(d.PerRecipient) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	t := newTable(w, "RECIPIENT", "PARTS", "ENCODING", "BODY")
	for _, r := range d.PerRecipient {
		t.row(r.Recipient, strconv.Itoa(r.Parts), r.Encoding, shortened(r.Body, 80))
	}
	return t.print("")
}

// showBatch prints a batch: as one JSON document if asJSON is true, otherwise as a list of names and values.
func showBatch(w io.Writer, b *sinch.Batch, asJSON bool) error {
	if asJSON {
		return printJSON(w, b)
	}
	return printBatch(w, b)
}
