package cli

import (
	"io"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

// feedbackBatch is a batch with pending or dead delivery feedback to Sinch, as the private API lists it. Owed, Sent and
// Dead are numbers of recipients: feedback for them is still to be sent, was accepted by Sinch, or was given up. Task
// is nil if the batch has no pending feedback, DeadInfo is nil if it has no dead feedback.
type feedbackBatch struct {
	Plan     string `json:"plan"`
	ID       string `json:"id"`
	Feedback struct {
		Owed int `json:"owed"`
		Sent int `json:"sent"`
		Dead int `json:"dead"`
		// WholeBatch is the state of the feedback for the whole batch: owed, sent, dead or dropped. It is empty if the
		// batch has no such feedback.
		WholeBatch string `json:"whole_batch"`
		Task       *struct {
			Due      time.Time `json:"due"`
			Attempts int       `json:"attempts"`
			Reason   string    `json:"reason"`
			Detail   string    `json:"detail"`
		} `json:"task"`
		DeadInfo *struct {
			At     time.Time `json:"at"`
			Reason string    `json:"reason"`
			Detail string    `json:"detail"`
		} `json:"dead_info"`
	} `json:"feedback"`
}

func feedbackListCommand() *cobra.Command {
	var dead bool
	var plan string
	var limit int
	c := &cobra.Command{
		Use:   "list",
		Short: "List the batches with pending or dead feedback",
		Long: `List prints the batches with pending feedback from the private API of a running dlrloop, in the order in which
they are due. With --dead it prints the batches with dead feedback and the reason. With --json each line is a
batch in the format of the API (NDJSON).

` + exitCodes,
		Example: `  dlrloop feedback list
  dlrloop feedback list --dead --plan YOUR_SERVICE_PLAN_ID
  dlrloop feedback list --dead --api http://10.0.0.7:8081 --json | jq -r .feedback.dead_info.detail`,
		Args: cobra.NoArgs,
	}
	flags := addAPIFlags(c)
	planFlag(c, &plan, flags.path, "only this service plan `ID` (default all)")
	c.Flags().BoolVar(&dead, "dead", false, "dead feedback")
	limitFlag(c, &limit)
	asJSON := jsonFlag(c, jsonList)
	c.RunE = func(c *cobra.Command, _ []string) error {
		a, _, err := flags.api()
		if err != nil {
			return err
		}
		show := listing[item[feedbackBatch]]{
			table: pendingTable, row: pendingRow, none: "no pending feedback",
			document: func(w io.Writer, o item[feedbackBatch]) error { return printRaw(w, o.raw) },
		}
		query := url.Values{"state": {"pending"}}
		if dead {
			show.table, show.row, show.none = deadTable, deadRow, "no dead feedback"
			query.Set("state", "dead")
		}
		if plan != "" {
			query.Set("plan", plan)
		}
		return printList(c, items[feedbackBatch](c.Context(), a, "/api/v1/feedback", query), limit, *asJSON, show)
	}
	return c
}

func pendingTable(w io.Writer) *table {
	return newTable(w, "BATCH", "PLAN", "OWED", "SENT", "DUE", "ATTEMPTS", "LAST", "DETAIL")
}

func pendingRow(t *table, i item[feedbackBatch]) {
	o := i.value
	f := o.Feedback
	due, attempts, reason, detail := "", "", "", ""
	if f.Task != nil {
		due, attempts, reason, detail = clock(f.Task.Due), strconv.Itoa(f.Task.Attempts), f.Task.Reason, f.Task.Detail
	}
	t.row(o.ID, o.Plan, recipientsCell(f.Owed, f.WholeBatch == "owed"), strconv.Itoa(f.Sent), due, attempts, reason,
		shortened(detail, 80))
}

// recipientsCell returns the text of the table cell RECIPIENTS, which counts the pending or dead feedback of a batch:
// "3" for 3 recipients, "whole batch" for the batch as a whole, or "whole batch, 3" for both.
func recipientsCell(recipients int, wholeBatch bool) string {
	switch {
	case !wholeBatch:
		return strconv.Itoa(recipients)
	case recipients == 0:
		return "whole batch"
	default:
		return "whole batch, " + strconv.Itoa(recipients)
	}
}

func deadTable(w io.Writer) *table {
	return newTable(w, "BATCH", "PLAN", "DEAD", "SENT", "SINCE", "REASON", "DETAIL")
}

func deadRow(t *table, i item[feedbackBatch]) {
	o := i.value
	f := o.Feedback
	since, reason, detail := "", "", ""
	if f.DeadInfo != nil {
		since, reason, detail = clock(f.DeadInfo.At), f.DeadInfo.Reason, f.DeadInfo.Detail
	}
	t.row(o.ID, o.Plan, recipientsCell(f.Dead, f.WholeBatch == "dead"), strconv.Itoa(f.Sent), since, reason,
		shortened(detail, 80))
}
