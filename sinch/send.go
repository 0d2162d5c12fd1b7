package sinch

import (
	"context"
	"errors"
	"net/http"
)

// Send sends m as a new batch. It makes one attempt, because Sinch cannot recognize a repetition: a second call creates
// a second batch and sends every message again. If the outcome is unknown (a timeout, a cut connection, a 408 or 5xx, a
// success that cannot be decoded), look for the batch with Batches and its ClientReference before sending again.
//
// Send made no call if it returns an *InvalidError. Sinch did not accept the batch if Send returns an *Error with a
// status from 400 to 499 other than 408.
func (c *Client) Send(ctx context.Context, m Message) (*Batch, error) {
	if err := validate(m); err != nil {
		return nil, failed(SendBatch, err)
	}
	return c.batch(ctx, call{operation: SendBatch, method: http.MethodPost, path: batchesPath, body: m}, "")
}

// GetBatch returns one batch. Sinch keeps a batch for 14 days. For a batch that Sinch does not know the error is an
// *Error with HTTPStatus 404.
func (c *Client) GetBatch(ctx context.Context, batchID string) (*Batch, error) {
	return c.batchCall(ctx, call{operation: GetBatch, method: http.MethodGet}, batchID)
}

// Update changes a batch that is not dispatched yet, as u says, and returns the changed batch. For a dispatched batch
// Sinch answers 403 with the code batch_already_dispatched.
func (c *Client) Update(ctx context.Context, batchID string, u Update) (*Batch, error) {
	if err := u.Validate(); err != nil {
		return nil, failed(UpdateBatch, err)
	}
	return c.batchCall(ctx, call{operation: UpdateBatch, method: http.MethodPost, body: u}, batchID)
}

// Replace replaces the message of a batch that is not dispatched yet. Everything that m leaves unset returns to its
// default, including FeedbackEnabled and DeliveryReport. The call can be repeated.
func (c *Client) Replace(ctx context.Context, batchID string, m Message) (*Batch, error) {
	if err := validate(m); err != nil {
		return nil, failed(ReplaceBatch, err)
	}
	return c.batchCall(ctx, call{operation: ReplaceBatch, method: http.MethodPut, body: m}, batchID)
}

// Cancel cancels the messages of a batch that are not dispatched yet, if any, and returns the batch. The call can be
// repeated.
func (c *Client) Cancel(ctx context.Context, batchID string) (*Batch, error) {
	return c.batchCall(ctx, call{operation: CancelBatch, method: http.MethodDelete}, batchID)
}

func validate(m Message) error {
	if m == nil {
		return invalid("", "the message is missing")
	}
	return m.Validate()
}

// batchCall makes a call about one batch, which Sinch answers with that batch.
func (c *Client) batchCall(ctx context.Context, k call, batchID string) (*Batch, error) {
	path, err := batchPath(batchID, "")
	if err != nil {
		return nil, failed(k.operation, err)
	}
	k.path = path
	return c.batch(ctx, k, batchID)
}

// errNoBatch means that the answer to a send has no batch id. The batch may have been sent.
var errNoBatch = errors.New("the answer is not a batch: it has no id")

// batch makes a call that Sinch answers with a batch: the batch want, or any batch if want is empty.
func (c *Client) batch(ctx context.Context, k call, want string) (*Batch, error) {
	a, err := c.read(ctx, k)
	if err != nil {
		return nil, err
	}
	b, err := ParseBatch(a.body)
	switch {
	case err != nil:
	case b.ID == "":
		err = errNoBatch
	case want != "" && b.ID != want:
		err = errOtherBatch
	}
	if err != nil {
		return nil, c.decodeError(k.operation, a, err)
	}
	return b, nil
}
