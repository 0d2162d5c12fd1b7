package cli

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dlrloop/dlrloop/dlr"
	"github.com/dlrloop/dlrloop/sinch"
)

func reportCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "report",
		Short: "Read delivery reports from Sinch",
		Long: `Report reads delivery reports from Sinch, including reports that never reached the webhook. The reports
recorded by dlrloop are in its API. The commands use a plan of the configuration (--plan selects one of
several), or --plan at --region or --base-url.

` + exitCodes,
		Example: `  dlrloop report get 01JHFFHQ0P99JPPNQPJDV7JTBP --full
  dlrloop report list --since 2h --status failed,expired`,
	}
	group(c, reportGetCommand(), reportListCommand())
	return c
}

// statusFilter holds the values of --status and --code, which select the reports to read.
type statusFilter struct {
	statuses []string
	codes    []int
}

func addStatusFlags(c *cobra.Command) *statusFilter {
	s := &statusFilter{}
	c.Flags().StringSliceVar(&s.statuses, "status", nil,
		"only these `STATUSES`, in upper or lower case, separated by commas; repeatable")
	c.Flags().IntSliceVar(&s.codes, "code", nil, "only these `CODES`, separated by commas; repeatable")
	var names []string
	for _, status := range dlr.Statuses() {
		names = append(names, string(status))
	}
	choices(c, "status", names...)
	noFiles(c, "code")
	return s
}

// wanted returns the values of --status in Sinch's spelling, such as Delivered. It returns nil if --status is not set.
func (s *statusFilter) wanted() []dlr.Status {
	var wanted []dlr.Status
	for _, status := range s.statuses {
		wanted = append(wanted, dlr.ParseStatus(status))
	}
	return wanted
}

func reportGetCommand() *cobra.Command {
	var full bool
	var recipient string
	c := &cobra.Command{
		Use:   "get ID",
		Short: "Read the report of a batch, or of one of its recipients",
		Long: `Get reads the current report of a batch: the number of messages in each status, with --full also the
recipients; or the last report of one --recipient. Reports can be read for 14 days, with any --delivery-report
of the batch. With --json the answer is Sinch's report unchanged, one JSON document.

` + exitCodes,
		Example: `  dlrloop report get 01JHFFHQ0P99JPPNQPJDV7JTBP
  dlrloop report get 01JHFFHQ0P99JPPNQPJDV7JTBP --full --status failed,rejected
  dlrloop report get 01JHFFHQ0P99JPPNQPJDV7JTBP --recipient +447700900133 --json`,
		Args: exactlyOne("one batch id"), ValidArgsFunction: cobra.NoFileCompletions,
	}
	flags, s := addSinchFlags(c), addStatusFlags(c)
	c.Flags().BoolVar(&full, "full", false, "include the recipients")
	c.Flags().StringVar(&recipient, "recipient", "", "the last report of this `NUMBER`")
	noFiles(c, "recipient")
	asJSON := jsonFlag(c, jsonOne)
	c.RunE = func(c *cobra.Command, args []string) error {
		if recipient != "" && (full || len(s.statuses)+len(s.codes) > 0) {
			return usageError{errors.New("--recipient cannot be combined with --full, --status or --code: it selects a " +
				"single report")}
		}
		client, _, err := flags.client()
		if err != nil {
			return err
		}
		var report sinch.Report
		show := printBatchReport
		if recipient != "" {
			report, err = client.GetRecipientReport(c.Context(), args[0], recipient)
			show = printRecipientReport
		} else {
			q := sinch.ReportQuery{Statuses: s.wanted(), Codes: s.codes}
			if full {
				q.Kind = sinch.Full
			}
			report, err = client.GetReport(c.Context(), args[0], q)
		}
		if err != nil {
			return advise(flagError(err))
		}
		if *asJSON {
			return printRaw(c.OutOrStdout(), report.Raw)
		}
		return show(c.OutOrStdout(), report)
	}
	return c
}

func reportListCommand() *cobra.Command {
	var q sinch.ReportsQuery
	var limit int
	c := &cobra.Command{
		Use:   "list",
		Short: "List the final reports of all batches",
		Long: `List prints a report for each message that reached a final status since a time (default: 24 hours ago). With
--json each line is a recipient report of Sinch, unchanged (NDJSON), printed page by page. Entries that cannot
be read are reported on standard error and skipped; the exit code is then 1.

` + exitCodes,
		Example: `  dlrloop report list --since 2h
  dlrloop report list --since 7d --status failed,rejected --client-reference parcel/8a02
  dlrloop report list --since 1h --json | jq -r 'select(.code == 153).recipient'`,
		Args: cobra.NoArgs,
	}
	flags, s := addSinchFlags(c), addStatusFlags(c)
	since := pastFlag(c, "since", "reported at or after (default 24h)")
	until := pastFlag(c, "until", "reported before")
	c.Flags().StringVar(&q.ClientReference, "client-reference", "", "only batches with this exact `NAME`")
	noFiles(c, "client-reference")
	limitFlag(c, &limit)
	asJSON := jsonFlag(c, jsonList)
	c.RunE = flags.run(func(c *cobra.Command, _ []string, client *sinch.Client) error {
		q.Start, q.End, q.PageSize = *since, *until, pageSize(limit)
		q.Statuses, q.Codes = s.wanted(), s.codes
		return printList(c, client.Reports(c.Context(), q), limit, *asJSON, listing[sinch.Report]{
			table: reportTable, row: reportRow, none: "no reports in this period",
			document: func(w io.Writer, r sinch.Report) error { return printRaw(w, r.Raw) },
		})
	})
	return c
}

func reportTable(w io.Writer) *table {
	return newTable(w, "AT", "RECIPIENT", "STATUS", "CODE", "MEANING", "BATCH", "CLIENT REFERENCE")
}

func reportRow(t *table, r sinch.Report) {
	for _, e := range r.Entries {
		t.row(clock(e.Time()), strings.Join(e.Recipients, " "), string(e.Status), code(e.Code), meaning(e.Code),
			r.BatchID, shortened(r.ClientReference, 40))
	}
}

// code formats the code of a delivery report. It returns "" for dlr.NoCode, which means a report without a code.
func code(n int) string {
	if n == dlr.NoCode {
		return ""
	}
	return strconv.Itoa(n)
}

func meaning(n int) string { return dlr.LookupCode(n).Name }

func printBatchReport(w io.Writer, r sinch.Report) error {
	var d details
	d.add("batch", r.BatchID)
	d.add("client reference", r.ClientReference)
	d.add("messages", strconv.Itoa(r.Total))
	if err := d.print(w); err != nil {
		return err
	}
	fmt.Fprintln(w)
	named := false
	t := newTable(w, "STATUS", "CODE", "MEANING", "MESSAGES")
	for _, e := range r.Entries {
		t.row(string(e.Status), code(e.Code), meaning(e.Code), strconv.Itoa(e.Count))
		named = named || len(e.Recipients) > 0
	}
	if err := t.print("no messages"); err != nil || !named {
		return err
	}
	fmt.Fprintln(w)
	t = newTable(w, "RECIPIENT", "STATUS", "CODE")
	for _, e := range r.Entries {
		for _, recipient := range e.Recipients {
			t.row(recipient, string(e.Status), code(e.Code))
		}
	}
	return t.print("")
}

func printRecipientReport(w io.Writer, r sinch.Report) error {
	var d details
	d.add("batch", r.BatchID)
	d.add("client reference", r.ClientReference)
	for _, e := range r.Entries {
		d.add("recipient", strings.Join(e.Recipients, " "))
		d.add("status", string(e.Status))
		d.add("code", code(e.Code))
		d.add("meaning", meaning(e.Code))
		d.add("at", clock(e.At))
		d.add("operator's time", clock(e.OperatorAt))
	}
	d.add("operator", r.Operator)
	d.add("sender", r.AppliedOriginator)
	d.add("encoding", r.Encoding)
	if r.Parts > 0 {
		d.add("parts", strconv.Itoa(r.Parts))
	}
	return d.print(w)
}
