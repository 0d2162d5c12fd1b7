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

// ReportKind says how much a batch's report is to tell.
type ReportKind string

// The kinds.
const (
	Summary ReportKind = "summary" // counts by status and code
	Full    ReportKind = "full"    // with the recipients of each
)

// ReportQuery says what of a batch's report is wanted.
type ReportQuery struct {
	Kind     ReportKind   // empty is Summary
	Statuses []dlr.Status // none: all
	Codes    []int        // none: all
}

// Report is a delivery report with the bytes it was read from. Where Sinch's answer has no type, they have one, so that they can
// be read again.
type Report struct {
	*dlr.Report
	Raw []byte
}

// GetReport reads a batch's delivery report as it stands, whatever kind of report the batch was sent with. Statuses in it
// may be intermediate. A batch that Sinch does not know is an Error of status 404.
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

// GetRecipientReport reads the last report of one recipient. A batch that Sinch does not know, and a number that is no
// recipient of it, are an Error of status 404.
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

func (c *Client) report(ctx context.Context, op Operation, path, batchID string, asked dlr.Type) (Report, error) {
	a, err := c.read(ctx, call{operation: op, method: http.MethodGet, path: path})
	if err != nil {
		return Report{}, err
	}
	r, err := parseReport(a.body, asked)
	if err == nil && r.BatchID != batchID {
		err = errOtherBatch
	}
	if err != nil {
		return Report{}, c.unreadable(op, a, err)
	}
	return r, nil
}

var errOtherKind = errors.New("it is another kind of report than the one asked for")

// parseReport reads an answer to a question for reports of a type. A report without a type is of that one.
func parseReport(body []byte, asked dlr.Type) (Report, error) {
	parsed, err := dlr.Parse(body)
	if e, ok := errors.AsType[*dlr.ParseError](err); ok && e.Reason == dlr.NoType {
		if body, err = withType(body, asked); err == nil {
			parsed, err = dlr.Parse(body)
		}
	}
	if err == nil && (parsed.Type.Batch() != asked.Batch() || parsed.Type.Recipient() != asked.Recipient()) {
		err = errOtherKind
	}
	if err != nil {
		return Report{}, err
	}
	return Report{Report: parsed.Report, Raw: body}, nil
}

// withType adds the type to a JSON object, in place of one that is there, such as null.
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
