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
		Short: "Send delivery feedback, and manage the feedback of a running dlrloop",
		Long: `Feedback send sends delivery feedback for a batch directly to Sinch. List and requeue manage the feedback that
a running dlrloop owes: pending feedback, and dead feedback that could not be sent.

` + exitCodes,
		Example: `  dlrloop feedback send 01JHFFHQ0P99JPPNQPJDV7JTBP --recipient +447700900133
  dlrloop feedback list --dead
  dlrloop feedback requeue --all`,
	}
	group(c, feedbackSendCommand(), feedbackListCommand(), feedbackRequeueCommand())
	return c
}

// confirmation says which recipients received a batch. It holds the values of --recipient, --file and --whole-batch. If
// --file is set, the method read sets recipients to the numbers in the file.
type confirmation struct {
	recipients []string
	file       string
	wholeBatch bool
}

func feedbackSendCommand() *cobra.Command {
	var who confirmation
	c := &cobra.Command{
		Use:   "send ID",
		Short: "Send delivery feedback for a batch to Sinch",
		Long: `Send confirms to Sinch that recipients received a batch. The batch must have been sent with --feedback
(feedback_enabled). The command may be repeated.

Name the recipients with --recipient or --file. A file holds one number a line, a table with one column of
numbers (CSV, as spreadsheets export it), a JSON list, or the JSON body of Sinch's API. A number in a file has
7 to 15 digits including the country code. A heading is optional: the first line is a heading if a cell is
phone, number, msisdn, recipient, mobile, to or the like. If an entry is not a phone number, the error names
its line and Sinch is not called.

For Sinch an empty list means every recipient, so an empty list is an error; use --whole-batch instead. More
than 1000 recipients take several calls. With --json the answer is one JSON document: batch_id, recipients,
whole_batch and calls.

` + exitCodes,
		Example: `  dlrloop feedback send 01JHFFHQ0P99JPPNQPJDV7JTBP --recipient +447700900133,+447700900166
  dlrloop feedback send 01JHFFHQ0P99JPPNQPJDV7JTBP --file confirmed.csv
  dlrloop feedback send 01JHFFHQ0P99JPPNQPJDV7JTBP --whole-batch`,
		Args: exactlyOne("one batch id"), ValidArgsFunction: cobra.NoFileCompletions,
	}
	flags := addSinchFlags(c)
	c.Flags().StringSliceVar(&who.recipients, "recipient", nil,
		"`NUMBERS` that received the batch, separated by commas; repeatable")
	c.Flags().StringVarP(&who.file, "file", "f", "", "`FILE` with the numbers, or - for standard input")
	c.Flags().BoolVar(&who.wholeBatch, "whole-batch", false, "every recipient received the batch")
	noFiles(c, "recipient")
	asJSON := jsonFlag(c, jsonOne)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := who.read(c); err != nil {
			return usageError{err}
		}
		client, _, err := flags.client()
		if err != nil {
			return err
		}
		sent := feedbackResult{BatchID: args[0], WholeBatch: who.wholeBatch}
		if who.wholeBatch {
			sent.Calls = 1
			err = client.FeedbackWholeBatch(c.Context(), args[0])
		}
		for chunk := range slices.Chunk(who.recipients, sinch.MaxRecipients) {
			if err = client.Feedback(c.Context(), args[0], chunk); err != nil {
				break
			}
			sent.Recipients += len(chunk)
			sent.Calls++
		}
		if err != nil && sent.Recipients > 0 {
			err = fmt.Errorf("%d of %d recipients were accepted before this error: %w", sent.Recipients, len(who.recipients),
				err)
		}
		if err != nil {
			return advise(err)
		}
		return sent.print(c.OutOrStdout(), *asJSON)
	}
	return c
}

// read sets w.recipients to the numbers in --recipient or --file, without duplicates. It returns an error unless
// exactly one of --recipient, --file and --whole-batch is set. An invalid number or an empty list is also an error.
func (w *confirmation) read(c *cobra.Command) error {
	set := 0
	for _, name := range []string{"recipient", "file", "whole-batch"} {
		if c.Flags().Changed(name) {
			set++
		}
	}
	if set != 1 {
		return errors.New("set exactly one of --recipient, --file and --whole-batch")
	}
	if w.wholeBatch {
		return nil
	}
	flag := "--recipient"
	var err error
	if w.file != "" {
		flag = "--file"
		var content []byte
		if content, err = readInput(w.file, c.InOrStdin()); err == nil {
			w.recipients, err = parseRecipients(content)
		}
	} else {
		w.recipients, err = checkRecipients(w.recipients)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", flag, err)
	}
	if len(w.recipients) == 0 {
		return fmt.Errorf("%s has no number, and for Sinch an empty list means every recipient; use --whole-batch for "+
			"that", flag)
	}
	w.recipients = eachOnce(w.recipients)
	return nil
}

// eachOnce returns numbers without duplicates, in the order of their first occurrence.
func eachOnce(numbers []string) (once []string) {
	seen := make(map[string]bool, len(numbers))
	for _, number := range numbers {
		if !seen[number] {
			once, seen[number] = append(once, number), true
		}
	}
	return once
}

// feedbackResult is the JSON that dlrloop feedback send --json prints: the batch, the number of accepted recipients,
// and the number of calls to Sinch.
type feedbackResult struct {
	BatchID    string `json:"batch_id"`
	Recipients int    `json:"recipients"`
	WholeBatch bool   `json:"whole_batch"`
	Calls      int    `json:"calls"`
}

func (f feedbackResult) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return printJSON(w, f)
	}
	who := count(f.Recipients, "recipient") + " of"
	if f.WholeBatch {
		who = "the whole"
	}
	_, err := fmt.Fprintf(w, "Sinch accepted the feedback for %s batch %s\n", who, printable(f.BatchID))
	return err
}
