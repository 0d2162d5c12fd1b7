package sinch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/dlrloop/dlrloop/dlr"
)

// ReportKind selects whether a batch report lists the recipients (Full) or only counts them (Summary).
type ReportKind string

// The values of ReportKind, as sent in the query parameter "type" of the API.
const (
	Summary ReportKind = "summary" // counts by status and code
	Full    ReportKind = "full"    // with the recipients of each status and code
)

// ReportQuery selects the kind of report that Client.GetReport returns, and the statuses and codes in it. The zero
// value selects a summary of all statuses.
type ReportQuery struct {
	Kind     ReportKind   // empty means Summary
	Statuses []dlr.Status // empty means all
	Codes    []int        // empty means all
}

// Report is a delivery report from Sinch, decoded and as JSON (Raw). If the JSON has no member "type", one is added, so
// that dlr.Parse can decode Raw.
type Report struct {
	*dlr.Report
	Raw []byte
}

// GetReport returns the current delivery report of a batch, even if the batch was sent with ReportNone. Its statuses
// may still change. If Sinch does not know the batch, the error is an *Error with HTTPStatus 404.
func (c *Client) GetReport(ctx context.Context, batchID string, q ReportQuery) (Report, error) {
	query, err := q.values()
	if err != nil {
		return Report{}, failed(GetReport, err)
	}
	path, err := batchPath(batchID, withQuery("/delivery_report", query))
	if err != nil {
		return Report{}, failed(GetReport, err)
	}
	return c.report(ctx, GetReport, path, batchID, dlr.BatchSMS)
}

func (q ReportQuery) values() (url.Values, error) {
	v := url.Values{}
	switch q.Kind {
	case "":
	case Summary, Full:
		v.Set("type", string(q.Kind))
	default:
		return nil, invalid("type", "use summary or full")
	}
	return v, setStates(v, q.Statuses, q.Codes)
}

// GetRecipientReport returns the last report of one recipient. If Sinch does not know the batch, or the batch has no
// such recipient, the error is an *Error with HTTPStatus 404.
func (c *Client) GetRecipientReport(ctx context.Context, batchID, recipient string) (Report, error) {
	segment, err := escape(dlr.Digits(recipient))
	if err != nil {
		return Report{}, failed(GetRecipientReport, err)
	}
	path, err := batchPath(batchID, "/delivery_report/"+segment)
	if err != nil {
		return Report{}, failed(GetRecipientReport, err)
	}
	return c.report(ctx, GetRecipientReport, path, batchID, dlr.RecipientSMS)
}

func (c *Client) report(ctx context.Context, op Operation, path, batchID string, want dlr.Type) (Report, error) {
	a, err := c.read(ctx, call{operation: op, method: http.MethodGet, path: path})
	if err != nil {
		return Report{}, err
	}
	r, err := parseReport(a.body, want)
	if err == nil && r.BatchID != batchID {
		err = errOtherBatch
	}
	if err != nil {
		return Report{}, c.decodeError(op, a, err)
	}
	return r, nil
}

var errOtherKind = errors.New("the answer is not the requested kind of report")

// parseReport decodes a report of the type that the caller requested, even if the report does not name its type. A
// batch report instead of a recipient report is an error, and so is the reverse.
func parseReport(body []byte, want dlr.Type) (Report, error) {
	parsed, err := dlr.Parse(body)
	if e, ok := errors.AsType[*dlr.ParseError](err); ok && e.Reason == dlr.NoType {
		if body, err = withType(body, want); err == nil {
			parsed, err = dlr.Parse(body)
		}
	}
	if err == nil && (parsed.Type.Batch() != want.Batch() || parsed.Type.Recipient() != want.Recipient()) {
		err = errOtherKind
	}
	if err != nil {
		return Report{}, err
	}
	return Report{Report: parsed.Report, Raw: body}, nil
}

// withType returns the JSON object in body with its member "type" set to t. An existing "type" is replaced.
func withType(body []byte, t dlr.Type) ([]byte, error) {
	end := bytes.LastIndexByte(body, '}')
	if end < 0 {
		return body, nil
	}
	members := bytes.TrimSpace(bytes.Clone(body[:end]))
	if !bytes.HasSuffix(members, []byte("{")) {
		members = append(members, ',')
	}
	return dlr.Unique(fmt.Appendf(members, `"type":%q}`, string(t)))
}
