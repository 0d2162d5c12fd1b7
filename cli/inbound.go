package cli

import (
	"encoding/json"
	"io"
	"net/url"
	"time"

	"github.com/spf13/cobra"
)

func inboundCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "inbound",
		Short: "List and read inbound messages",
		Long: `Inbound lists and reads the inbound messages (MO) that a running dlrloop has stored: what phones sent to the
plan, such as STOP. It calls the private API.

` + exitCodes,
		Example: `  dlrloop inbound list --since 24h
  dlrloop inbound get 01KJQ7Q1X0STOP0000000000E5`,
	}
	group(c, inboundListCommand(), inboundGetCommand())
	return c
}

// inboundMessage is a message from a phone, as the private API returns it, with the fields that dlrloop inbound list
// prints.
type inboundMessage struct {
	Plan      string    `json:"plan"`
	ID        string    `json:"id"`
	Type      string    `json:"type"`
	From      string    `json:"from"`
	To        string    `json:"to"`
	Text      string    `json:"text"`
	ArrivedAt time.Time `json:"arrived_at"`
}

func inboundListCommand() *cobra.Command {
	var plan, number string
	var limit int
	c := &cobra.Command{
		Use:   "list",
		Short: "List inbound messages, newest first",
		Long: `List prints the inbound messages that a running dlrloop has stored, the newest first, each message once. With
--json each line is a message in the format of the API (NDJSON), with the callback as Sinch sent it.

` + exitCodes,
		Example: `  dlrloop inbound list --since 24h
  dlrloop inbound list --number +447700900133
  dlrloop inbound list --plan YOUR_SERVICE_PLAN_ID --json | jq -r .text`,
		Args: cobra.NoArgs,
	}
	flags := addAPIFlags(c)
	planFlag(c, &plan, flags.path, "only this service plan `ID` (default all)")
	c.Flags().StringVar(&number, "number", "", "only messages from or to this phone `NUMBER` or short code")
	noFiles(c, "number")
	since := pastFlag(c, "since", "only messages that arrived at or after")
	until := pastFlag(c, "until", "only messages that arrived before")
	limitFlag(c, &limit)
	asJSON := jsonFlag(c, jsonList)
	c.RunE = func(c *cobra.Command, _ []string) error {
		a, _, err := flags.api()
		if err != nil {
			return err
		}
		query := url.Values{}
		for name, value := range map[string]string{
			"plan": plan, "number": number, "from": clock(*since), "to": clock(*until),
		} {
			if value != "" {
				query.Set(name, value)
			}
		}
		return printList(c, items[inboundMessage](c.Context(), a, "/api/v1/inbound", query), limit, *asJSON,
			listing[item[inboundMessage]]{
				table: inboundTable, row: inboundRow, none: "no inbound messages",
				document: func(w io.Writer, m item[inboundMessage]) error { return printRaw(w, m.raw) },
			})
	}
	return c
}

func inboundTable(w io.Writer) *table {
	return newTable(w, "ID", "PLAN", "ARRIVED", "TYPE", "FROM", "TO", "TEXT")
}

func inboundRow(t *table, i item[inboundMessage]) {
	m := i.value
	t.row(m.ID, m.Plan, clock(m.ArrivedAt), m.Type, m.From, m.To, shortened(m.Text, 80))
}

func inboundGetCommand() *cobra.Command {
	var plan string
	c := &cobra.Command{
		Use:   "get ID",
		Short: "Print one inbound message",
		Long: `Get prints one inbound message as JSON, in the format of the private API, with the callback as Sinch sent it.

` + exitCodes,
		Example: `  dlrloop inbound get 01KJQ7Q1X0STOP0000000000E5
  dlrloop inbound get --plan YOUR_SERVICE_PLAN_ID 01KJQ7Q1X0STOP0000000000E5`,
		Args: exactlyOne("the id of one inbound message"),
	}
	flags := addAPIFlags(c)
	planFlag(c, &plan, flags.path, "service plan `ID` (default the only plan of the configuration)")
	c.RunE = func(c *cobra.Command, args []string) error {
		a, loaded, err := flags.api()
		if err != nil {
			return err
		}
		of, err := planOf(loaded, plan)
		if err != nil {
			return err
		}
		var raw json.RawMessage
		path := "/api/v1/plans/" + url.PathEscape(of) + "/inbound/" + url.PathEscape(args[0])
		if err := a.get(c.Context(), path, &raw); err != nil {
			return err
		}
		return printRaw(c.OutOrStdout(), raw)
	}
	return c
}
