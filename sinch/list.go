package sinch

import (
	"context"
	"encoding/json"
	"iter"
	"net/url"
	"time"

	"github.com/dlrloop/dlrloop/dlr"
)

// BatchesQuery says which batches are wanted.
type BatchesQuery struct {
	PageSize        int       // entries asked for with one call, 1 to 100; zero is 100
	From            []string  // senders; none: any
	Start           time.Time // not created before; zero: 24 hours ago
	End             time.Time // created before; zero: no limit
	ClientReference string    // exactly this
}

// Batches lists batches, newest first, a page for each call as the loop goes on. Sinch keeps them for 14 days. An
// *EntryError is about one entry, and the list goes on; any other error ends it. A batch that is sent meanwhile may be missed.
func (c *Client) Batches(ctx context.Context, q BatchesQuery) iter.Seq2[*Batch, error] {
	query := url.Values{}
	err := firstOf(
		setWindow(query, q.PageSize, q.Start, q.End),
		setTexts(query, "from", q.From),
		setReference(query, q.ClientReference),
	)
	return all(ctx, c, listing[*Batch]{
		operation: ListBatches, path: batchesPath, member: "batches",
		query: query, size: q.PageSize, invalid: err, parse: parseListedBatch,
	})
}

func parseListedBatch(raw json.RawMessage) (*Batch, string, error) {
	b, err := ParseBatch(raw)
	if err == nil {
		err = checkID(b.ID)
	}
	if err != nil {
		return nil, "", err
	}
	return b, b.ID, nil
}

// ReportsQuery says which recipient reports are wanted.
type ReportsQuery struct {
	PageSize        int          // entries asked for with one call, 1 to 100; zero is 100
	Start           time.Time    // not before; zero: 24 hours ago
	End             time.Time    // before; zero: no limit
	Statuses        []dlr.Status // none: any
	Codes           []int        // none: any
	ClientReference string       // exactly this
}

// Reports lists the recipient reports of finished messages, SMS and MMS, of all batches, a page for each call as the loop goes
// on. An *EntryError is about one report, and the list goes on; any other error ends it.
func (c *Client) Reports(ctx context.Context, q ReportsQuery) iter.Seq2[Report, error] {
	query := url.Values{}
	err := firstOf(
		setWindow(query, q.PageSize, q.Start, q.End),
		setStates(query, q.Statuses, q.Codes),
		setReference(query, q.ClientReference),
	)
	return all(ctx, c, listing[Report]{
		operation: ListReports, path: "/delivery_reports", member: "delivery_reports",
		query: query, size: q.PageSize, invalid: err, parse: parseListedReport,
	})
}

func parseListedReport(raw json.RawMessage) (Report, string, error) {
	if isNull(raw) {
		return Report{}, "", errNull
	}
	r, err := parseReport(raw, dlr.RecipientSMS)
	return r, string(raw), err
}
