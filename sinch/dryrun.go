package sinch

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
)

// DryRunQuery selects whether Client.DryRun also lists the recipients. The zero value selects only totals.
type DryRunQuery struct {
	PerRecipient bool // also return DryRun.PerRecipient
	Recipients   int  // maximum length of DryRun.PerRecipient, up to 1000; zero means 100, Sinch's default
}

// DryRun is the result of Client.DryRun: how many messages Sinch would send.
type DryRun struct {
	Recipients   int               `json:"number_of_recipients"`
	Messages     int               `json:"number_of_messages"` // message parts, over all recipients
	PerRecipient []DryRunRecipient `json:"per_recipient,omitempty"`
}

// DryRunRecipient describes the message that one recipient would receive.
type DryRunRecipient struct {
	Recipient string `json:"recipient"`
	Parts     int    `json:"number_of_parts"`
	Body      string `json:"body"`
	Encoding  string `json:"encoding"` // text or unicode
}

// DryRun asks Sinch how many messages it would send for m. Nothing is sent, so it is safe to repeat the call. If an
// argument breaks a rule of Sinch's, DryRun makes no call and returns an *InvalidError.
func (c *Client) DryRun(ctx context.Context, m Message, q DryRunQuery) (*DryRun, error) {
	query, err := q.values()
	if err = firstError(validate(m), err); err != nil {
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
		return nil, c.decodeError(DryRunBatch, a, err)
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

var errNoDryRun = errors.New("the answer has no message count")

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

// parseDryRunRecipient decodes one element of the answer's list per_recipient.
func parseDryRunRecipient(raw json.RawMessage) DryRunRecipient {
	m, _ := parseMembers(raw) // anything but an object gives zero values
	parts := m.integer("number_of_parts")
	if parts == nil {
		parts = m.integer("message_part") // an older name
	}
	return DryRunRecipient{
		Recipient: m.text("recipient"), Parts: value(parts), Body: m.text("body"), Encoding: m.text("encoding"),
	}
}
