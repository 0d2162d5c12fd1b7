package sinch

import (
	"context"
	"errors"
	"net/http"
)

// Send sends m as a new batch and returns the batch. A second call sends every message again. Sinch has not accepted
// the batch if the error is an *InvalidError, or an *Error with a status from 400 to 499 except 408. After any other
// error the batch may have been sent: look for its ClientReference with Batches before you call Send again.
func (c *Client) Send(ctx context.Context, m Message) (*Batch, error) {
	if err := validate(m); err != nil {
		return nil, failed(SendBatch, err)
	}
	return c.batch(ctx, call{operation: SendBatch, method: http.MethodPost, path: batchesPath, body: m}, "")
}

// GetBatch returns one batch. Sinch keeps a batch for 14 days. If Sinch does not know the batch, the error is an *Error
// with HTTPStatus 404.
func (c *Client) GetBatch(ctx context.Context, batchID string) (*Batch, error) {
	return c.batchCall(ctx, call{operation: GetBatch, method: http.MethodGet}, batchID)
}

// Update changes a batch that is not dispatched yet, and returns the changed batch. For a dispatched batch, the error
// is an *Error with HTTPStatus 403 and Code batch_already_dispatched.
func (c *Client) Update(ctx context.Context, batchID string, u Update) (*Batch, error) {
	if err := u.Validate(); err != nil {
		return nil, failed(UpdateBatch, err)
	}
	return c.batchCall(ctx, call{operation: UpdateBatch, method: http.MethodPost, body: u}, batchID)
}

// Replace replaces the message of a batch that is not dispatched yet, and returns the changed batch. Fields that are
// not set in m get their defaults. It is safe to repeat the call.
func (c *Client) Replace(ctx context.Context, batchID string, m Message) (*Batch, error) {
	if err := validate(m); err != nil {
		return nil, failed(ReplaceBatch, err)
	}
	return c.batchCall(ctx, call{operation: ReplaceBatch, method: http.MethodPut, body: m}, batchID)
}

// Cancel cancels the messages of a batch that are not dispatched yet, and returns the batch. If all are dispatched, it
// changes nothing and returns no error. It is safe to repeat the call.
func (c *Client) Cancel(ctx context.Context, batchID string) (*Batch, error) {
	return c.batchCall(ctx, call{operation: CancelBatch, method: http.MethodDelete}, batchID)
}

func validate(m Message) error {
	if m == nil {
		return invalid("", "the message is missing")
	}
	return m.Validate()
}

// batchCall makes a call about one batch and returns the batch in the answer. It sets the path of the call.
func (c *Client) batchCall(ctx context.Context, k call, batchID string) (*Batch, error) {
	path, err := batchPath(batchID, "")
	if err != nil {
		return nil, failed(k.operation, err)
	}
	k.path = path
	return c.batch(ctx, k, batchID)
}

// errNoBatch means that the answer has no batch id. If Send returns it, the batch may have been sent.
var errNoBatch = errors.New("the answer is not a batch: it has no id")

// batch makes a call and returns the batch in the answer. Unless wantID is empty, a batch with another id is an error.
func (c *Client) batch(ctx context.Context, k call, wantID string) (*Batch, error) {
	a, err := c.read(ctx, k)
	if err != nil {
		return nil, err
	}
	b, err := ParseBatch(a.body)
	switch {
	case err != nil:
	case b.ID == "":
		err = errNoBatch
	case wantID != "" && b.ID != wantID:
		err = errOtherBatch // a wrong server may answer every request with status 200
	}
	if err != nil {
		return nil, c.decodeError(k.operation, a, err)
	}
	return b, nil
}
