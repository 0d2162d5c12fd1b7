package batches

import (
	"net/url"
	"strconv"
	"time"

	"github.com/dlrloop/dlrloop/simulator/xms"
)

// defaultDryRun is how many recipients a dry run lists if the query has per_recipient=true but no number_of_recipients.
const defaultDryRun = 100

// dryRunResult is the JSON answer to a dry run, which checks a batch without sending it.
type dryRunResult struct {
	Recipients   int           `json:"number_of_recipients"`
	Messages     int           `json:"number_of_messages"` // parts
	PerRecipient []dryRunOfOne `json:"per_recipient,omitempty"`
}

type dryRunOfOne struct {
	Recipient string `json:"recipient"`
	Parts     int    `json:"number_of_parts"`
	Body      string `json:"body"`
	Encoding  string `json:"encoding"` // text or unicode
}

// DryRun returns, as a JSON-encodable value, how many recipients and message parts a batch with this body would have.
// If the query has per_recipient=true, the result also lists the text for each of the first recipients. DryRun stores
// nothing. It returns the same *xms.Error as Send, or one for an invalid query.
func (p *Plan) DryRun(query url.Values, body []byte) (any, error) {
	named, err := readDryRun(query)
	if err != nil {
		return nil, err
	}
	request, err := xms.ReadBatch(body)
	if err != nil {
		return nil, err
	}
	now := xms.Stamp(time.Now()).Time
	p.store.mu.Lock()
	d, err := p.prepare(request, now, now)
	p.store.unlock()
	if err != nil {
		return nil, err
	}
	template := d.request.Template()
	result := dryRunResult{Recipients: len(d.recipients)}
	for i := range d.recipients {
		number := d.recipients[i].digits
		r := template.For(number)
		result.Messages += r.Parts
		if i < named {
			result.PerRecipient = append(result.PerRecipient, dryRunOfOne{number, r.Parts, r.Text, r.Encoding.DryRunName})
		}
	}
	return result, nil
}

// readDryRun returns how many recipients the answer to a dry run lists: 0 without per_recipient=true in the query. It
// returns an *xms.Error if the query is invalid.
func readDryRun(query url.Values) (int, error) {
	wanted, named := false, defaultDryRun
	if text := query.Get("per_recipient"); text != "" {
		var err error
		if wanted, err = strconv.ParseBool(text); err != nil {
			return 0, xms.InvalidFormat(text, "per_recipient")
		}
	}
	if err := xms.ReadInteger(query, "number_of_recipients", &named, 0, xms.MaxRecipients); err != nil || !wanted {
		return 0, err
	}
	return named, nil
}
