package cli

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

// recipientView is one recipient of a batch, as the private API returns it, with the fields that dlrloop explain
// prints. State is nil if no report has named the recipient.
type recipientView struct {
	Plan    string      `json:"plan"`
	BatchID string      `json:"batch_id"`
	State   *reportView `json:"state"`

	Feedback struct {
		State string    `json:"state"`
		At    time.Time `json:"at"`
	} `json:"feedback"`
	Reports []reportView `json:"reports"`
}

// reportView is a delivery report about one recipient, as the private API returns it. It is also the type of
// recipientView.State, in which only Status, Code, Name and Final are set.
type reportView struct {
	Status     string    `json:"status"`
	Code       *int      `json:"code"`
	Name       string    `json:"name"`
	Final      bool      `json:"final"`
	At         time.Time `json:"at"`
	OperatorAt time.Time `json:"operator_at"`
	ReceivedAt time.Time `json:"received_at"`
	Source     string    `json:"source"`
	Repeats    int       `json:"repeats"`
	Effect     string    `json:"effect"`
}

func explainCommand() *cobra.Command {
	var batch string
	var limit int
	c := &cobra.Command{
		Use:   "explain NUMBER",
		Short: "Show everything that dlrloop has stored about a phone number, and why",
		Long: `Explain prints the batches that a phone number received, the newest first: its state in each, every report that
named it, why a report is the state or not, and the delivery feedback. Then it prints the inbound messages from
and to the number. It reads the private API of a running dlrloop. With --json each line is a recipient or an
inbound message in the format of the API: {"recipient": …} or {"inbound": …} (NDJSON).

` + exitCodes,
		Example: `  dlrloop explain +447700900133
  dlrloop explain 447700900133 --batch 01JHFFHQ0P99JPPNQPJDV7JTBP
  dlrloop explain 447700900133 --json | jq 'select(.inbound).inbound.text'`,
		Args: exactlyOne("one phone number"), ValidArgsFunction: cobra.NoFileCompletions,
	}
	flags := addAPIFlags(c)
	c.Flags().StringVar(&batch, "batch", "", "only the batch with this `ID`")
	noFiles(c, "batch")
	c.Flags().IntVar(&limit, "limit", 20, "at most `N` batches and as many inbound messages; 0 for all")
	asJSON := jsonFlag(c, jsonList)
	c.RunE = func(c *cobra.Command, args []string) error {
		if limit < 0 {
			return usageError{errors.New("--limit must not be negative")}
		}
		a, _, err := flags.api()
		if err != nil {
			return err
		}
		e := explanation{command: c, api: a, number: args[0], batch: batch, limit: limit, asJSON: *asJSON}
		if err := e.recipients(); err != nil || batch != "" {
			return err
		}
		return e.inbound()
	}
	return c
}

// explanation is one run of dlrloop explain. It prints the batches, reports and inbound messages that the API has for a
// phone number.
type explanation struct {
	command *cobra.Command
	api     *api
	number  string
	batch   string // only this batch; empty for all
	limit   int    // maximum number of batches, and of inbound messages; 0 means no limit
	asJSON  bool
}

// recipients prints the batches that have e.number as a recipient, each with the state of the recipient and the reports
// that named it. After e.limit batches it stops, and says on standard error that there are more. If there are no
// batches, it returns nil; without --json it then prints a line that says so.
func (e *explanation) recipients() error {
	out, shown := e.command.OutOrStdout(), 0
	path := numberPath(e.number)
	for r, err := range items[recipientView](e.command.Context(), e.api, path, url.Values{}) {
		if err != nil {
			return advise(err)
		}
		if e.batch != "" && r.value.BatchID != e.batch {
			continue
		}
		if e.limit > 0 && shown == e.limit {
			_, err := fmt.Fprintln(e.command.ErrOrStderr(), "There are more batches; --limit 0 shows all.")
			return err
		}
		shown++
		if err := e.print(out, "recipient", r.raw, r.value.print); err != nil {
			return err
		}
	}
	if shown == 0 && !e.asJSON {
		_, err := fmt.Fprintln(out, cmp.Or(e.noBatch(), "no batch has this number"))
		return err
	}
	return nil
}

func (e *explanation) noBatch() string {
	if e.batch == "" {
		return ""
	}
	return "batch " + printable(e.batch) + " does not have this number"
}

// inbound prints the stored inbound messages, which were sent by phones, that have e.number as sender or receiver.
// After e.limit messages it stops, and says on standard error that there are more.
func (e *explanation) inbound() error {
	out, table, shown := e.command.OutOrStdout(), inboundTable(e.command.OutOrStdout()), 0
	query := url.Values{"number": {e.number}}
	for m, err := range items[inboundMessage](e.command.Context(), e.api, "/api/v1/inbound", query) {
		if err != nil {
			return advise(err)
		}
		if e.limit > 0 && shown == e.limit {
			_, err := fmt.Fprintln(e.command.ErrOrStderr(), "There are more inbound messages; --limit 0 shows all.")
			if err != nil {
				return err
			}
			break
		}
		shown++
		if !e.asJSON {
			inboundRow(table, m)
			continue
		}
		if err := e.print(out, "inbound", m.raw, nil); err != nil {
			return err
		}
	}
	if e.asJSON {
		return nil
	}
	return table.print("no inbound messages")
}

// print writes one entry of an API list to out. With --json it writes a JSON object with one member: its name is kind,
// and its value is raw, the JSON of the entry. Without --json it calls the function people, which must write the entry
// as readable text.
func (e *explanation) print(out io.Writer, kind string, raw json.RawMessage, people func(io.Writer) error) error {
	if e.asJSON {
		return printJSON(out, map[string]json.RawMessage{kind: raw})
	}
	return people(out)
}

func (r recipientView) print(out io.Writer) error {
	state := "no report has named this number yet"
	if r.State != nil {
		state = r.State.Status + " " + r.State.code()
		if !r.State.Final {
			state += ", not final"
		}
	}
	feedback := ""
	if r.Feedback.State != "none" {
		feedback = "; feedback " + r.Feedback.State + " since " + clock(r.Feedback.At)
	}
	if _, err := fmt.Fprintf(out, "batch %s of plan %s: %s%s\n", printable(r.BatchID), printable(r.Plan),
		printable(state), printable(feedback)); err != nil {
		return err
	}
	if len(r.Reports) > 0 {
		t := newTable(out, "RECEIVED", "STATUS", "CODE", "AT", "OPERATOR", "SOURCE", "REPEATS", "EFFECT")
		for _, s := range r.Reports {
			t.row(clock(s.ReceivedAt), s.Status, s.code(), clock(s.At), clock(s.OperatorAt), s.Source,
				strconv.Itoa(s.Repeats), s.effect())
		}
		if err := t.print(""); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintln(out)
	return err
}

// code returns the code of the report with its name, such as "153 absent subscriber". It returns "" if the report has
// no code.
func (s reportView) code() string {
	if s.Code == nil {
		return ""
	}
	return strconv.Itoa(*s.Code) + " " + s.Name
}

// effect says in words whether the report determines the recipient's state, and if not, why. If s.Effect has an unknown
// value, effect returns that value.
func (s reportView) effect() string {
	switch s.Effect {
	case "holds":
		return "is the state"
	case "superseded":
		return "was the state until another report won"
	case "intermediate":
		return "never the state: a final status was known"
	case "older":
		return "never the state: a report with a later time was known"
	case "outranked":
		return "never the state: a report with the same time won"
	}
	return s.Effect
}
