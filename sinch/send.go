package sinch

import (
	"context"
	"errors"
	"net/http"
)

// Send sends a batch. It is tried once, since Sinch has no way to tell a repetition: a second call makes a second batch and
// sends every message again. When the outcome is not known (a time-out, a cut connection, a 408 or 5xx, a success that could
// not be read) do not just send again: look with Batches for a batch of that ClientReference first.
//
// An *InvalidError means that nothing was called, an *Error of any other status from 400 to 499 that Sinch did not take the
// batch.
func (c *Client) Send(ctx context.Context, m Message) (*Batch, error) {
	if err := validate(m); err != nil {
		return nil, failed(SendBatch, err)
	}
	return c.batch(ctx, call{operation: SendBatch, method: http.MethodPost, path: batchesPath, body: m}, "")
}

// GetBatch reads one batch. Sinch keeps a batch for 14 days; a batch it does not know is an Error of status 404.
func (c *Client) GetBatch(ctx context.Context, batchID string) (*Batch, error) {
	return c.change(ctx, call{operation: GetBatch, method: http.MethodGet}, batchID)
}

// Update changes what the update names of a batch that has not left yet, and leaves the rest alone. Once it has left, Sinch
// answers 403 with the code batch_already_dispatched.
func (c *Client) Update(ctx context.Context, batchID string, u Update) (*Batch, error) {
	if err := u.Validate(); err != nil {
		return nil, failed(UpdateBatch, err)
	}
	return c.change(ctx, call{operation: UpdateBatch, method: http.MethodPost, body: u}, batchID)
}

// Replace puts a message in place of a batch that has not left yet. Whatever the message leaves out falls back to its
// default, FeedbackEnabled and DeliveryReport included. It may be repeated.
func (c *Client) Replace(ctx context.Context, batchID string, m Message) (*Batch, error) {
	if err := validate(m); err != nil {
		return nil, failed(ReplaceBatch, err)
	}
	return c.change(ctx, call{operation: ReplaceBatch, method: http.MethodPut, body: m}, batchID)
}

// Cancel stops what has not left of a batch yet, be it nothing, and returns the batch. It may be repeated.
func (c *Client) Cancel(ctx context.Context, batchID string) (*Batch, error) {
	return c.change(ctx, call{operation: CancelBatch, method: http.MethodDelete}, batchID)
}

func validate(m Message) error {
	if m == nil {
		return invalid("", "there is no message")
	}
	return m.Validate()
}

// change makes a call about one batch, which is answered with it.
func (c *Client) change(ctx context.Context, k call, batchID string) (*Batch, error) {
	path, err := batchPath(batchID, "")
	if err != nil {
		return nil, failed(k.operation, err)
	}
	k.path = path
	return c.batch(ctx, k, batchID)
}

// errNoBatch is about a send whose answer names no batch. Sinch, or whoever answered, may have taken it.
var errNoBatch = errors.New("it is no batch: it has no id")

// batch makes a call that is answered with a batch: the one asked for, or any if that is empty.
func (c *Client) batch(ctx context.Context, k call, asked string) (*Batch, error) {
	a, err := c.read(ctx, k)
	if err != nil {
		return nil, err
	}
	b, err := ParseBatch(a.body)
	switch {
	case err != nil:
	case b.ID == "":
		err = errNoBatch
	case asked != "" && b.ID != asked:
		err = errOtherBatch
	}
	if err != nil {
		return nil, c.unreadable(k.operation, a, err)
	}
	return b, nil
}
