package api

import (
	"context"

	"github.com/dlrloop/dlrloop/store"
)

func (p *API) batches(ctx context.Context, a *request) (any, error) {
	q := store.BatchQuery{
		Plan:            a.text("plan"),
		Status:          a.status("status"),
		ClientReference: a.text("client_reference"),
		From:            a.time("from"),
		To:              a.time("to"),
		Paging:          a.paging(),
	}
	a.ordered(q.From, q.To)
	if err := a.err(); err != nil {
		return nil, err
	}
	page, err := p.store.Batches(ctx, q)
	if err != nil {
		return nil, failed("list batches", err)
	}
	return viewPage(page, viewBatch), nil
}

func (p *API) batch(ctx context.Context, a *request) (any, error) {
	if err := a.err(); err != nil {
		return nil, err
	}
	b, err := p.store.Batch(ctx, a.batch())
	if err != nil {
		return nil, failedBatch("read", a.batch(), err)
	}
	return viewBatch(b), nil
}

// loggedView is the JSON of one report in the answer to GET …/batches/{id}/reports. ReceivedAt is when dlrloop got
// it. Source says whether Sinch called back with it or dlrloop fetched it.
type loggedView struct {
	ReceivedAt instant `json:"received_at"`
	Type       string  `json:"type"`
	Source     string  `json:"source"`
	rawBytes
}

func (p *API) reports(ctx context.Context, a *request) (any, error) {
	paging := a.paging()
	if err := a.err(); err != nil {
		return nil, err
	}
	page, err := p.store.Reports(ctx, a.batch(), paging)
	if err != nil {
		return nil, failedBatch("list the reports of", a.batch(), err)
	}
	return viewPage(page, func(l store.Logged) loggedView {
		return loggedView{instant{l.ReceivedAt}, string(l.Type), l.Source.String(), showRaw(l.Raw)}
	}), nil
}
