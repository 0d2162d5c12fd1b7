package cli

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dlrloop/dlrloop/dlr"
)

// forgetTimeout is the default of --timeout for dlrloop forget. A running dlrloop stops an erasure after one hour, so
// the command gets its answer before the timeout.
const forgetTimeout = 61 * time.Minute

// forgotten is the API's answer to a request that erases a phone number. It counts the recipients, reports, quarantined
// callbacks and events from which the number was removed, and the inbound messages that were deleted.
type forgotten struct {
	Recipients      int `json:"recipients"`
	Reports         int `json:"reports"`
	InboundMessages int `json:"inbound_messages"`
	Quarantined     int `json:"quarantined"`
	Events          int `json:"events"`
}

func forgetCommand() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:   "forget NUMBER",
		Short: "Erase a phone number from everything that dlrloop has stored",
		Long: `Forget erases a phone number from the store of a running dlrloop, for example when a person asks for it. A
random name takes the place of the number in each batch, so all counts stay as they are. Inbound messages from
and to the number are deleted, and delivery feedback that is still owed for it is not sent. This cannot be
undone. Without --yes the command only prints in how many batches and messages the number is, and exits with 1.

Reports that arrive later bring the number back, so run the command again a day after the last message to it.
Backups, logs of other programs and Sinch itself keep the number. With --json the answer is one JSON document:
how much was changed or deleted.

` + exitCodes,
		Example: `  dlrloop forget +447700900133
  dlrloop forget +447700900133 --yes`,
		Args: exactlyOne("one phone number"), ValidArgsFunction: cobra.NoFileCompletions,
	}
	flags := addAPIFlags(c)
	flags.timeout = forgetTimeout
	c.Flags().Lookup("timeout").DefValue = forgetTimeout.String()
	c.Flags().BoolVar(&yes, "yes", false, "erase the number")
	asJSON := jsonFlag(c, jsonOne)
	c.RunE = func(c *cobra.Command, args []string) error {
		if _, ok := dlr.MSISDN(args[0]); !ok {
			return usageError{errors.New("not a phone number; write it with 7 to 15 digits, such as +447700900133")}
		}
		a, _, err := flags.api()
		if err != nil {
			return err
		}
		if !yes {
			return refuseToForget(c, a, args[0])
		}
		var done forgotten
		if err := a.call(c.Context(), http.MethodDelete, numberPath(args[0]), "", nil, &done); err != nil {
			return err
		}
		if *asJSON {
			return printJSON(c.OutOrStdout(), done)
		}
		_, err = fmt.Fprintln(c.OutOrStdout(), done.text())
		return err
	}
	return c
}

// numberPath returns the path of a phone number in the private API.
func numberPath(number string) string { return "/api/v1/recipients" + escaped(number) }

// refuseToForget is for dlrloop forget without --yes, and erases nothing. It returns an error that says in how many
// batches and inbound messages the number is, and advises the user to set --yes.
func refuseToForget(c *cobra.Command, a *api, number string) error {
	batches, messages := 0, 0
	for _, err := range items[struct{}](c.Context(), a, numberPath(number), url.Values{}) {
		if err != nil {
			return err
		}
		batches++
	}
	for _, err := range items[struct{}](c.Context(), a, "/api/v1/inbound", url.Values{"number": {number}}) {
		if err != nil {
			return err
		}
		messages++
	}
	return advised{
		fmt.Errorf("nothing is erased yet: the number is in %s and %s", count(batches, "batch"),
			count(messages, "inbound message")),
		"run the command again with --yes; this cannot be undone",
	}
}

// text returns a line for people that says how many entries were erased, or that nothing was stored about the number.
func (f forgotten) text() string {
	if f == (forgotten{}) {
		return "nothing was stored about this number"
	}
	return "erased: " + strings.Join([]string{
		count(f.Recipients, "recipient"), count(f.Reports, "report"), count(f.InboundMessages, "inbound message"),
		count(f.Quarantined, "quarantined callback"), count(f.Events, "event"),
	}, ", ")
}
