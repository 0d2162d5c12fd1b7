package api

import (
	"context"
	"errors"
	"fmt"

	"github.com/dlrloop/dlrloop/handlers/problem"
	"github.com/dlrloop/dlrloop/store"
)

func (p *API) recipients(ctx context.Context, a *request) (any, error) {
	key := a.batch()
	q := store.RecipientQuery{Status: a.status("status"), Paging: a.paging()}
	if err := a.err(); err != nil {
		return nil, err
	}
	page, err := p.store.Recipients(ctx, key, q)
	if err != nil {
		return nil, failedBatch("list the recipients of", key, err)
	}
	b, err := p.store.Batch(ctx, key)
	if err != nil {
		return nil, failedBatch("read", key, err)
	}
	return viewPage(page, func(r *store.Recipient) recipientView { return viewRecipient(key, b.Flag, r) }), nil
}

func (p *API) recipient(ctx context.Context, a *request) (any, error) {
	if err := a.err(); err != nil {
		return nil, err
	}
	key := a.batch()
	b, err := p.store.Batch(ctx, key)
	if err != nil {
		return nil, failedBatch("read", key, err)
	}
	r, err := p.store.Recipient(ctx, key, a.pathParam("number"))
	if errors.Is(err, store.ErrNotFound) {
		return nil, problem.NotFound(fmt.Sprintf("the recipient in batch %s of plan %s", key.BatchID, key.Plan))
	}
	if err != nil {
		return nil, failedBatch("read a recipient of", key, err)
	}
	return viewRecipientWithBodies(key, b.Flag, r), nil
}

// recipientBatches answers GET /api/v1/recipients/{number} with the batches that contain the phone number, and the
// state of the number in each batch. For an unknown number the list is empty.
func (p *API) recipientBatches(ctx context.Context, a *request) (any, error) {
	paging := a.paging()
	if err := a.err(); err != nil {
		return nil, err
	}
	page, err := p.store.RecipientBatches(ctx, a.pathParam("number"), paging)
	if err != nil {
		return nil, failed("list the batches of a recipient", err)
	}
	views := make([]recipientView, 0, len(page.Items))
	for _, in := range page.Items {
		flag, err := p.flag(ctx, in)
		if err != nil {
			return nil, err
		}
		views = append(views, viewRecipient(in.Key, flag, in.Recipient))
	}
	return pageView[recipientView]{Items: views, NextCursor: page.Next}, nil
}

// flag returns whether the recipient's batch wants delivery feedback. It reads the batch only if the recipient's
// feedback is still to be sent (store.FeedbackOwed), since the API's answer does not depend on the flag otherwise. In
// all other cases, and if the batch has been deleted, it returns FlagUnknown.
func (p *API) flag(ctx context.Context, in store.RecipientInBatch) (store.Flag, error) {
	if in.Recipient.Feedback != store.FeedbackOwed {
		return store.FlagUnknown, nil
	}
	b, err := p.store.Batch(ctx, in.Key)
	if errors.Is(err, store.ErrNotFound) {
		return store.FlagUnknown, nil // deleted by retention since
	}
	if err != nil {
		return store.FlagUnknown, failedBatch("read", in.Key, err)
	}
	return b.Flag, nil
}
