package sinch

import (
	"context"
	"encoding/json"
	"iter"
	"net/url"
	"time"

	"github.com/dlrloop/dlrloop/dlr"
)

// BatchesQuery selects the batches that Client.Batches lists. The zero value selects the last 24 hours.
type BatchesQuery struct {
	PageSize        int       // entries per call, 1 to 100; zero means 100
	From            []string  // senders; empty means any
	Start           time.Time // created at or after; zero means 24 hours ago
	End             time.Time // created before; zero means no limit
	ClientReference string    // exact match; empty means any
}

// Batches iterates over the batches that q selects, newest first. It fetches the pages of the list one by one, and may
// miss a batch sent meanwhile. After an *EntryError, which concerns one entry, the iteration continues; any other error
// ends it. Sinch keeps a batch for 14 days.
func (c *Client) Batches(ctx context.Context, q BatchesQuery) iter.Seq2[*Batch, error] {
	query := url.Values{}
	err := firstError(
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

// ReportsQuery selects the recipient reports that Client.Reports lists. The zero value selects the last 24 hours.
type ReportsQuery struct {
	PageSize        int          // entries per call, 1 to 100; zero means 100
	Start           time.Time    // reports made at or after; zero means 24 hours ago
	End             time.Time    // reports made before; zero means no limit
	Statuses        []dlr.Status // empty means any
	Codes           []int        // empty means any
	ClientReference string       // exact match; empty means any
}

// Reports iterates over the recipient reports that q selects, of all batches, and fetches the pages of the list one by
// one. After an *EntryError, which concerns one report, the iteration continues; any other error ends it.
func (c *Client) Reports(ctx context.Context, q ReportsQuery) iter.Seq2[Report, error] {
	query := url.Values{}
	err := firstError(
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
