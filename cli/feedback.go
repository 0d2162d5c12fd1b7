package cli

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/dlrloop/dlrloop/sinch"
)

func feedbackCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "feedback",
		Short: "Send delivery feedback, and look after what dlrloop owes",
		Long: `Feedback send tells Sinch yourself who received a batch. List and requeue are about the feedback that a running dlrloop
owes by itself: what waits, and what is dead since it could not be sent.

` + exitCodes,
		Example: `  dlrloop feedback send 01JHFFHQ0P99JPPNQPJDV7JTBP --recipient +447700900133
  dlrloop feedback list --dead
  dlrloop feedback requeue --all`,
	}
	group(c, feedbackSendCommand(), feedbackListCommand(), feedbackRequeueCommand())
	return c
}

// confirmation is who received a batch, as the flags say.
type confirmation struct {
	recipients []string
	file       string
	everyone   bool
}

func feedbackSendCommand() *cobra.Command {
	var who confirmation
	c := &cobra.Command{
		Use:   "send ID",
		Short: "Tell Sinch who received a batch",
		Long: `Send tells Sinch that recipients of a batch received it. The batch must have been sent with --feedback
(feedback_enabled). It may be repeated.

The recipients are named by --recipient, or by --file: one number a line, a table with one column of numbers (CSV, as spreadsheets
export it), a JSON list, or the JSON body of Sinch's API. A number in a file has 7 to 15 digits with its country code. A heading
is optional: the first line is one if a cell says phone, number, msisdn, recipient, mobile, to or the like. If any entry is not understood, its line is named and Sinch is not called.
Sinch takes an empty list for everybody, so an empty list is refused; --everyone says that. More than 1000 recipients become several calls.
With --json the answer is one JSON document: batch_id, recipients, everyone and calls.

` + exitCodes,
		Example: `  dlrloop feedback send 01JHFFHQ0P99JPPNQPJDV7JTBP --recipient +447700900133,+447700900166
  dlrloop feedback send 01JHFFHQ0P99JPPNQPJDV7JTBP --file confirmed.csv
  dlrloop feedback send 01JHFFHQ0P99JPPNQPJDV7JTBP --everyone`,
		Args: cobra.ExactArgs(1), ValidArgsFunction: cobra.NoFileCompletions,
	}
	r := remoteFlags(c)
	c.Flags().StringSliceVar(&who.recipients, "recipient", nil, "`NUMBERS` that received it, between commas; repeatable")
	c.Flags().StringVarP(&who.file, "file", "f", "", "`FILE` with the numbers, or - for standard input")
	c.Flags().BoolVar(&who.everyone, "everyone", false, "each recipient of the batch received it")
	noFiles(c, "recipient")
	asJSON := jsonFlag(c, jsonOne)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := who.read(c); err != nil {
			return usageError{err}
		}
		client, _, err := r.client()
		if err != nil {
			return err
		}
		told := feedbackTold{BatchID: args[0], Everyone: who.everyone}
		if who.everyone {
			told.Calls = 1
			err = client.FeedbackEveryone(c.Context(), args[0])
		}
		for chunk := range slices.Chunk(who.recipients, sinch.MaxRecipients) {
			if err = client.Feedback(c.Context(), args[0], chunk); err != nil {
				break
			}
			told.Recipients += len(chunk)
			told.Calls++
		}
		if err != nil && told.Recipients > 0 {
			err = fmt.Errorf("%d of %d recipients were accepted before this: %w", told.Recipients, len(who.recipients), err)
		}
		if err != nil {
			return advise(err)
		}
		return told.print(c.OutOrStdout(), *asJSON)
	}
	return c
}

// read takes over the numbers of the file, and wants exactly one way to say who.
func (w *confirmation) read(c *cobra.Command) error {
	ways := 0
	for _, name := range []string{"recipient", "file", "everyone"} {
		if c.Flags().Changed(name) {
			ways++
		}
	}
	if ways != 1 {
		return errors.New("who received it? give one of --recipient, --file and --everyone")
	}
	if w.everyone {
		return nil
	}
	named := "--recipient"
	var err error
	if w.file != "" {
		named = "--file"
		var content []byte
		if content, err = readInput(w.file, c.InOrStdin()); err == nil {
			w.recipients, err = parseRecipients(content)
		}
	} else {
		w.recipients, err = checkRecipients(w.recipients)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", named, err)
	}
	if len(w.recipients) == 0 {
		return fmt.Errorf("%s has no number, and Sinch takes an empty list for everybody; say --everyone if that is meant", named)
	}
	w.recipients = eachOnce(w.recipients)
	return nil
}

// eachOnce drops what stands in a list before.
func eachOnce(numbers []string) (once []string) {
	seen := make(map[string]bool, len(numbers))
	for _, number := range numbers {
		if !seen[number] {
			once, seen[number] = append(once, number), true
		}
	}
	return once
}

// feedbackTold is what was told to Sinch.
type feedbackTold struct {
	BatchID    string `json:"batch_id"`
	Recipients int    `json:"recipients"`
	Everyone   bool   `json:"everyone"`
	Calls      int    `json:"calls"`
}

func (f feedbackTold) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return printJSON(w, f)
	}
	who := count(f.Recipients, "recipient")
	if f.Everyone {
		who = "everyone"
	}
	_, err := fmt.Fprintf(w, "Sinch accepted the feedback for %s of batch %s\n", who, printable(f.BatchID))
	return err
}
