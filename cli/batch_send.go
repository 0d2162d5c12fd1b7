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
		Long: `Send sends one batch, once: it is never repeated by itself, since Sinch would send every message again. What is not
right with it is told before anything is called. When no answer comes, or one that leaves it open, the batch may have been
sent all the same; a --client-reference of its own finds it then (dlrloop batch list --client-reference).

The message is made of the flags, or is the JSON body of Sinch's API from --file. With --json the answer is Sinch's batch,
one JSON document.

` + exitCodes,
		Example: `  dlrloop batch send --to +447700900133,+447700900166 --from Acme --body 'Hello' --delivery-report per_recipient --feedback
  dlrloop batch send --to +447700900133 --from Acme --body 'Hello ${name}' --param name:+447700900133=Ada --param name:default=you
  dlrloop batch send --to GROUP_ID --from Acme --body 'Sale ends tonight' --send-at 2026-03-02T18:00:00Z --expire-at 2026-03-02T22:00:00Z
  jq '.batch' order.json | dlrloop batch send --file -
  DLRLOOP_TOKEN=... dlrloop batch send --plan demo-plan --base-url http://127.0.0.1:9200 --to 447700900133 --from Acme --body Hello --json`,
		Args: cobra.NoArgs,
	}
	r, m := remoteFlags(c), messageFlags(c)
	m.toFlag(c)
	asJSON := jsonFlag(c, jsonOne)
	c.RunE = func(c *cobra.Command, _ []string) error {
		message, err := m.message(c.InOrStdin())
		if err != nil {
			return err
		}
		client, _, err := r.client()
		if err != nil {
			return err
		}
		b, err := client.Send(c.Context(), message)
		if err != nil {
			return mayBeSent(err, message.Common().ClientReference)
		}
		return showBatch(c.OutOrStdout(), b, *asJSON)
	}
	return c
}

func batchReplaceCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "replace ID",
		Short: "Put another message in place of a batch that has not left yet",
		Long: `Replace puts a message in place of a batch that is scheduled for later. The batch keeps its id; whatever the new message
leaves out falls back to its default, --delivery-report and --feedback included. To change single things, use update.

The message is made of the flags, or is the JSON body of Sinch's API from --file. With --json the answer is Sinch's batch,
one JSON document.

` + exitCodes,
		Example: `  dlrloop batch replace 01JHFFHQ0P99JPPNQPJDV7JTBP --to +447700900133 --from Acme --body 'Tomorrow, not today' --send-at 24h --feedback
  dlrloop batch replace 01JHFFHQ0P99JPPNQPJDV7JTBP --file message.json`,
		Args: cobra.ExactArgs(1), ValidArgsFunction: cobra.NoFileCompletions,
	}
	r, m := remoteFlags(c), messageFlags(c)
	m.toFlag(c)
	asJSON := jsonFlag(c, jsonOne)
	c.RunE = func(c *cobra.Command, args []string) error {
		message, err := m.message(c.InOrStdin())
		if err != nil {
			return err
		}
		client, _, err := r.client()
		if err != nil {
			return err
		}
		b, err := client.Replace(c.Context(), args[0], message)
		if err != nil {
			return advise(err)
		}
		return showBatch(c.OutOrStdout(), b, *asJSON)
	}
	return c
}

func batchDryRunCommand() *cobra.Command {
	var q sinch.DryRunQuery
	c := &cobra.Command{
		Use:   "dry-run",
		Short: "Tell how many messages a batch would be, without sending it",
		Long: `Dry-run asks Sinch how many recipients a message would go to and how many parts that makes. Nothing is sent and nothing
kept. With --json the answer is one JSON document.

` + exitCodes,
		Example: `  dlrloop batch dry-run --to +447700900133 --from Acme --body 'Hello ${name}' --param name:default=you --per-recipient
  dlrloop batch dry-run --file message.json --json`,
		Args: cobra.NoArgs,
	}
	r, m := remoteFlags(c), messageFlags(c)
	m.toFlag(c)
	c.Flags().BoolVar(&q.PerRecipient, "per-recipient", false, "also tell each recipient's text, parts and encoding")
	c.Flags().IntVar(&q.Recipients, "recipients", 0, "of how many `N` recipients --per-recipient tells, at most 1000 (default 100)")
	asJSON := jsonFlag(c, jsonOne)
	c.RunE = func(c *cobra.Command, _ []string) error {
		message, err := m.message(c.InOrStdin())
		if err != nil {
			return err
		}
		client, _, err := r.client()
		if err != nil {
			return err
		}
		d, err := client.DryRun(c.Context(), message, q)
		if err != nil {
			return advise(wrongFlag(err))
		}
		if *asJSON {
			return printJSON(c.OutOrStdout(), d)
		}
		return printDryRun(c.OutOrStdout(), d)
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

// showBatch prints a batch for a person or a program.
func showBatch(w io.Writer, b *sinch.Batch, asJSON bool) error {
	if asJSON {
		return printJSON(w, b)
	}
	return printBatch(w, b)
}
