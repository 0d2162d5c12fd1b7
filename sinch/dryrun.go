package sinch

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
)

// DryRunQuery says how much a dry run is to tell.
type DryRunQuery struct {
	PerRecipient bool
	Recipients   int // of how many recipients it tells, at most 1000; zero is Sinch's default, 100
}

// DryRun is what sending a message would come to.
type DryRun struct {
	Recipients   int               `json:"number_of_recipients"`
	Messages     int               `json:"number_of_messages"` // parts, over all recipients
	PerRecipient []DryRunRecipient `json:"per_recipient,omitempty"`
}

// DryRunRecipient is the message to one recipient.
type DryRunRecipient struct {
	Recipient string `json:"recipient"`
	Parts     int    `json:"number_of_parts"`
	Body      string `json:"body"`
	Encoding  string `json:"encoding"` // text or unicode
}

// DryRun asks Sinch what a message would come to, without sending it. It may be repeated.
func (c *Client) DryRun(ctx context.Context, m Message, q DryRunQuery) (*DryRun, error) {
	query, err := q.values()
	if err = firstOf(validate(m), err); err != nil {
		return nil, failed(DryRunBatch, err)
	}
	a, err := c.read(ctx, call{
		operation: DryRunBatch, method: http.MethodPost, path: withQuery(batchesPath+"/dry_run", query), body: m,
	})
	if err != nil {
		return nil, err
	}
	d, err := parseDryRun(a.body)
	if err != nil {
		return nil, c.unreadable(DryRunBatch, a, err)
	}
	return d, nil
}

func (q DryRunQuery) values() (url.Values, error) {
	v := url.Values{}
	if q.PerRecipient {
		v.Set("per_recipient", "true")
	}
	if q.Recipients != 0 {
		v.Set("number_of_recipients", strconv.Itoa(q.Recipients))
	}
	return v, rangeRule("number_of_recipients", &q.Recipients, 0, maxDryRun)
}

var errNoDryRun = errors.New("it does not say how many messages there would be")

func parseDryRun(body []byte) (*DryRun, error) {
	m, err := parseMembers(body)
	if err != nil {
		return nil, err
	}
	recipients, messages := m.integer("number_of_recipients"), m.integer("number_of_messages")
	if recipients == nil || messages == nil {
		return nil, errNoDryRun
	}
	d := &DryRun{Recipients: *recipients, Messages: *messages}
	for _, raw := range m.list("per_recipient") {
		d.PerRecipient = append(d.PerRecipient, parseDryRunRecipient(raw))
	}
	return d, nil
}

// parseDryRunRecipient knows the count under its older name, too.
func parseDryRunRecipient(raw json.RawMessage) DryRunRecipient {
	m, _ := parseMembers(raw) // what is no object says nothing
	parts := m.integer("number_of_parts")
	if parts == nil {
		parts = m.integer("message_part")
	}
	return DryRunRecipient{
		Recipient: m.text("recipient"), Parts: value(parts), Body: m.text("body"), Encoding: m.text("encoding"),
	}
}
