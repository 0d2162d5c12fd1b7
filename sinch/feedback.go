package sinch

import (
	"context"
	"errors"
	"net/http"

	"github.com/dlrloop/dlrloop/dlr"
)

// MaxRecipients is the maximum number of recipients in one call of Client.Feedback. Sinch publishes no such limit; this
// is its limit for the recipients of a batch.
const MaxRecipients = 1000

// ErrRecipients means that Client.Feedback made no call: the list of recipients is empty, has more than MaxRecipients
// entries, or has an entry that is not a phone number (see dlr.MSISDN).
var ErrRecipients = errors.New("feedback must name 1 to 1000 recipients, each a number of 1 to 15 digits")

// Feedback reports to Sinch that these recipients received the batch. Pass 1 to MaxRecipients phone numbers in any
// spelling; for other lists it returns ErrRecipients. It is safe to repeat the call. Sinch answers 404 if the batch is
// unknown or was sent without feedback_enabled.
func (c *Client) Feedback(ctx context.Context, batchID string, recipients []string) error {
	if len(recipients) == 0 || len(recipients) > MaxRecipients {
		return failed(SendFeedback, ErrRecipients) // for Sinch, an empty list means every recipient
	}
	numbers, seen := make([]string, 0, len(recipients)), make(map[string]bool, len(recipients))
	for _, r := range recipients {
		digits, ok := dlr.MSISDN(r)
		if !ok {
			return failed(SendFeedback, ErrRecipients)
		}
		if !seen[digits] {
			seen[digits] = true
			numbers = append(numbers, digits)
		}
	}
	return c.feedback(ctx, batchID, numbers)
}

// FeedbackWholeBatch reports to Sinch that every recipient received the batch. Sinch refuses the call for a batch that
// was sent to a group. It is safe to repeat the call.
func (c *Client) FeedbackWholeBatch(ctx context.Context, batchID string) error {
	return c.feedback(ctx, batchID, []string{}) // an empty list, not null
}

func (c *Client) feedback(ctx context.Context, batchID string, recipients []string) error {
	path, err := batchPath(batchID, "/delivery_feedback")
	if err != nil {
		return failed(SendFeedback, err)
	}
	// The status alone means success, unless the body is a web page.
	_, err = c.do(ctx, call{operation: SendFeedback, method: http.MethodPost, path: path, body: wireFeedback{recipients}})
	return err
}

type wireFeedback struct {
	Recipients []string `json:"recipients"`
}
