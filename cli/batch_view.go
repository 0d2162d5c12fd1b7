package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/dlrloop/dlrloop/sinch"
)

// printBatch prints a batch for people, as a list of names and values. It leaves out values that are not set.
func printBatch(w io.Writer, b *sinch.Batch) error {
	var d details
	d.add("batch", b.ID)
	d.add("state", stateOf(b, time.Now()))
	d.add("type", string(b.Type))
	d.add("to", entries(b.To))
	d.add("from", b.From)
	d.add("body", bodyOf(b))
	d.add("parameters", parameters(b.Parameters))
	d.add("delivery report", string(b.DeliveryReport))
	d.add("feedback", feedbackOf(b))
	d.add("callback URL", b.CallbackURL)
	d.add("client reference", b.ClientReference)
	d.add("created", clock(b.CreatedAt))
	if !b.ModifiedAt.Equal(b.CreatedAt) {
		d.add("modified", clock(b.ModifiedAt))
	}
	d.add("send at", clock(b.SendAt))
	d.add("expire at", clock(b.ExpireAt))
	return d.print(w)
}

// stateOf returns the state of a batch at the given time: "canceled", "scheduled" if the batch is to be sent after that
// time, else "sent". The state "sent" does not mean that the messages were delivered.
func stateOf(b *sinch.Batch, now time.Time) string {
	switch {
	case b.Canceled:
		return "canceled"
	case b.SendAt.After(now):
		return "scheduled"
	default:
		return "sent"
	}
}

// shownEntries is the maximum number of recipients or batch ids that are printed on one line for people. The option
// --json always prints all of them.
const shownEntries = 20

func entries(to []string) string {
	if len(to) <= shownEntries {
		return fmt.Sprintf("%s (%d)", strings.Join(to, ", "), len(to))
	}
	return fmt.Sprintf("%s and %d more (--json has all)", strings.Join(to[:shownEntries], ", "), len(to)-shownEntries)
}

func bodyOf(b *sinch.Batch) string {
	var text string
	if json.Unmarshal(b.Body, &text) == nil {
		if b.UDH != "" {
			text += " (udh " + b.UDH + ")"
		}
		return text
	}
	var media sinch.Media
	if json.Unmarshal(b.Body, &media) == nil {
		return strings.TrimSpace(media.URL + " " + media.Message)
	}
	return string(b.Body)
}

func parameters(p sinch.Parameters) string {
	if len(p) == 0 {
		return ""
	}
	values := 0
	for _, of := range p {
		values += len(of)
	}
	return fmt.Sprintf("%s, %s", count(len(p), "key"), count(values, "value"))
}

func feedbackOf(b *sinch.Batch) string {
	if b.FeedbackEnabled {
		return "wanted"
	}
	return "not wanted"
}

// batchTable returns a table with the headings of dlrloop batch list and no rows. The function batchRow adds a row, and
// the table's method print writes the table to w.
func batchTable(w io.Writer) *table {
	return newTable(w, "BATCH", "CREATED", "STATE", "TYPE", "TO", "FROM", "REPORT", "FEEDBACK", "CLIENT REFERENCE")
}

func batchRow(t *table, b *sinch.Batch) {
	t.row(b.ID, clock(b.CreatedAt), stateOf(b, time.Now()), string(b.Type), fmt.Sprint(len(b.To)), b.From,
		string(b.DeliveryReport), yes(b.FeedbackEnabled), shortened(b.ClientReference, 40))
}
